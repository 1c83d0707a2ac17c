/** All vehicles on the map, and the one animation loop that moves them; it sleeps while nothing moves. */

import { Painter } from "./painter.js";
import { Ramps } from "./ramps.js";
import { MapVehicle } from "./vehicle.js";
import { VehicleMarks } from "./vehicle_marks.js";

const prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");

export class VehicleLayer {
  marks;
  #painter;
  #vehicles = new Map();
  #moving = new Set();
  #stalls;
  #ramps;
  #level = null;
  #frame = 0;
  #hasNewTrails = true;
  #marked = { selected: null, hovered: null, focused: null, seen: new Set() };

  /**
   * @param {HTMLElement} root the map's section
   * @param {Map} stalls the site's stalls by id, whose headings parked vehicles take
   * @param portals the site's: those between levels are ramps
   * @param {{pick(id), reveal(point_m)}} listener a vehicle was chosen; one at this place has the focus
   */
  constructor(root, stalls, portals, listener) {
    this.#stalls = stalls;
    this.#ramps = new Ramps(portals);
    this.#painter = new Painter(root, () => this.#drawSoon(true));
    this.marks = new VehicleMarks({ pick: listener.pick, focus: (focused) => this.#focus(focused, listener) });
  }

  /** What stands over the plan, in drawing order. */
  get canvases() {
    return [this.#painter.trails.canvas, this.#painter.vehicles.canvas];
  }

  /** Show exactly these vehicles. */
  replace(vehicles, { isJump }) {
    for (const id of [...this.#vehicles.keys()]) if (!vehicles.has(id)) this.#remove(id);
    this.#takeAll(vehicles.values(), isJump);
  }

  /** Take changed vehicles and ids that left, from a live delta. */
  patch(changed, left) {
    for (const id of left) this.#remove(id);
    this.#takeAll(changed, false);
  }

  /** The map was moved, zoomed or resized. */
  follow(view) {
    this.#painter.follow(view);
    this.#drawSoon(true);
  }

  showLevel(level) {
    this.#level = level;
    this.#drawSoon(true);
  }

  /** @param options of {hasTrails, hasUncertainty, hasNames, isPast}, those that change */
  choose(options) {
    Object.assign(this.#painter.options, options);
    this.#drawSoon(true);
  }

  select(selected) {
    this.marks.select(selected);
    this.#mark({ selected });
  }

  /** Mark vehicles that a picture beside the map shows. @param {string[]} ids */
  markSeen(ids) {
    const { seen } = this.#marked;
    if (ids.length !== seen.size || !ids.every((id) => seen.has(id))) this.#mark({ seen: new Set(ids) });
  }

  focusNext(step) {
    this.marks.focusNext(step, this.#level);
  }

  /** The id of the vehicle at a place in CSS pixels of the map, or null. */
  at([x, y]) {
    const { ratio } = this.#painter.vehicles;
    return this.#painter.at(this.#shown(), x * ratio, y * ratio)?.vehicle.vehicle ?? null;
  }

  hover(hovered) {
    if (hovered !== this.#marked.hovered) this.#mark({ hovered });
  }

  /** How many vehicles there are on each level, by its id. */
  countsByLevel() {
    const counts = new Map();
    for (const { vehicle } of this.#vehicles.values()) counts.set(vehicle.level, (counts.get(vehicle.level) ?? 0) + 1);
    return counts;
  }

  #shown() {
    return [...this.#vehicles.values()].filter(({ vehicle }) => vehicle.level === this.#level);
  }

  #focus(focused, listener) {
    this.#mark({ focused });
    if (focused) listener.reveal(this.#vehicles.get(focused).vehicle.position_m);
  }

  #mark(some) {
    Object.assign(this.#marked, some);
    this.#drawSoon(false);
  }

  #takeAll(vehicles, isJump) {
    const how = { nowMs: performance.now(), isJump: isJump || prefersStillness.matches };
    for (const vehicle of vehicles) this.#take(vehicle, how);
    this.#drawSoon(false);
  }

  #take(vehicle, how) {
    let drawn = this.#vehicles.get(vehicle.vehicle);
    if (!drawn) this.#vehicles.set(vehicle.vehicle, (drawn = new MapVehicle()));
    if (drawn.take(vehicle, this.#stalls.get(vehicle.stall), how)) this.#hasNewTrails = true;
    if (drawn.move(how.nowMs)) this.#moving.add(drawn);
    this.marks.take(vehicle);
  }

  #remove(id) {
    const drawn = this.#vehicles.get(id);
    if (!drawn) return;
    this.#moving.delete(drawn);
    this.#vehicles.delete(id);
    this.#painter.forgetName(id);
    this.marks.remove(id);
    this.#hasNewTrails = true;
  }

  #drawSoon(withTrails) {
    this.#hasNewTrails ||= withTrails;
    if (!this.#frame) this.#frame = requestAnimationFrame(this.#draw);
  }

  #draw = (nowMs) => {
    for (const one of this.#moving) if (!one.move(nowMs)) this.#moving.delete(one);
    const shown = this.#shown();
    if (this.#hasNewTrails) this.#painter.drawTrails(shown);
    this.#hasNewTrails = false;
    this.#painter.drawVehicles(shown, this.#onRamps(), this.#marked);
    this.#frame = this.#moving.size > 0 ? requestAnimationFrame(this.#draw) : 0;
  };

  #onRamps() {
    return this.#ramps.isNone ? [] : [...this.#vehicles.values()].filter(({ vehicle, point_m }) => this.#ramps.leads(vehicle.level, point_m, this.#level));
  }
}
