/** The form of conditions and evidence: offers what the site has, and says what the person chose. */

import { html } from "../elements.js";
import { localTime, rfc3339, words } from "../format.js";
import { COLOURS, CONDITIONS, EVIDENCE, KINDS } from "./question.js";

const CHOICES = ["kind", "colour", "camera"];
const TIMES = ["from", "until", "near_at"];

export class Filters {
  #form;

  /** @param {{changed()}} listener called after each choice, and when the person asks */
  constructor(form, site, listener) {
    this.#form = form;
    const cameras = site.cameras.map(({ id }) => id);
    this.#offerChoices({ kind: KINDS, colour: COLOURS, camera: cameras });
    this.#offer("zone", site.zones.map(({ id }) => id));
    this.#offer("near_camera", cameras);
    form.addEventListener("input", ({ target }) => delete target.dataset.exact);
    form.addEventListener("change", () => listener.changed());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      listener.changed();
    });
    form.addEventListener("reset", (event) => {
      event.preventDefault(); // it would bring back the first page's choices
      this.show({});
      listener.changed();
    });
    if (matchMedia("(max-width: 760px)").matches) for (const part of form.querySelectorAll("details")) part.open = false;
  }

  /** @param question conditions and evidence by name; see question.js */
  show(question) {
    for (const name of CHOICES) {
      const chosen = question[name]?.split(",") ?? [];
      for (const box of this.#form.querySelectorAll(`[name=${name}]`)) box.checked = chosen.includes(box.value);
    }
    for (const name of [...CONDITIONS, ...EVIDENCE].filter((one) => !CHOICES.includes(one))) this.#fill(this.#form.elements[name], question[name] ?? "");
  }

  read() {
    return Object.fromEntries([...CONDITIONS, ...EVIDENCE].map((name) => [name, CHOICES.includes(name) ? this.#checked(name) : this.#given(this.#form.elements[name])]));
  }

  #checked(name) {
    return [...this.#form.querySelectorAll(`[name=${name}]:checked`)].map(({ value }) => value).join(",") || null;
  }

  /** A field's text; times in the API's way, exactly as they were given until the person changes them. */
  #given(field) {
    if (field.dataset.exact) return field.dataset.exact;
    const text = field.value.trim();
    if (!text) return null;
    return TIMES.includes(field.name) ? rfc3339(new Date(text).getTime()) : text;
  }

  #fill(field, text) {
    delete field.dataset.exact;
    if (field.tagName === "SELECT" && text && ![...field.options].some(({ value }) => value === text)) field.append(option(text)); // the service says what is wrong with it
    field.value = TIMES.includes(field.name) ? localTime(text) : text;
    if (text && TIMES.includes(field.name)) field.dataset.exact = text;
  }

  #offer(name, values) {
    this.#form.elements[name].append(...values.map(option));
  }

  #offerChoices(choices) {
    for (const [name, values] of Object.entries(choices)) {
      const boxes = values.map((value) => html("label", { class: "choice" }, html("input", { type: "checkbox", name, value }), words(value)));
      this.#form.querySelector(`[data-choices=${name}]`).append(...boxes);
    }
  }
}

const option = (value) => html("option", { value }, words(value));
