/** What was marked: pairs of pixel and ground, either of which may still be missing, and lines in the picture. */

const MOST_UNDONE = 100;

export class Marks {
  #state = { pairs: [], lines: [] };
  #past = [];
  #onChange;

  /** @param {(marks: Marks) => void} onChange told after each change */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  get pairs() {
    return this.#state.pairs;
  }

  get lines() {
    return this.#state.lines;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  /** Indexes of pairs that have both sides. */
  get whole() {
    return this.pairs.flatMap(({ pixel, ground }, index) => (pixel && ground ? [index] : []));
  }

  /** Place a point on one side ("pixel" or "ground"): of the pair that waits for it, else of a new one. Gives its index. */
  place(side, point) {
    const waiting = this.pairs.findIndex((pair) => !pair[side]);
    const index = waiting < 0 ? this.pairs.length : waiting;
    const pair = { pixel: null, ground: null, ...this.pairs[index], [side]: point };
    this.#to({ ...this.#state, pairs: [...this.pairs.slice(0, index), pair, ...this.pairs.slice(index + 1)] });
    return index;
  }

  add(pixel, ground) {
    this.#to({ ...this.#state, pairs: [...this.pairs, { pixel, ground }] });
    return this.pairs.length - 1;
  }

  /** Move a point; steps of one drag are one change to undo. */
  move(index, side, point, { isNew = true } = {}) {
    const pairs = this.pairs.map((pair, one) => (one === index ? { ...pair, [side]: point } : pair));
    this.#to({ ...this.#state, pairs }, isNew);
  }

  remove(index) {
    this.#to({ ...this.#state, pairs: this.pairs.filter((_, one) => one !== index) });
  }

  addLine(points) {
    this.#to({ ...this.#state, lines: [...this.lines, points] });
  }

  removeLine(index) {
    this.#to({ ...this.#state, lines: this.lines.filter((_, one) => one !== index) });
  }

  clear() {
    this.#to({ pairs: [], lines: [] });
  }

  undo() {
    if (this.#past.length === 0) return;
    this.#state = this.#past.pop();
    this.#onChange(this);
  }

  /** As `twin calibrate --pairs` reads it. */
  toFile(camera, frame_px) {
    const pairs = this.whole.map((index) => ({ pixel_px: this.pairs[index].pixel, ground_m: this.pairs[index].ground }));
    return { schema: "twin.marks/1", camera, frame_px, pairs, lines_px: this.lines };
  }

  /** Put what a file has in the place of what is marked; what it lacks stays. */
  replace(given) {
    this.#to({ ...this.#state, ...given });
  }

  #to(state, isNew = true) {
    if (isNew) this.#past = [...this.#past, this.#state].slice(-MOST_UNDONE);
    this.#state = state;
    this.#onChange(this);
  }
}
