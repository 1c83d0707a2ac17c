/** One vehicle on the map: how it moves, its 95 % ellipse and its trail. Drawn by the painter. */

import { milliseconds } from "../format.js";
import { ellipse95, headingOf, planAngle, shortestTurn } from "../geometry.js";
import { Motion } from "./motion.js";
import { sizeOf } from "./vehicle_shape.js";

const DIRECTED_FROM_MPS = 0.4; // slower than this, a velocity's direction is noise
const LARGEST_ELLIPSE_M = 40;

export class MapVehicle {
  vehicle = null; // as the API last stated it
  point_m = [0, 0]; // where it was last drawn
  heading_deg = 0;
  trail_m = null; // where it came along, oldest first; the same array until that changes
  ellipse = null; // {major_m, minor_m, angle} in plan coordinates; null where it lies under the vehicle's own outline
  #motion = null;
  #directed_deg = 0;

  /**
   * Take the vehicle as the API now states it.
   *
   * @param stall the stall it stands in, or undefined
   * @param {{nowMs: number, isJump: boolean}} how glide there, or be there at once
   * @returns whether its trail is another one
   */
  take(vehicle, stall, { nowMs, isJump }) {
    this.vehicle = vehicle;
    this.#directed_deg = headingNow(vehicle, stall, this.#directed_deg);
    if (!this.#motion) this.#motion = new Motion(vehicle.position_m, this.#directed_deg);
    else if (isJump) this.#motion.jumpTo(vehicle.position_m, this.#directed_deg, nowMs);
    else this.#motion.moveTo(vehicle.position_m, this.#directed_deg, nowMs, milliseconds(vehicle.updated_at));
    if (vehicle.state !== "moving") this.#motion.forget();
    this.ellipse = ellipseOf(vehicle);
    const trail_m = this.trail_m;
    this.trail_m = this.#motion.trail_m;
    return this.trail_m !== trail_m;
  }

  /** Put it where it is at `nowMs`; false once it has arrived. */
  move(nowMs) {
    const { point_m, heading_deg, isThere } = this.#motion.sample(nowMs);
    this.point_m = point_m;
    this.heading_deg = heading_deg;
    return !isThere;
  }
}

/** An ellipse narrower than the vehicle is not seen below it, but where the vehicle is drawn as glass. */
function ellipseOf({ covariance_m2, kind, state }) {
  const { major_m, minor_m, heading_deg } = ellipse95(covariance_m2);
  if (state !== "hidden" && major_m < sizeOf(kind)[1] / 2) return null;
  const [major, minor] = [major_m, minor_m].map((radius_m) => Math.min(LARGEST_ELLIPSE_M, radius_m));
  return { major_m: major, minor_m: minor, angle: (planAngle(heading_deg) * Math.PI) / 180 };
}

/** A moving vehicle points along its velocity, a parked one along its stall, the way round that it came. */
function headingNow(vehicle, stall, before_deg) {
  const velocity = vehicle.velocity_mps ?? [0, 0];
  if (vehicle.state !== "parked") return Math.hypot(...velocity) > DIRECTED_FROM_MPS ? headingOf(velocity) : before_deg;
  if (!stall) return before_deg;
  const isBackedIn = Math.abs(shortestTurn(before_deg, stall.heading_deg)) > 90 && before_deg !== 0;
  return stall.heading_deg + (isBackedIn ? 180 : 0);
}
