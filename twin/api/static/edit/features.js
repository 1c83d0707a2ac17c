/** The zones, stalls, lanes and portals that are edited, with every step that can be taken back. */

export const GROUPS = { zone: "zones", stall: "stalls", lane: "lanes", portal: "portals" };
export const NEW = {
  zone: { kind: "parking" },
  stall: { zone: "", heading_deg: 0 },
  lane: { width_m: 3, one_way: true, follows: [] },
  portal: { role: "boundary", direction: "in", to_level: null },
};
const MOST_UNDONE = 200;

/** Where a feature's corners are: a ring, or a line. */
export const placesOf = (kind) => (kind === "zone" || kind === "stall" ? "ring_m" : "line_m");

export class Features {
  #now;
  #past = [];
  #future = [];
  #onChange;

  /** @param site as the API describes it; @param {() => void} onChange told after each change */
  constructor(site, onChange) {
    this.#now = Object.fromEntries(Object.values(GROUPS).map((group) => [group, site[group]]));
    this.#onChange = onChange;
  }

  /** As `model/check` takes them. */
  get all() {
    return this.#now;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  of(kind) {
    return this.#now[GROUPS[kind]];
  }

  find(kind, id) {
    return this.of(kind).find((one) => one.id === id) ?? null;
  }

  /** Add features of one kind, as one step. */
  add(kind, features) {
    this.#to(kind, [...this.of(kind), ...features]);
  }

  /** Put another in the place of one; steps of one drag are one to take back. */
  replace(kind, id, feature, { isNew = true } = {}) {
    this.#to(kind, this.of(kind).map((one) => (one.id === id ? feature : one)), isNew);
  }

  remove(kind, id) {
    this.#to(kind, this.of(kind).filter((one) => one.id !== id));
  }

  /** A name that no feature has yet, nor one of those that are being made. */
  newId(prefix, made = []) {
    const taken = new Set([...Object.values(this.#now).flat(), ...made].map(({ id }) => id));
    for (let number = 1; ; number += 1) {
      const id = `${prefix}${String(number).padStart(2, "0")}`;
      if (!taken.has(id)) return id;
    }
  }

  undo() {
    if (this.canUndo) this.#swap(this.#past, this.#future);
  }

  redo() {
    if (this.canRedo) this.#swap(this.#future, this.#past);
  }

  #swap(from, to) {
    to.push(this.#now);
    this.#now = from.pop();
    this.#onChange();
  }

  #to(kind, features, isNew = true) {
    if (isNew) this.#past = [...this.#past, this.#now].slice(-MOST_UNDONE);
    this.#future = [];
    this.#now = { ...this.#now, [GROUPS[kind]]: features };
    this.#onChange();
  }
}
