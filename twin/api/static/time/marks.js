/** Marks on the slider where corrections changed the past: one stop of Tab, arrows go from mark to mark. */

import { html, put } from "../elements.js";
import { milliseconds, plural, timeOfDay } from "../format.js";
import { clustersOf } from "./clusters.js";
import { told } from "./words.js";

const ROOM_PX = 26; // what is pressed is 24 px wide

/** What tells one mark from another: which corrections it is of. */
const correctionsIn = (corrections) => `${corrections.length} ${corrections[0].before} ${corrections.at(-1).after}`;

export class Marks {
  #root;
  #onChoose;
  #key = "";
  #drawnMs = 0; // the line's end when they were set
  #buttons = [];
  #at = 0; // which mark Tab reaches

  /** @param onChoose (corrections) => void: those of a mark */
  constructor(root, onChoose) {
    this.#root = root;
    this.#onChoose = onChoose;
    root.addEventListener("keydown", (event) => this.#step(event));
    root.addEventListener("focusin", ({ target }) => this.#rove(Math.max(0, this.#buttons.indexOf(target)), false));
  }

  /** Focus the mark that Tab reaches; false where there is none. */
  focus() {
    this.#buttons[this.#at]?.focus();
    return this.#buttons.length > 0;
  }

  render(corrections, firstMs, latestMs) {
    const widthPx = this.#root.clientWidth;
    if (firstMs === null || widthPx === 0) return;
    // The line grows while live: marks are set anew once the last moment of before has moved by so much.
    const moved_px = widthPx * Math.abs(1 - (this.#drawnMs - firstMs) / Math.max(1, latestMs - firstMs));
    const key = `${corrections.length} ${corrections.at(-1)?.after} ${widthPx} ${firstMs}`;
    if (key === this.#key && moved_px < ROOM_PX / 4) return;
    this.#key = key;
    this.#drawnMs = latestMs;
    const clusters = clustersOf(corrections, { firstMs, latestMs, widthPx, roomPx: ROOM_PX });
    this.#show(clusters, latestMs);
  }

  /** A mark of the same corrections stays the same element: a click on it and the focus survive. */
  #show(clusters, latestMs) {
    const hadFocus = this.#root.contains(document.activeElement);
    const kept = new Map(this.#buttons.map((button) => [button.dataset.of, button]));
    const reached = this.#buttons[this.#at];
    this.#buttons = clusters.map(({ share, corrections }) => {
      const button = kept.get(correctionsIn(corrections)) ?? this.#mark(corrections, latestMs);
      put(button, "data-side", share > 0.5 ? "left" : "right");
      button.style.setProperty("--share", share);
      return button;
    });
    const now = new Set(this.#buttons);
    for (const button of kept.values()) if (!now.has(button)) button.remove();
    this.#buttons.forEach((button, i) => this.#root.children[i] === button || this.#root.insertBefore(button, this.#root.children[i] ?? null));
    this.#at = now.has(reached) ? this.#buttons.indexOf(reached) : Math.min(this.#at, Math.max(0, this.#buttons.length - 1));
    this.#rove(this.#at, hadFocus && !this.#root.contains(document.activeElement));
  }

  #mark(corrections, latestMs) {
    const n = corrections.length;
    const [first, last] = [corrections[0], corrections.at(-1)].map(({ at }) => timeOfDay(milliseconds(at), latestMs));
    const text = n === 1 ? told(corrections[0], latestMs) : `${plural(n, "correction")}, ${first} to ${last}`;
    const isPersons = corrections.some(({ by }) => by !== "twin");
    return html("button", {
      type: "button", class: "mark", "aria-label": `Correction ${text}`, "data-tip": text, "data-n": n, "data-of": correctionsIn(corrections), "data-by": isPersons ? "person" : "twin",
      onclick: () => this.#onChoose(corrections),
    }, n > 1 ? html("span", { "aria-hidden": "true" }, n > 99 ? "99+" : String(n)) : null);
  }

  #step(event) {
    const steps = { ArrowRight: this.#at + 1, ArrowLeft: this.#at - 1, Home: 0, End: this.#buttons.length - 1 };
    if (!(event.key in steps) || this.#buttons.length === 0) return;
    event.preventDefault();
    this.#rove(Math.min(this.#buttons.length - 1, Math.max(0, steps[event.key])), true);
  }

  #rove(at, withFocus) {
    this.#at = at;
    this.#buttons.forEach((button, i) => put(button, "tabindex", i === at ? "0" : "-1"));
    if (withFocus) this.#buttons[at]?.focus();
  }
}
