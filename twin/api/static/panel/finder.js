/** The search box: vehicles and stalls of the moment shown, by any part of their name. */

import { html, say } from "../elements.js";
import { words } from "../format.js";

const SHOWN = 8;

export class Finder {
  #box;
  #list;
  #told;
  #state;
  #onPick;

  /** @param stateNow () => the state shown */
  constructor(root, stateNow, onPick) {
    this.#box = root.querySelector("input[type=search]");
    this.#list = root.querySelector("ul");
    this.#told = root.querySelector("[role=status]");
    this.#state = stateNow;
    this.#onPick = onPick;
    this.#box.addEventListener("input", () => this.#search());
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#list.querySelector("button")?.click();
    });
  }

  #search() {
    const text = this.#box.value.trim().toLowerCase();
    const found = text ? matches(this.#state(), text) : [];
    this.#list.replaceChildren(...found.slice(0, SHOWN).map((one) => this.#entry(one)));
    const nothing = "No vehicle or stall of that name at this moment";
    say(this.#told, !text ? "" : found.length ? found.length === 1 ? "1 match" : `${found.length} matches` : nothing);
  }

  #entry({ chosen, name, told }) {
    const pick = () => {
      this.#box.value = "";
      this.#search();
      this.#onPick(chosen);
    };
    return html("li", {}, html("button", { type: "button", class: "row", onclick: pick }, html("span", { class: "row-name" }, name), html("span", { class: "row-place" }, told)));
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
