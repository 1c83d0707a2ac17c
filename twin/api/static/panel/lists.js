/** The lists of vehicles on the site and of sessions. */

import { html, put, say } from "../elements.js";
import { duration, milliseconds, shortId, speed, timeOfDay, words } from "../format.js";
import { Rows } from "./rows.js";

const STATE_ORDER = { moving: 0, hidden: 1, parked: 2 };
const STATUS_ORDER = { open: 0, orphan: 1, closed: 2 };
const SHOWN_SESSIONS = 200;
const SHOWN_VEHICLES = 200;

export class VehicleList {
  #rows;
  #empty;
  #more;

  constructor(root, onPick) {
    this.#empty = root.querySelector(".empty");
    this.#more = root.querySelector(".more");
    this.#rows = new Rows(root.querySelector("ul"), (id) => vehicleRow(id, onPick), fillVehicle);
  }

  /** @param {Map} sessions by id, for the time since entry */
  render(state, sessions, selected) {
    const nowMs = milliseconds(state.at);
    const vehicles = [...state.vehicles.values()].sort((a, b) => STATE_ORDER[a.state] - STATE_ORDER[b.state] || (a.vehicle < b.vehicle ? -1 : 1));
    this.#empty.hidden = vehicles.length > 0;
    this.#more.hidden = vehicles.length <= SHOWN_VEHICLES;
    if (!this.#more.hidden) say(this.#more, `${vehicles.length - SHOWN_VEHICLES} more are on the site; find one by its name.`);
    this.#rows.show(vehicles.slice(0, SHOWN_VEHICLES).map((vehicle) => {
      const entryAt = sessions.get(vehicle.session)?.entry_at ?? null;
      return [vehicle.vehicle, { vehicle, entryAt, nowMs, isSelected: vehicle.vehicle === selected }];
    }));
  }
}

export class SessionList {
  #rows;
  #empty;

  constructor(root, onPick) {
    this.#empty = root.querySelector(".empty");
    this.#rows = new Rows(root.querySelector("ul"), () => sessionRow(onPick), fillSession);
  }

  render(sessions, nowMs, selected) {
    const sorted = [...sessions.values()].sort((a, b) => STATUS_ORDER[a.status] - STATUS_ORDER[b.status] || (newest(b) < newest(a) ? -1 : 1));
    this.#empty.hidden = sorted.length > 0;
    this.#rows.show(sorted.slice(0, SHOWN_SESSIONS).map((session) => [session.session, { session, nowMs, isSelected: session.vehicle === selected }]));
  }
}

const newest = ({ entry_at, exit_at }) => exit_at ?? entry_at ?? "";

function vehicleRow(id, onPick) {
  const button = html("button", { type: "button", class: "row", onclick: () => onPick({ vehicle: id }) },
    html("span", { class: "chip" }),
    html("span", { class: "row-name" }, shortId(id)),
    html("span", { class: "row-place" }),
    html("span", { class: "row-time" }),
  );
  return html("li", { "data-row-vehicle": id }, button);
}

function fillVehicle(row, { vehicle, entryAt, nowMs, isSelected }) {
  const [chip, , place, time] = row.firstElementChild.children;
  put(row.firstElementChild, "aria-current", isSelected ? "true" : null);
  put(chip, "data-state", vehicle.state);
  say(chip, words(vehicle.state));
  const pace = vehicle.state === "moving" && vehicle.velocity_mps ? ` · ${speed(vehicle.velocity_mps)}` : "";
  say(place, `${words(vehicle.kind)} · ${placeName(vehicle)}${pace}`);
  say(time, entryAt && nowMs ? duration((nowMs - milliseconds(entryAt)) / 1000) : "");
  put(time, "title", entryAt ? `Since entry at ${timeOfDay(milliseconds(entryAt), nowMs)}` : null);
}

/** Where a vehicle is, in the fewest words. */
export function placeName({ stall, zone }) {
  if (stall) return `stall ${stall}`;
  return zone ? words(zone).toLowerCase() : "between zones";
}

function sessionRow(onPick) {
  const button = html("button", { type: "button", class: "row", onclick: () => onPick({ vehicle: button.dataset.sessionVehicle }) },
    html("span", { class: "chip" }),
    html("span", { class: "row-name" }),
    html("span", { class: "row-place" }),
    html("span", { class: "row-time" }),
  );
  return html("li", {}, button);
}

function fillSession(row, { session, nowMs, isSelected }) {
  const { status, vehicle, entry_at, exit_at, duration_s, portal_in, portal_out, flags } = session;
  const [chip, name, place, time] = row.firstElementChild.children;
  put(row, "data-session", session.session);
  put(row.firstElementChild, "data-session-vehicle", vehicle);
  put(row.firstElementChild, "aria-current", isSelected ? "true" : null);
  put(chip, "data-state", status);
  say(chip, words(status));
  say(name, shortId(vehicle));
  const inAt = entry_at ? `in ${timeOfDay(milliseconds(entry_at), nowMs ?? undefined)}` : "no entry seen";
  const outAt = exit_at ? ` · out ${timeOfDay(milliseconds(exit_at), nowMs ?? undefined)}` : "";
  const doubts = flags?.length ? ` · ${flags.map((flag) => words(flag).toLowerCase()).join(", ")}` : "";
  say(place, inAt + outAt + doubts);
  put(place, "title", [portal_in, portal_out].filter(Boolean).map(words).join(" → ") || null);
  const stay_s = duration_s ?? (entry_at && nowMs ? (nowMs - milliseconds(entry_at)) / 1000 : null);
  say(time, stay_s === null ? "" : duration(stay_s));
}
