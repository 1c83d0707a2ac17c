/** The form of what is chosen. */

import { html } from "../elements.js";
import { placesOf } from "./features.js";
import { withCorner } from "./shapes.js";

const ZONE_KINDS = ["parking", "lane", "gate", "road"];
const ROLES = ["boundary", "level", "blind", "count"];
const DIRECTIONS = ["in", "out", "both"];

export class Properties {
  #form;
  #title;
  #listener;
  #isFixed;
  #shown = "";
  #areCornersOpen = false;
  #filling = 0;

  /**
   * @param {{change(kind, id, feature), move(kind, id, points, isNew), remove(kind, id), copy(kind, id)}} listener
   * @param {{isFixed: boolean}} how whether it can only be looked at
   */
  constructor(form, title, listener, { isFixed }) {
    this.#form = form;
    this.#title = title;
    this.#listener = listener;
    this.#isFixed = isFixed;
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Show a feature, or nothing with null; the form is made anew only where the feature has changed by other means. */
  show(kind, feature, site) {
    const shown = feature ? JSON.stringify([kind, feature]) : "";
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#title.textContent = feature ? `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${feature.id}` : "Nothing chosen";
    // Tab changes a field on its way to the next: that is still to get the focus, and must not be gone by then.
    clearTimeout(this.#filling);
    this.#filling = setTimeout(() => this.#fill(kind, feature, site));
  }

  #fill(kind, feature, site) {
    const focused = this.#form.contains(document.activeElement) ? document.activeElement.name : "";
    this.#form.replaceChildren(...(feature ? this.#fields(kind, feature, site) : []));
    if (this.#isFixed) for (const one of this.#form.elements) one.disabled = true;
    if (focused) this.#form.elements[focused]?.focus();
  }

  #fields(kind, feature, site) {
    const change = (name) => (value) => this.#listener.change(kind, feature.id, { ...feature, [name]: value });
    const own = {
      zone: () => [choice("Kind", feature.kind, ZONE_KINDS, change("kind"))],
      stall: () => [
        choice("Zone", feature.zone, site.zones.filter(({ level }) => level === feature.level).map(({ id }) => id), change("zone")),
        number("Heading of a vehicle parked nose-in, degrees from east", feature.heading_deg, change("heading_deg")),
      ],
      lane: () => [
        number("Width, m", feature.width_m, change("width_m")),
        check("One way, as it was drawn", feature.one_way, change("one_way")),
        text("Follows these lanes (by comma)", (feature.follows ?? []).join(", "), (value) => change("follows")(value.split(",").map((one) => one.trim()).filter(Boolean))),
        html("p", { class: "buttons" }, html("button", { type: "button", class: "link", onclick: () => change("line_m")([...feature.line_m].reverse()) }, "Turn it round")),
      ],
      portal: () => [
        choice("Role", feature.role, ROLES, change("role")),
        choice("Direction", feature.direction, DIRECTIONS, change("direction")),
        choice("To level", feature.to_level ?? "", ["", ...site.levels.map(({ id }) => id)], (value) => change("to_level")(value || null)),
        html("p", { class: "note" }, "Crossing from the right of its line to the left is “in”."),
        html("p", { class: "buttons" }, html("button", { type: "button", class: "link", onclick: () => change("line_m")([...feature.line_m].reverse()) }, "Turn it round")),
      ],
    };
    const buttons = html("p", { class: "buttons" },
      kind === "portal" ? null : html("button", { type: "button", class: "link", onclick: () => change(placesOf(kind))(withCorner(feature[placesOf(kind)], placesOf(kind) === "ring_m")) }, "Add a corner"),
      html("button", { type: "button", class: "link", onclick: () => this.#listener.copy(kind, feature.id) }, "Copy it beside"),
      html("button", { type: "button", class: "link", onclick: () => this.#listener.remove(kind, feature.id) }, "Take it out"),
    );
    return [text("Name", feature.id, change("id")), ...own[kind](), this.#corners(kind, feature), buttons];
  }

  /** Every corner as numbers that can be typed. */
  #corners(kind, feature) {
    const points = feature[placesOf(kind)];
    const input = (index, axis) => html("input", {
      type: "number", step: "any", name: `corner ${index} ${axis}`, value: points[index][axis],
      "aria-label": `Corner ${index + 1}, metres ${axis === 0 ? "east" : "north"}`,
      onchange: ({ target }) => Number.isFinite(target.valueAsNumber) && this.#listener.move(kind, feature.id, points.map((point, one) => (one === index ? point.with(axis, target.valueAsNumber) : point)), true),
    });
    const rows = points.map((_, index) => html("li", {}, input(index, 0), " ", input(index, 1)));
    return html("details", { class: "corners", open: this.#areCornersOpen ? "" : null, ontoggle: ({ target }) => (this.#areCornersOpen = target.open) }, html("summary", {}, "Corners, metres east and north"), html("ol", {}, rows));
  }
}

const field = (name, input) => {
  input.name = name;
  return html("label", { class: "field" }, `${name} `, input);
};

const text = (name, value, take) => field(name, html("input", { type: "text", value, maxlength: 100, onchange: ({ target }) => take(target.value) }));

const number = (name, value, take) => field(name, html("input", { type: "number", step: "any", value, onchange: ({ target }) => Number.isFinite(target.valueAsNumber) && take(target.valueAsNumber) }));

const check = (name, value, take) => html("label", { class: "choice" }, html("input", { type: "checkbox", name, checked: value ? "" : null, onchange: ({ target }) => take(target.checked) }), name);

function choice(name, value, values, take) {
  const offered = values.includes(value) ? values : [value, ...values];
  return field(name, html("select", { onchange: ({ target }) => take(target.value) }, offered.map((one) => html("option", { value: one, selected: one === value ? "" : null }, one || "none"))));
}
