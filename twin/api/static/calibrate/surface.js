/**
 * A picture or a plan that points are placed on: click, drag and keys.
 *
 * Points are in the surface's own units (pixels, or metres of the site frame); `drawn` and `told` turn them into the
 * coordinates that SVG draws in, and back.
 */

import { put, svg } from "../elements.js";
import { Cross } from "../map/cross.js";
import { MapView } from "../map/view.js";

const CROSS_STEPS = 10; // steps of a point that is moved, for one of the cross
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }; // as drawn: y down

export class Surface {
  below = svg("g", { class: "below" });
  #cross;
  #element;
  #marks = svg("g", { class: "marks" });
  #markers = [];
  #side;
  #units;
  #listener;

  /**
   * @param {SVGElement} element
   * @param {"pixel" | "ground"} side
   * @param {{extent, step, digits, drawn(point), told(point), say(point)}} units
   * @param {{place(side, point, {isExact, scale}), move(index, side, point, isNew), remove(index), select(index), mayStart(), back(), finish(), end(), told(text)}} listener
   */
  constructor(element, side, units, listener) {
    this.#element = element;
    this.#side = side;
    this.#units = units;
    this.#listener = listener;
    this.#cross = this.#crossOver(element);
    element.replaceChildren(this.below, this.#marks, this.#cross.element);
    this.#cross.within(new MapView(element, units.extent));
    element.addEventListener("click", (event) => {
      if (event.target.closest(".mark")) return;
      listener.place(side, this.#pointOf(event), { isExact: event.altKey, scale: this.#scale() });
    });
  }

  /** The keyboard's cross, in the middle of what is seen. */
  showCross() {
    this.#element.focus();
    this.#cross.show();
  }

  /** Draw the points of all pairs; null is one that is not placed yet. `whole` are the pairs that have both sides. */
  show(points, whole, chosen) {
    while (this.#markers.length < points.length) {
      const marker = this.#marker(this.#markers.length);
      this.#markers.push(marker);
      this.#marks.append(marker); // those that are there stay there, or they would lose the focus
    }
    for (const marker of this.#markers.splice(points.length)) marker.remove();
    for (const [index, point] of points.entries()) {
      const marker = this.#markers[index];
      marker.toggleAttribute("hidden", !point);
      if (!point) continue;
      put(marker, "transform", `translate(${this.#units.drawn(point).join(" ")})`);
      put(marker, "aria-label", `Pair ${index + 1}, ${this.#units.say(point)}`);
      put(marker, "data-half", whole.includes(index) ? null : "true");
      put(marker, "data-chosen", index === chosen ? "true" : null);
      marker.point = point;
    }
  }

  #crossOver(element) {
    const listener = this.#listener;
    return new Cross(element, {
      starts: (key) => key === "Enter" && listener.mayStart(),
      step: () => this.#units.step * CROSS_STEPS,
      set: (place, isExact) => {
        listener.place(this.#side, this.#rounded(this.#units.told(place)), { isExact, scale: this.#scale() });
        return true;
      },
      finish: () => listener.finish(),
      back: () => listener.back(),
      end: () => listener.end(),
      moved: (place) => listener.told(`Cross ${this.#units.say(this.#rounded(this.#units.told(place)))}.`),
    });
  }

  #marker(index) {
    const marker = svg("g", { class: "mark", tabindex: 0, role: "button", "data-pair": index + 1 },
      svg("g", { class: "fixed" },
        svg("circle", { class: "mark-touch", r: 14 }),
        svg("path", { class: "mark-cross", d: "M-9 0H-3M3 0H9M0-9V-3M0 3V9" }),
        svg("circle", { class: "mark-ring", r: 9 }),
        svg("text", { class: "label mark-number", x: 12, y: -7 }, String(index + 1)),
      ),
    );
    marker.addEventListener("focus", () => this.#listener.select(index));
    marker.addEventListener("keydown", (event) => this.#key(event, index, marker));
    marker.addEventListener("pointerdown", (event) => this.#drag(event, index, marker));
    return marker;
  }

  #key(event, index, marker) {
    if (event.key === "Delete" || event.key === "Backspace") this.#listener.remove(index);
    else if (event.key in ARROWS) {
      const step = this.#units.step * (event.shiftKey ? 10 : event.altKey ? 0.1 : 1);
      const [x, y] = this.#units.drawn(marker.point);
      const [dx, dy] = ARROWS[event.key];
      this.#listener.move(index, this.#side, this.#rounded(this.#units.told([x + dx * step, y + dy * step])), true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #drag(event, index, marker) {
    if (event.button !== 0) return;
    event.stopPropagation(); // the view would move
    const [fromX, fromY] = this.#drawnOf(event);
    const [x, y] = this.#units.drawn(marker.point);
    let isNew = true;
    marker.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const [toX, toY] = this.#drawnOf(moved);
      this.#listener.move(index, this.#side, this.#rounded(this.#units.told([x + toX - fromX, y + toY - fromY])), isNew);
      isNew = false;
    };
    const end = () => {
      marker.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) marker.removeEventListener(name, end);
    };
    marker.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) marker.addEventListener(name, end);
  }

  #drawnOf({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.#element.getScreenCTM().inverse());
    return [x, y];
  }

  #pointOf(event) {
    return this.#rounded(this.#units.told(this.#drawnOf(event)));
  }

  #rounded(point) {
    return point.map((value) => Number(value.toFixed(this.#units.digits)) + 0);
  }

  /** Units a screen pixel. */
  #scale() {
    return 1 / this.#element.getScreenCTM().a;
  }
}
