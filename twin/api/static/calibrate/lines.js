/** Lines that are straight in the world, drawn over the picture; their bends tell the lens. */

import { html, svg } from "../elements.js";
import { pixelPath } from "./plan.js";

const LEAST_POINTS = 3;

export class Lines {
  element = svg("g", { class: "straight-lines" });
  #open = null;
  #button;
  #list;
  #onDone;

  /** @param {(points) => void} onDone told of a finished line of at least three points */
  constructor(button, list, onDone) {
    this.#button = button;
    this.#list = list;
    this.#onDone = onDone;
    button.addEventListener("click", () => this.#toggle());
    addEventListener("keydown", ({ key, target }) => {
      // On a button Enter is a click.
      if (this.isOpen && key === "Enter" && !target.closest("button")) this.#toggle();
      else if (this.isOpen && key === "Escape") this.#end();
    });
  }

  get isOpen() {
    return this.#open !== null;
  }

  get hasPoints() {
    return this.isOpen && this.#open.length > 0;
  }

  /** One more point of the line that is being drawn. */
  extend(point) {
    this.#open.push(point);
    this.#drawOpen();
  }

  /** Take the last point of it back. */
  back() {
    this.#open.pop();
    this.#drawOpen();
  }

  /** End it: at least three points are a line. */
  finish() {
    this.#toggle();
  }

  /** Give it up. */
  giveUp() {
    this.#end();
  }

  show(lines, onRemove) {
    const paths = lines.map((points) => svg("path", { class: "straight-line", d: pixelPath(points) }));
    this.element.replaceChildren(...paths);
    this.#list.replaceChildren(...lines.map((points, index) => html("li", {}, `Line ${index + 1}, ${points.length} points `, html("button", { type: "button", class: "link", onclick: () => onRemove(index) }, "Take out"))));
    this.#drawOpen();
  }

  #toggle() {
    if (!this.isOpen) {
      this.#open = [];
      this.#button.setAttribute("aria-pressed", "true");
      this.#button.textContent = "Finish the line (Enter)";
      return;
    }
    const points = this.#open;
    this.#end();
    if (points.length >= LEAST_POINTS) this.#onDone(points);
  }

  #end() {
    this.#open = null;
    this.#button.setAttribute("aria-pressed", "false");
    this.#button.textContent = "Draw a straight line";
    this.#drawOpen();
  }

  #drawOpen() {
    this.element.querySelector(".open-line")?.remove();
    if (this.isOpen && this.#open.length > 0) this.element.append(svg("path", { class: "straight-line open-line", d: pixelPath(this.#open) }));
  }
}
