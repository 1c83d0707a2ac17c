/** Two fields that say which moment a page is of: what was so then, and as known when. */

import { put, say } from "../elements.js";
import { localTime, milliseconds, rfc3339, timeOfDay } from "../format.js";
import { readQuery, writeQuery } from "./sheet.js";

const isPosition = (text) => /^\d+$/.test(text ?? "");

export class MomentForm {
  #form;
  #moment;
  #changed;

  /** @param {HTMLFormElement} form with fields `at` and `known_at`, a reset button and a note  @param changed () => void */
  constructor(form, changed) {
    this.#form = form;
    this.#changed = changed;
    this.follow();
    form.addEventListener("input", ({ target }) => delete target.dataset.exact);
    form.addEventListener("change", () => this.go(this.#read()));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.go(this.#read());
    });
    form.addEventListener("reset", (event) => {
      event.preventDefault(); // it would bring back the first page's moment
      this.go({ at: null, known_at: null });
    });
  }

  /** As the API takes it: {at, known_at}, null for "everything known". */
  get moment() {
    return this.#moment;
  }

  get isPast() {
    return this.#moment.at !== null || this.#moment.known_at !== null;
  }

  /** Take the moment from the address. */
  follow() {
    this.#moment = readQuery(["at", "known_at"]);
    this.#show();
  }

  /** Show another moment, and put it into the address. */
  go(moment) {
    this.#moment = moment;
    writeQuery(moment);
    this.#show();
    this.#changed();
  }

  #show() {
    for (const name of ["at", "known_at"]) {
      const field = this.#form.elements[name];
      const text = this.#moment[name];
      delete field.dataset.exact;
      field.value = isPosition(text) ? "" : localTime(text);
      if (text) field.dataset.exact = text;
    }
    put(this.#form, "data-past", this.isPast ? "true" : null);
    say(this.#form.querySelector("[role=status]"), momentInWords(this.#moment));
    put(this.#form.querySelector("[type=reset]"), "disabled", this.isPast ? null : "");
  }

  #read() {
    return Object.fromEntries(["at", "known_at"].map((name) => [name, timeGiven(this.#form.elements[name])]));
  }
}

/** "What was so at 14:03:20, as known at position 812." */
export function momentInWords({ at, known_at: knownAt }) {
  const known = isPosition(knownAt) ? `as known at position ${knownAt}` : knownAt && `as known at ${timeInWords(knownAt)}`;
  if (!at && !known) return "Now: everything that is known.";
  return `${[at ? `What was so at ${timeInWords(at)}` : "Everything", known].filter(Boolean).join(", ")}.`;
}

/** The address may ask for a time that is none: the service says so, this only quotes it. */
const timeInWords = (at) => (Number.isNaN(milliseconds(at)) ? `“${at}”` : timeOfDay(milliseconds(at)));

/** A time field's text in the API's way: exactly as the address had it until the person changes it; null where empty. */
export function timeGiven(field) {
  if (field.dataset.exact) return field.dataset.exact;
  return field.value ? rfc3339(new Date(field.value).getTime()) : null;
}
