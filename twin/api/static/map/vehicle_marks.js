/** Vehicles of the map for keyboards and screen readers: a button each, in no picture. Rewritten only when what it says changes. */

import { html, put } from "../elements.js";
import { words } from "../format.js";

const TOLD = ["state", "level", "zone", "stall"];

export class VehicleMarks {
  element = html("div", { id: "vehicle-marks", class: "unseen vehicle-marks", role: "group", "aria-label": "Vehicles on the map" });
  #marks = new Map(); // id -> {button, vehicle}

  /** @param {{pick(id), focus(id | null)}} listener a vehicle was chosen, or has the focus (null: none has) */
  constructor(listener) {
    const idOf = ({ target }) => target.closest("[data-vehicle]")?.dataset.vehicle;
    this.element.addEventListener("click", (event) => idOf(event) && listener.pick(idOf(event)));
    this.element.addEventListener("focusin", (event) => listener.focus(idOf(event) ?? null));
    this.element.addEventListener("focusout", () => listener.focus(null));
  }

  take(vehicle) {
    const mark = this.#marks.get(vehicle.vehicle) ?? this.#add(vehicle);
    if (mark.vehicle && TOLD.every((key) => vehicle[key] === mark.vehicle[key])) return;
    mark.vehicle = vehicle;
    put(mark.button, "data-state", vehicle.state);
    put(mark.button, "data-level", vehicle.level);
    put(mark.button, "aria-label", nameOf(vehicle));
  }

  remove(id) {
    this.#marks.get(id)?.button.remove();
    this.#marks.delete(id);
  }

  /** Move the focus to the next (or previous) vehicle of a level. */
  focusNext(step, level) {
    const marks = [...this.#marks].filter(([, { vehicle }]) => vehicle.level === level).sort(([a], [b]) => (a < b ? -1 : 1));
    if (marks.length === 0) return;
    const now = marks.findIndex(([, { button }]) => button === document.activeElement);
    const first = step > 0 ? 0 : marks.length - 1;
    marks[now < 0 ? first : (now + step + marks.length) % marks.length][1].button.focus({ preventScroll: true });
  }

  select(id) {
    for (const [name, { button }] of this.#marks) put(button, "aria-pressed", name === id ? "true" : null);
  }

  #add({ vehicle, kind }) {
    const button = html("button", { type: "button", tabindex: -1, "data-vehicle": vehicle, "data-kind": kind });
    const mark = { button, vehicle: null };
    this.element.append(button);
    this.#marks.set(vehicle, mark);
    return mark;
  }
}

/** Without the speed: a name that changed ten times a second could not be read out. */
function nameOf({ vehicle, kind, state, stall, zone }) {
  const where = stall ? `in stall ${stall}` : zone ? `in zone ${zone}` : "in no zone";
  return `${words(kind)} ${vehicle}, ${state} ${where}`;
}
