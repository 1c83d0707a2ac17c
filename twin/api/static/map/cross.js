/**
 * A cross that keys move over a surface: for whoever sets points without a pointer.
 *
 * Arrows move it by a step, with Shift by ten, with Alt by a tenth of one; Enter sets a point, once more at the same place ends
 * what is drawn; Backspace takes the last point back; Escape ends. Places are in the surface's own SVG coordinates.
 */

import { put, svg } from "../elements.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Cross {
  element = svg("g", { class: "cross", "aria-hidden": "true", hidden: "" }, svg("g", { class: "fixed" }, svg("path", { class: "cross-halo", d: "M-16 0H-4M4 0H16M0-16V-4M0 4V16" }), svg("path", { class: "cross-line", d: "M-16 0H-4M4 0H16M0-16V-4M0 4V16" })));
  #surface;
  #place = null;
  #setAt = null;
  #view = null;
  #listener;

  /**
   * @param {SVGElement} surface what has the keyboard's focus while the cross is moved
   * @param {{starts(key), step(), set(place, isExact), finish(), back(), end(), moved(place)}} listener `starts`: whether a
   *   key shows the cross where it is not shown
   */
  constructor(surface, listener) {
    this.#surface = surface;
    this.#listener = listener;
    surface.addEventListener("keydown", (event) => this.#key(event));
    surface.addEventListener("click", () => this.hide()); // who clicks has a pointer
  }

  /** @param {MapView} view moved so that the cross stays in sight; it takes its keys after the cross */
  within(view) {
    this.#view = view;
  }

  get isShown() {
    return this.#place !== null;
  }

  /** In the middle of what is seen. */
  show() {
    const { x, y, width, height } = this.#surface.viewBox.baseVal;
    this.#to([x + width / 2, y + height / 2]);
  }

  hide() {
    this.#place = this.#setAt = null;
    put(this.element, "hidden", "");
  }

  #key(event) {
    if (event.target !== this.#surface || event.ctrlKey || event.metaKey) return; // a shape or a point has keys of its own
    if (!this.isShown && this.#listener.starts(event.key)) this.show();
    else if (!this.isShown) return;
    else if (event.key in ARROWS) this.#move(event);
    else if (event.key === "Enter") this.#set(event.altKey);
    else if (event.key === "Backspace" || event.key === "Delete") this.#back();
    else if (event.key === "Escape") {
      this.hide();
      this.#listener.end();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation(); // the view would move, and the page would end what is drawn
  }

  #move(event) {
    const step = this.#listener.step() * (event.shiftKey ? 10 : event.altKey ? 0.1 : 1);
    this.#to(this.#place.map((one, axis) => one + ARROWS[event.key][axis] * step));
  }

  #set(isExact) {
    if (this.#setAt && String(this.#setAt) === String(this.#place)) {
      this.#setAt = null;
      this.#listener.finish();
      return;
    }
    if (this.#listener.set(this.#place, isExact)) this.#setAt = this.#place;
  }

  #back() {
    this.#setAt = null;
    this.#listener.back();
  }

  #to(place) {
    this.#place = place.map((one) => Math.round(one * 1e4) / 1e4); // steps of a tenth do not add up in binary
    this.#setAt = String(this.#setAt) === String(this.#place) ? this.#setAt : null;
    put(this.element, "hidden", null);
    put(this.element, "transform", `translate(${this.#place.join(" ")})`);
    this.#view?.reveal([this.#place[0], -this.#place[1]]);
    this.#listener.moved(this.#place);
  }
}
