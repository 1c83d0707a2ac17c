/** How a vehicle glides from one reported position to the next, instead of jumping. Pure but for the time it is given. */

import { distance, turn } from "../geometry.js";

const SHORTEST_MS = 80;
const LONGEST_MS = 1200;
const TRAIL_MS = 9_000;
const TRAIL_LENGTH = 24;
const TRAIL_STEP_M = 0.8;
const JUMP_M = 25; // farther than any vehicle gets between two reports: a correction, shown at once

export class Motion {
  #from;
  #to;
  #startedMs = 0;
  #lastsMs = 0;
  #trail = []; // {point_m, atMs}, oldest first
  #trail_m = [];

  constructor(point_m, heading_deg) {
    this.#from = { point_m, heading_deg };
    this.#to = this.#from;
  }

  /**
   * A new report: glide there in the time that reports take.
   *
   * @param {number} nowMs the page's clock, on which the glide runs
   * @param {number} atMs the report's own time, by which the trail ages
   */
  moveTo(point_m, heading_deg, nowMs, atMs) {
    const here = this.sample(nowMs);
    const isJump = distance(here.point_m, point_m) > JUMP_M;
    if (isJump) this.forget();
    else this.#leave(here.point_m, atMs);
    this.#lastsMs = isJump ? 0 : Math.min(LONGEST_MS, Math.max(SHORTEST_MS, nowMs - this.#startedMs));
    this.#from = isJump ? { point_m, heading_deg } : here;
    this.#to = { point_m, heading_deg };
    this.#startedMs = nowMs;
  }

  /** Be there at once, with no trail. */
  jumpTo(point_m, heading_deg, nowMs) {
    this.forget();
    this.#from = { point_m, heading_deg };
    this.#to = this.#from;
    this.#startedMs = nowMs;
    this.#lastsMs = 0;
  }

  /** Where to draw it: {point_m, heading_deg, isThere}. */
  sample(nowMs) {
    // A frame's own time can lie a little before the report that it draws.
    const fraction = this.#lastsMs > 0 ? Math.min(1, Math.max(0, nowMs - this.#startedMs) / this.#lastsMs) : 1;
    const [[ax, ay], [bx, by]] = [this.#from.point_m, this.#to.point_m];
    return {
      point_m: [ax + (bx - ax) * fraction, ay + (by - ay) * fraction],
      heading_deg: turn(this.#from.heading_deg, this.#to.heading_deg, fraction),
      isThere: fraction === 1,
    };
  }

  /** Where it came along, oldest first; the same array until that changes. */
  get trail_m() {
    return this.#trail_m;
  }

  forget() {
    if (this.#trail.length > 0) this.#keep([]);
  }

  #leave(point_m, atMs) {
    const last = this.#trail.at(-1);
    // Trails are many and long: a point every few frames bends as well as one every frame.
    if (last && distance(last.point_m, point_m) < TRAIL_STEP_M) return;
    this.#keep([...this.#trail, { point_m, atMs }].filter((one) => atMs - one.atMs < TRAIL_MS).slice(-TRAIL_LENGTH));
  }

  #keep(trail) {
    this.#trail = trail;
    this.#trail_m = trail.map(({ point_m }) => point_m);
  }
}
