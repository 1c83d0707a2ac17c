/** "As known": everything, what was known at the moment shown, at a time of one's own, or before a correction. */

import { html, put } from "../elements.js";
import { localTime, milliseconds, rfc3339 } from "../format.js";
import { atTime, whatChanged } from "./words.js";

const OFFERED = 30;

export class KnownChoice {
  #select;
  #time;
  #timeline;
  #corrections = [];
  #key = "";

  constructor(root, timeline) {
    this.#timeline = timeline;
    this.#select = root.querySelector("#known");
    this.#time = root.querySelector("#known-time");
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    this.#time.addEventListener("change", () => this.#chooseTime());
  }

  render(corrections) {
    this.#corrections = corrections;
    const { mode, knownAt, atMs, latestMs } = this.#timeline;
    const isLive = mode === "live";
    put(this.#select, "disabled", isLive ? "" : null);
    const near = isLive ? [] : nearest(corrections, atMs);
    const key = `${near.map(({ before }) => before).join()} ${knownAt} ${this.#time.hidden}`;
    if (key !== this.#key && document.activeElement !== this.#select) this.#offer(near, latestMs);
    this.#key = key;
    const value = this.#valueOf(knownAt);
    if (this.#select.value !== value && document.activeElement !== this.#select) this.#select.value = value;
    this.#time.hidden = isLive || value !== "time";
    if (value === "time" && document.activeElement !== this.#time) this.#time.value = localTime(knownAt);
  }

  #offer(near, latestMs) {
    const option = (value, text) => html("option", { value }, text);
    const { knownAt } = this.#timeline;
    const isElse = knownAt !== null && !["now", "then", "time"].includes(this.#valueOf(knownAt)) && !near.some(({ before }) => before === knownAt);
    const marks = near.map((one) => option(one.before, `${atTime(one, latestMs)} ${whatChanged(one)}`));
    this.#select.replaceChildren(
      option("now", "Everything known now"),
      option("then", "As known then"),
      option("time", "As known at a time…"),
      ...(isElse ? [option(knownAt, `As known at position ${knownAt}`)] : []),
      ...(marks.length > 0 ? [html("optgroup", { label: "Before a correction" }, marks)] : []),
    );
  }

  #valueOf(knownAt) {
    if (knownAt === null) return "now";
    if (knownAt === "then") return "then";
    return /^\d+$/.test(knownAt) ? knownAt : "time";
  }

  #choose(value) {
    this.#time.hidden = value !== "time";
    if (value === "time") {
      this.#time.value = localTime(rfc3339(this.#timeline.atMs));
      this.#chooseTime();
      this.#time.focus();
    } else {
      this.#timeline.knowAsOf(value === "now" ? null : value);
    }
  }

  #chooseTime() {
    const ms = Date.parse(this.#time.value);
    if (!Number.isNaN(ms)) this.#timeline.knowAsOf(rfc3339(ms));
  }
}

/** Those whose time is nearest to a moment, by time. */
export function nearest(corrections, atMs) {
  const away = ({ at }) => Math.abs(milliseconds(at) - atMs);
  return [...corrections].sort((a, b) => away(a) - away(b)).slice(0, OFFERED).sort((a, b) => (a.at < b.at ? -1 : 1));
}
