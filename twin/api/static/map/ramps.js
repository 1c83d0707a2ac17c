/** Ramps: portals between levels. Who is about to pass one, or just has, is shown on both levels. */

const NEAR_M = 8;

export class Ramps {
  #portals;

  constructor(portals) {
    this.#portals = portals.filter(({ role, to_level }) => role === "level" && to_level);
  }

  get isNone() {
    return this.#portals.length === 0;
  }

  /** Whether a vehicle on level `from` at a point is on a ramp that leads to level `to`, or comes from there. */
  leads(from, point_m, to) {
    if (from === to) return false;
    return this.#portals.some(({ level, to_level, line_m }) =>
      ((level === from && to_level === to) || (level === to && to_level === from)) && away(point_m, line_m) <= NEAR_M,
    );
  }
}

/** Metres from a point to a line between two points. */
function away([x, y], [[ax, ay], [bx, by]]) {
  const [dx, dy] = [bx - ax, by - ay];
  const share = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}
