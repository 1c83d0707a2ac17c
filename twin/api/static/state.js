/** The twin's state as the API states it, kept by id, with deltas applied; stalls as far as cameras look at them. Knows nothing of the page. */

import { asWatched } from "./watched.js";

const COLLECTIONS = { vehicles: "vehicle", stalls: "stall", zones: "zone", cameras: "camera", portals: "portal" };

export class TwinState {
  #told = new Map(); // stalls as the API tells them
  #camerasByStall;

  /** @param camerasByStall of the site's description */
  constructor(camerasByStall = {}) {
    this.#camerasByStall = camerasByStall;
    this.at = null;
    this.position = "0";
    this.counters = {};
    for (const name of Object.keys(COLLECTIONS)) this[name] = new Map();
  }

  /** Take a whole state (an answer of /state, or a live snapshot's). */
  replace(state) {
    // Before its first fact a site has no time of its own: the answer then says 1970.
    this.at = state.position === "0" ? null : state.at;
    this.position = state.position;
    this.counters = state.counters ?? {};
    for (const [name, key] of Object.entries(COLLECTIONS)) {
      this[name] = new Map((state[name] ?? []).map((one) => [one[key], one]));
    }
    this.#told = this.stalls;
    this.stalls = new Map();
    this.#watch(this.#told.keys());
  }

  /** Take a live delta: changed objects come whole, vehicles that left come as ids. @returns the delta as it is to be drawn */
  apply(delta) {
    this.at = delta.at ?? this.at;
    this.position = delta.position;
    if (delta.counters) this.counters = delta.counters;
    for (const [name, key] of Object.entries(COLLECTIONS)) {
      for (const one of delta[name] ?? []) (name === "stalls" ? this.#told : this[name]).set(one[key], one);
    }
    for (const vehicle of delta.left ?? []) this.vehicles.delete(vehicle);
    const isAny = delta.cameras?.length > 0;
    const stalls = this.#watch(isAny ? this.#told.keys() : (delta.stalls ?? []).map(({ stall }) => stall));
    return { ...delta, stalls };
  }

  /** Look anew at stalls. @returns those that are to be drawn otherwise */
  #watch(ids) {
    const changed = [];
    for (const id of ids) {
      const [before, told] = [this.stalls.get(id), this.#told.get(id)];
      const now = asWatched(told, this.#camerasByStall[id] ?? [], this.cameras);
      if (now === before || (now !== told && now.state === before?.state && now.since_at === before.since_at)) continue;
      this.stalls.set(id, now);
      changed.push(now);
    }
    return changed;
  }

  /** Stalls by state, for the counters: {free, occupied, unknown}. */
  stallCounts() {
    const counts = { free: 0, occupied: 0, unknown: 0 };
    for (const { state } of this.stalls.values()) counts[state] += 1;
    return counts;
  }
}
