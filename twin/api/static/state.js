/** The twin's state as the API states it, kept by id, with deltas applied. Knows nothing of the page. */

const COLLECTIONS = { vehicles: "vehicle", stalls: "stall", zones: "zone", cameras: "camera", portals: "portal" };

export class TwinState {
  constructor() {
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
  }

  /** Take a live delta: changed objects come whole, vehicles that left come as ids. */
  apply(delta) {
    this.at = delta.at ?? this.at;
    this.position = delta.position;
    if (delta.counters) this.counters = delta.counters;
    for (const [name, key] of Object.entries(COLLECTIONS)) {
      for (const one of delta[name] ?? []) this[name].set(one[key], one);
    }
    for (const vehicle of delta.left ?? []) this.vehicles.delete(vehicle);
  }

  /** Stalls by state, for the counters: {free, occupied, unknown}. */
  stallCounts() {
    const counts = { free: 0, occupied: 0, unknown: 0 };
    for (const { state } of this.stalls.values()) counts[state] += 1;
    return counts;
  }
}
