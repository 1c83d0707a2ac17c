/** What goes with a shape that is being drawn: its next corner typed as coordinates, and buttons for every key. */

import { put } from "../elements.js";

const PIXELS = 10; // of a picture, for a metre of the plan

export class DraftForm {
  #form;
  #drawing;

  /** @param {HTMLFormElement} form @param {Drawing} drawing @param told told what was typed wrong */
  constructor(form, drawing, told) {
    this.#form = form;
    this.#drawing = drawing;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#set(told);
    });
    const on = (name, action) => form.querySelector(`[name=${name}]`).addEventListener("click", action);
    on("back", () => drawing.back());
    on("finish", () => drawing.finish());
    on("give_up", () => drawing.giveUp());
  }

  /** Show it while something is drawn. */
  show() {
    this.#form.hidden = this.#drawing.tool === null;
    put(this.#form.querySelector("[name=back]"), "disabled", this.#drawing.points.length > 0 ? null : "");
  }

  /** How far a key moves the cross: metres on the plan, pixels in a picture. */
  step(view) {
    return Number(this.#form.elements.step.value) * (view.kind === "plan" ? 1 : PIXELS);
  }

  #set(told) {
    const { east_m, north_m } = this.#form.elements;
    const point = [east_m.valueAsNumber, north_m.valueAsNumber];
    if (!point.every(Number.isFinite)) {
      told("Give both metres: how far east, and how far north of the datum.");
      return;
    }
    told(`Corner ${this.#drawing.points.length + 1} at ${point[0].toFixed(2)} m east, ${point[1].toFixed(2)} m north.`);
    this.#drawing.add(point);
    if (this.#drawing.tool === null) return;
    east_m.focus();
    east_m.select();
  }
}
