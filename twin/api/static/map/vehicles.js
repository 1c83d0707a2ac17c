/** All vehicles on the map, and the one animation loop that moves them; it sleeps while nothing moves. */

import { svg } from "../elements.js";
import { VehicleSprite } from "./vehicle_sprite.js";

const prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");

export class VehicleLayer {
  element = svg("g", { class: "vehicles" });
  trails = svg("g", { class: "trails", "aria-hidden": "true" });
  #sprites = new Map();
  #moving = new Set();
  #stalls;
  #frame = 0;
  #selected = null;

  /** @param {Map} stalls the site's stalls by id, whose headings parked vehicles take */
  constructor(stalls, onPick) {
    this.#stalls = stalls;
    const pickFrom = (event) => {
      const sprite = event.target.closest("[data-vehicle]");
      if (sprite) onPick(sprite.dataset.vehicle);
    };
    this.element.addEventListener("click", pickFrom);
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pickFrom(event);
    });
  }

  /** Show exactly these vehicles. */
  replace(vehicles, { isJump }) {
    for (const id of [...this.#sprites.keys()]) if (!vehicles.has(id)) this.#remove(id);
    this.#takeAll(vehicles.values(), isJump);
  }

  /** Take changed vehicles and ids that left, from a live delta. */
  patch(changed, left) {
    for (const id of left) this.#remove(id);
    this.#takeAll(changed, false);
  }

  select(id) {
    this.#sprites.get(this.#selected)?.element.removeAttribute("data-selected");
    this.#selected = id;
    const sprite = this.#sprites.get(id);
    if (!sprite) return;
    sprite.element.setAttribute("data-selected", "true");
    this.element.append(sprite.element); // above its neighbours
  }

  /** Move the focus to the next (or previous) vehicle of the level shown. */
  focusNext(step, level) {
    const sprites = [...this.#sprites.values()].filter(({ vehicle }) => vehicle.level === level);
    if (sprites.length === 0) return;
    sprites.sort((a, b) => (a.vehicle.vehicle < b.vehicle.vehicle ? -1 : 1));
    const now = sprites.findIndex(({ element }) => element === document.activeElement);
    const first = step > 0 ? 0 : sprites.length - 1;
    sprites[now < 0 ? first : (now + step + sprites.length) % sprites.length].element.focus();
  }

  #takeAll(vehicles, isJump) {
    const how = { nowMs: performance.now(), isJump: isJump || prefersStillness.matches };
    for (const vehicle of vehicles) this.#take(vehicle, how);
    if (this.#moving.size > 0 && !this.#frame) this.#frame = requestAnimationFrame(this.#animate);
  }

  #take(vehicle, how) {
    const sprite = this.#sprites.get(vehicle.vehicle) ?? this.#add(vehicle);
    sprite.take(vehicle, this.#stalls.get(vehicle.stall), how);
    if (sprite.draw(how.nowMs)) this.#moving.add(sprite);
  }

  #add(vehicle) {
    const sprite = new VehicleSprite(vehicle);
    this.#sprites.set(vehicle.vehicle, sprite);
    this.element.append(sprite.element);
    this.trails.append(sprite.trail);
    if (vehicle.vehicle === this.#selected) sprite.element.setAttribute("data-selected", "true");
    return sprite;
  }

  #remove(id) {
    const sprite = this.#sprites.get(id);
    if (!sprite) return;
    this.#moving.delete(sprite);
    this.#sprites.delete(id);
    sprite.remove();
  }

  #animate = (nowMs) => {
    for (const sprite of this.#moving) if (!sprite.draw(nowMs)) this.#moving.delete(sprite);
    this.#frame = this.#moving.size > 0 ? requestAnimationFrame(this.#animate) : 0;
  };
}
