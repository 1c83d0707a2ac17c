/** The pairs as numbers that can be typed, with how well each fits. */

import { html, put, say } from "../elements.js";

const SIDES = [["pixel", 0, "pixel x", 1], ["pixel", 1, "pixel y", 1], ["ground", 0, "ground x, metres", 2], ["ground", 1, "ground y, metres", 2]];

export class PairTable {
  #body;
  #rows = [];
  #listener;

  /** @param {{move(index, side, point, isNew), remove(index), select(index)}} listener */
  constructor(body, listener) {
    this.#body = body;
    this.#listener = listener;
  }

  show(pairs, chosen) {
    while (this.#rows.length < pairs.length) {
      const row = this.#row(this.#rows.length);
      this.#rows.push(row);
      this.#body.append(row.element);
    }
    for (const { element } of this.#rows.splice(pairs.length)) element.remove();
    for (const [index, pair] of pairs.entries()) {
      const { element, inputs } = this.#rows[index];
      put(element, "data-chosen", index === chosen ? "true" : null);
      for (const [at, [side, axis, , digits]] of SIDES.entries()) {
        if (!pair[side] && this.#rows[index].pair === pair) continue; // one number of it may be typed already
        const text = pair[side] ? pair[side][axis].toFixed(digits) : "";
        if (document.activeElement !== inputs[at] && inputs[at].value !== text) inputs[at].value = text;
      }
      this.#rows[index].pair = pair;
    }
  }

  /** How well pairs fit, by their indexes; the others have no figures. `wrong`: indexes of pairs that were remarked on. */
  fit(fits, wrong) {
    for (const [index, { element, cells }] of this.#rows.entries()) {
      const one = fits.get(index);
      put(element, "data-wrong", wrong.includes(index) ? "true" : null);
      const told = one ? [one.off_px.toFixed(1), metres(one.off_m), metres(one.left_out_m)] : ["", "", ""];
      for (const [at, text] of told.entries()) say(cells[at], text);
    }
  }

  #row(index) {
    const inputs = SIDES.map(([side, axis, name]) => html("input", {
      type: "number", step: "any", "aria-label": `Pair ${index + 1}, ${name}`, onfocus: () => this.#listener.select(index),
      onchange: ({ target }) => this.#type(index, side, axis, target),
    }));
    const cells = Array.from({ length: 3 }, () => html("td", { class: "figure" }));
    const remove = html("button", { type: "button", class: "icon remove", "aria-label": `Take out pair ${index + 1}`, onclick: () => this.#listener.remove(index) }, "×");
    const element = html("tr", {}, html("th", { scope: "row" }, String(index + 1)), inputs.map((input) => html("td", {}, input)), cells, html("td", {}, remove));
    return { element, inputs, cells, pair: null };
  }

  #type(index, side, axis, input) {
    const other = this.#rows[index].inputs[SIDES.findIndex(([one, at]) => one === side && at === 1 - axis)];
    const [value, beside] = [input.valueAsNumber, other.valueAsNumber];
    if (!Number.isFinite(value) || !Number.isFinite(beside)) return;
    this.#listener.move(index, side, axis === 0 ? [value, beside] : [beside, value], true);
  }
}

const metres = (value) => (value === null ? "–" : value.toFixed(2));
