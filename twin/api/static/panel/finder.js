/** The search box: vehicles and stalls of the moment shown by any part of their name, and number plates when a person asks. */

import { isAbort } from "../api.js";
import { html, say } from "../elements.js";
import { plural, shortId, words } from "../format.js";

const SHOWN = 8;
const SHORTEST_PLATE = 3;
const LONGEST_PLATE = 20;
const NOT_ALLOWED = 403;
const TYPED = "input, select, textarea, [contenteditable]";

export class Finder {
  #box;
  #list;
  #told;
  #state;
  #ask;
  #onPick;
  #request = null;

  /**
   * @param stateNow () => the state shown
   * @param ask (plate, signal) => promise of stays with that plate
   * @param onPick ({vehicle} | {stall}) => void: go there
   */
  constructor(root, stateNow, ask, onPick) {
    this.#box = root.querySelector("input[type=search]");
    this.#list = root.querySelector("ul");
    this.#told = root.querySelector("[role=status]");
    this.#state = stateNow;
    this.#ask = ask;
    this.#onPick = onPick;
    this.#box.addEventListener("input", () => this.#search());
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#list.querySelector("button")?.click();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPED)) return;
      event.preventDefault();
      this.#box.focus();
      this.#box.select();
    });
  }

  #search() {
    this.#request?.abort();
    const text = this.#box.value.trim();
    const found = text && this.#state() ? matches(this.#state(), text.toLowerCase()) : [];
    const plate = isPlate(text) ? [this.#plateEntry(text)] : [];
    this.#list.replaceChildren(...found.slice(0, SHOWN).map((one) => this.#entry(one)), ...plate);
    const nothing = "No vehicle or stall of that name at this moment";
    const more = found.length > SHOWN ? `, the first ${SHOWN} are listed` : "";
    say(this.#told, !text ? "" : found.length ? `${found.length === 1 ? "1 match" : `${found.length} matches`}${more}` : nothing);
  }

  #entry({ chosen, name, told }) {
    return this.#row(name, told, () => this.#leave(chosen));
  }

  /** A plate is personal: it is looked for when somebody asks, which is recorded, and not at every letter. */
  #plateEntry(text) {
    return this.#row(`Number plate “${text}”`, "Look for a stay with it", () => this.#findPlate(text));
  }

  async #findPlate(text) {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    say(this.#told, "Looking for the plate…");
    try {
      const { sessions } = await this.#ask(text, request.signal);
      if (request.signal.aborted) return;
      this.#list.replaceChildren(...sessions.slice(0, SHOWN).map((stay) => this.#row(stay.vehicle, stayTold(stay), () => this.#leave({ vehicle: stay.vehicle }))));
      say(this.#told, sessions.length > 0 ? `${plural(sessions.length, "stay")} with this plate` : "No stay that is open, or not paid yet, has this plate.");
      this.#list.querySelector("button")?.focus();
    } catch (error) {
      if (isAbort(error)) return;
      say(this.#told, error.status === NOT_ALLOWED ? "Plates may be looked for only with a key that may decide (operate)." : error.message);
    }
  }

  #row(name, told, onclick) {
    return html("li", {}, html("button", { type: "button", class: "row", onclick }, html("span", { class: "row-name" }, name), html("span", { class: "row-place" }, told)));
  }

  #leave(chosen) {
    this.#box.value = "";
    this.#search();
    this.#onPick(chosen);
  }

  #key(event) {
    if (event.key === "Escape") {
      this.#box.value = "";
      this.#search();
      this.#box.focus();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [this.#box, ...this.#list.querySelectorAll("button")];
    stops[Math.min(stops.length - 1, Math.max(0, stops.indexOf(document.activeElement) + step))].focus();
    event.preventDefault();
  }
}

function matches(state, text) {
  const vehicles = [...state.vehicles.values()].map(({ vehicle, kind, state: now }) => ({ chosen: { vehicle }, name: vehicle, told: `${words(kind)}, ${now}` }));
  const stalls = [...state.stalls.values()].map(({ stall, state: now }) => ({ chosen: { stall }, name: stall, told: `Stall, ${now}` }));
  const rank = ({ name }) => (name.toLowerCase().startsWith(text) ? 0 : 1);
  return [...vehicles, ...stalls].filter(({ name }) => name.toLowerCase().includes(text)).sort((a, b) => rank(a) - rank(b));
}

/** Whether a text may be a number plate: a few letters and digits with at least one digit, however set apart. */
function isPlate(text) {
  const bare = text.replaceAll(/[\s.·-]/g, "");
  return bare.length >= SHORTEST_PLATE && text.length <= LONGEST_PLATE && /^[\p{L}\p{N}]+$/u.test(bare) && /\d/.test(bare);
}

const stayTold = ({ session, status }) => `Stay ${shortId(session)}, ${status}`;
