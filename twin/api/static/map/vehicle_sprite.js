/** One vehicle on the map: body, 95 % ellipse, trail and label. */

import { put, say, svg } from "../elements.js";
import { milliseconds, shortId, words } from "../format.js";
import { ellipse95, headingOf, planAngle, planPoint, shortestTurn, taper } from "../geometry.js";
import { Motion } from "./motion.js";
import { shapeOf, sizeOf } from "./vehicle_shape.js";

const DIRECTED_FROM_MPS = 0.4; // slower than this, a velocity's direction is noise
const LARGEST_ELLIPSE_M = 40;
const TOLD = ["state", "level", "zone", "stall"]; // what a vehicle's name and look depend on

export class VehicleSprite {
  #motion = null;
  #heading_deg = 0;
  #vehicle = null;
  #body;
  #ellipse = svg("ellipse", { class: "uncertainty" });
  #label = svg("text", { class: "label vehicle-label", y: -16, "text-anchor": "middle" });
  #drawn = {};
  #trail_m = null;

  constructor(vehicle) {
    const { hull, glass } = shapeOf(vehicle.kind);
    this.#body = svg("g", { class: "body" }, svg("path", { class: "halo", d: hull }), svg("path", { class: "hull", d: hull }), svg("path", { class: "glass", d: glass }));
    this.element = svg(
      "g",
      { class: "vehicle", role: "button", tabindex: -1, "data-vehicle": vehicle.vehicle, "data-kind": vehicle.kind },
      this.#ellipse,
      this.#body,
      svg("g", { class: "fixed" }, svg("circle", { class: "touch", r: 14 }), this.#label),
    );
    this.trail = svg("path", { class: "trail", "data-trail": vehicle.vehicle });
    say(this.#label, shortId(vehicle.vehicle));
  }

  get vehicle() {
    return this.#vehicle;
  }

  /**
   * Take the vehicle as the API now states it.
   *
   * @param stall the stall it stands in, or undefined
   * @param {{nowMs: number, isJump: boolean}} how glide there, or be there at once
   */
  take(vehicle, stall, { nowMs, isJump }) {
    const before = this.#vehicle;
    this.#vehicle = vehicle;
    this.#heading_deg = headingNow(vehicle, stall, this.#heading_deg);
    if (!this.#motion) this.#motion = new Motion(vehicle.position_m, this.#heading_deg);
    else if (isJump) this.#motion.jumpTo(vehicle.position_m, this.#heading_deg, nowMs);
    else this.#motion.moveTo(vehicle.position_m, this.#heading_deg, nowMs, milliseconds(vehicle.updated_at));
    if (vehicle.state !== "moving") this.#motion.forget();
    if (TOLD.some((key) => vehicle[key] !== before?.[key])) this.#tell(vehicle);
    this.#drawEllipse(vehicle.covariance_m2);
    this.#drawTrail();
  }

  /** Put it where it is at `nowMs`; false once it has arrived. */
  draw(nowMs) {
    const { point_m, heading_deg, isThere } = this.#motion.sample(nowMs);
    const [x, y] = planPoint(point_m);
    this.#set("place", this.element, "transform", `translate(${x.toFixed(3)} ${y.toFixed(3)})`);
    this.#set("turn", this.#body, "transform", `rotate(${planAngle(heading_deg).toFixed(1)})`);
    return !isThere;
  }

  remove() {
    this.element.remove();
    this.trail.remove();
  }

  #tell(vehicle) {
    put(this.element, "data-state", vehicle.state);
    put(this.element, "data-level", vehicle.level);
    put(this.trail, "data-level", vehicle.level);
    put(this.element, "aria-label", nameOf(vehicle));
  }

  #drawEllipse(covariance_m2) {
    const { major_m, minor_m, heading_deg } = ellipse95(covariance_m2);
    this.#set("rx", this.#ellipse, "rx", Math.min(LARGEST_ELLIPSE_M, major_m).toFixed(2));
    this.#set("ry", this.#ellipse, "ry", Math.min(LARGEST_ELLIPSE_M, minor_m).toFixed(2));
    this.#set("tilt", this.#ellipse, "transform", `rotate(${planAngle(heading_deg).toFixed(1)})`);
  }

  /** The trail ends under the body, so it is drawn anew only when it grew by a point. */
  #drawTrail() {
    const trail_m = this.#motion.trail_m;
    if (trail_m === this.#trail_m) return;
    this.#trail_m = trail_m;
    put(this.trail, "d", taper(trail_m, sizeOf(this.#vehicle.kind)[1] * 0.7) || null);
  }

  /** As `put`, but remembers what it set: with hundreds of vehicles a frame, reading attributes back costs too much. */
  #set(key, element, name, value) {
    if (this.#drawn[key] === value) return;
    this.#drawn[key] = value;
    element.setAttribute(name, value);
  }
}

/** A moving vehicle points along its velocity, a parked one along its stall, the way round that it came. */
function headingNow(vehicle, stall, before_deg) {
  const velocity = vehicle.velocity_mps ?? [0, 0];
  if (vehicle.state !== "parked") return Math.hypot(...velocity) > DIRECTED_FROM_MPS ? headingOf(velocity) : before_deg;
  if (!stall) return before_deg;
  const isBackedIn = Math.abs(shortestTurn(before_deg, stall.heading_deg)) > 90 && before_deg !== 0;
  return stall.heading_deg + (isBackedIn ? 180 : 0);
}

/** Without the speed: a name that changed ten times a second could not be read out. */
function nameOf({ vehicle, kind, state, stall, zone }) {
  const where = stall ? `in stall ${stall}` : zone ? `in zone ${zone}` : "in no zone";
  return `${words(kind)} ${vehicle}, ${state} ${where}`;
}
