/** Marks on the slider where corrections changed the past: one stop of Tab, arrows go from mark to mark. */

import { html, put } from "../elements.js";
import { milliseconds, plural, timeOfDay } from "../format.js";
import { clustersOf } from "./clusters.js";
import { told } from "./words.js";

const ROOM_PX = 26; // what is pressed is 24 px wide

export class Marks {
  #root;
  #onChoose;
  #key = "";
  #buttons = [];
  #at = 0; // which mark Tab reaches

  /** @param onChoose (corrections) => void: those of a mark */
  constructor(root, onChoose) {
    this.#root = root;
    this.#onChoose = onChoose;
    root.addEventListener("keydown", (event) => this.#step(event));
  }

  render(corrections, firstMs, latestMs) {
    const widthPx = this.#root.clientWidth;
    if (firstMs === null || widthPx === 0) return;
    // The line grows while live: marks are set anew when one would move by more than half of its own width.
    const grain_ms = Math.max(1, ((latestMs - firstMs) / widthPx) * (ROOM_PX / 4));
    const key = `${corrections.length} ${corrections.at(-1)?.after} ${widthPx} ${firstMs} ${Math.floor(latestMs / grain_ms)}`;
    if (key === this.#key) return;
    this.#key = key;
    const clusters = clustersOf(corrections, { firstMs, latestMs, widthPx, roomPx: ROOM_PX });
    this.#show(clusters, latestMs);
  }

  #show(clusters, latestMs) {
    const hadFocus = this.#root.contains(document.activeElement);
    this.#buttons = clusters.map(({ share, corrections }) => this.#mark(share, corrections, latestMs));
    this.#root.replaceChildren(...this.#buttons);
    this.#at = Math.min(this.#at, Math.max(0, this.#buttons.length - 1));
    this.#rove(this.#at, hadFocus);
  }

  #mark(share, corrections, latestMs) {
    const n = corrections.length;
    const [first, last] = [corrections[0], corrections.at(-1)].map(({ at }) => timeOfDay(milliseconds(at), latestMs));
    const text = n === 1 ? told(corrections[0], latestMs) : `${plural(n, "correction")}, ${first} to ${last}`;
    const isPersons = corrections.some(({ by }) => by !== "twin");
    const mark = html("button", {
      type: "button", class: "mark", "aria-label": `Correction ${text}`, "data-tip": text, "data-n": n, "data-by": isPersons ? "person" : "twin",
      "data-side": share > 0.5 ? "left" : "right", onclick: () => this.#onChoose(corrections),
    }, n > 1 ? html("span", { "aria-hidden": "true" }, n > 99 ? "99+" : String(n)) : null);
    mark.style.setProperty("--share", share);
    return mark;
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
