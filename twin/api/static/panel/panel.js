/** The side panel: counters, search box, lists and what is selected; drawn at most twice a second. */

import { isAbort } from "../api.js";
import { say } from "../elements.js";
import { milliseconds } from "../format.js";
import { renderCounters } from "./counters.js";
import { Details } from "./details.js";
import { Finder } from "./finder.js";
import { ImageSearch } from "./image_search.js";
import { SessionList, VehicleList } from "./lists.js";
import { Tabs } from "./tabs.js";

const DRAW_EVERY_MS = 500;
const REFRESH_EVERY_MS = 3_000; // sessions and the selected vehicle's history, which deltas do not carry

export class Panel {
  #root;
  #ask;
  #vehicles;
  #sessionList;
  #details;
  #tabs;
  #state = null;
  #sessions = new Map();
  #chosen = null; // {vehicle} | {stall}
  #told = null; // the selected vehicle as /vehicles/{id} last told
  #drawing = 0;
  #refreshing = 0;
  #refreshedMs = -Infinity;
  #request = null;

  /**
   * @param ask {sessions(signal), vehicle(id, signal), plates(plate, signal), search(picture, limit, signal)} at the moment shown
   * @param actions {pick(chosen), flyTo(chosen), goTo(at), open(hit), cropUrl(crop), likeUrl(sighting), zoneOf(stall)}
   */
  constructor(root, ask, actions) {
    this.#root = root;
    this.#ask = ask;
    const part = (id) => root.querySelector(`#${id}`);
    this.#tabs = new Tabs(root.querySelector("[role=tablist]"));
    this.#vehicles = new VehicleList(part("vehicles"), actions.pick);
    this.#sessionList = new SessionList(part("sessions"), actions.pick);
    this.#details = new Details(part("details"), actions);
    new Finder(part("finder"), () => this.#state, ask.plates, actions.flyTo);
    new ImageSearch(part("pictures"), ask.search, actions);
  }

  /** A new state to show; `isJump` is another moment, where nothing told before still holds. */
  show(state, { isJump }) {
    this.#state = state;
    if (isJump) this.#refreshNow();
    else this.#refreshSoon();
    this.#drawSoon();
  }

  /** @param chosen {vehicle} | {stall} | null */
  select(chosen) {
    this.#chosen = chosen;
    this.#told = null;
    if (!chosen) this.#details.hide();
    this.#refreshNow();
    this.#draw();
    if (chosen) this.#root.querySelector("#details").scrollIntoView({ block: "nearest" });
  }

  #drawSoon() {
    if (this.#drawing) return;
    this.#drawing = setTimeout(() => {
      this.#drawing = 0;
      this.#draw();
    }, DRAW_EVERY_MS);
  }

  #draw() {
    const state = this.#state;
    if (!state) return;
    const nowMs = milliseconds(state.at) ?? Date.now();
    const selected = this.#chosen?.vehicle;
    renderCounters(this.#root.querySelector("#counters"), state);
    this.#vehicles.render(state, this.#sessions, selected);
    this.#sessionList.render(this.#sessions, nowMs, selected);
    say(this.#root.querySelector("#n-vehicles"), String(state.vehicles.size));
    say(this.#root.querySelector("#n-sessions"), String(this.#sessions.size));
    this.#drawDetails(nowMs);
  }

  #drawDetails(nowMs) {
    if (this.#chosen?.stall) this.#drawStall(this.#chosen.stall, nowMs);
    else if (this.#told) {
      const { vehicle } = this.#told;
      const now = this.#state.vehicles.get(vehicle);
      const told = now ? { ...this.#told, ...now } : { ...this.#told, state: null };
      this.#details.showVehicle(told, this.#sessionOf(vehicle, now), nowMs);
    }
  }

  #drawStall(id, nowMs) {
    const stall = this.#state.stalls.get(id);
    if (stall) this.#details.showStall(stall, nowMs);
    else this.#details.showProblem(`Stall ${id}`, new Error(`This site has no stall '${id}'.`));
  }

  #sessionOf(vehicle, now) {
    const own = [...this.#sessions.values()].filter((session) => session.vehicle === vehicle);
    return this.#sessions.get(now?.session) ?? own.at(-1) ?? null;
  }

  #refreshSoon() {
    if (this.#refreshing) return;
    const wait = Math.max(0, this.#refreshedMs + REFRESH_EVERY_MS - performance.now());
    this.#refreshing = setTimeout(() => this.#refreshNow(), wait);
  }

  async #refreshNow() {
    clearTimeout(this.#refreshing);
    this.#refreshing = 0;
    this.#refreshedMs = performance.now();
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    await Promise.all([this.#refreshSessions(request.signal), this.#refreshVehicle(request.signal)]);
    if (!request.signal.aborted) this.#drawSoon();
  }

  async #refreshSessions(signal) {
    try {
      const { sessions } = await this.#ask.sessions(signal);
      this.#sessions = new Map(sessions.map((session) => [session.session, session]));
    } catch (error) {
      if (!isAbort(error)) this.#sessions = new Map(); // the connection badge already tells why
    }
  }

  async #refreshVehicle(signal) {
    const vehicle = this.#chosen?.vehicle;
    if (!vehicle) return;
    try {
      this.#told = { vehicle, ...(await this.#ask.vehicle(vehicle, signal)) };
    } catch (error) {
      if (isAbort(error)) return;
      this.#told = null;
      this.#details.showProblem(vehicle, error);
    }
  }
}
