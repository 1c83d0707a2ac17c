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

  /** Throws an Error in words for the person where the file is not one of marks. */
  fromFile(text, frame_px) {
    const file = parsed(text);
    if (file?.schema !== "twin.marks/1") throw new Error("This file has no marks: its schema is not twin.marks/1.");
    if (file.frame_px && String(file.frame_px) !== String(frame_px)) throw new Error(`These marks are of a picture of ${file.frame_px.join(" × ")}; this camera has ${frame_px.join(" × ")}.`);
    const pairs = (file.pairs ?? []).map(({ pixel_px, ground_m }) => ({ pixel: pixel_px, ground: ground_m }));
    if (!pairs.every(({ pixel, ground }) => isPoint(pixel) && isPoint(ground))) throw new Error("A pair of this file is not two numbers in the picture and two on the ground.");
    this.#to({ pairs, lines: (file.lines_px ?? []).filter((line) => line.every(isPoint)) });
  }

  #to(state, isNew = true) {
    if (isNew) this.#past = [...this.#past, this.#state].slice(-MOST_UNDONE);
    this.#state = state;
    this.#onChange(this);
  }
}

const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("This file is not JSON.");
  }
}
