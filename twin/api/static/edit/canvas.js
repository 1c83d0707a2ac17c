/** The drawing: shapes that can be chosen, corners that can be dragged, and the shape that is being drawn. */

import { put, svg } from "../elements.js";
import { distance, linePath, planPoint, ringPath } from "../geometry.js";
import { MapView } from "../map/view.js";
import { GROUPS, placesOf } from "./features.js";
import { moved, rounded } from "./shapes.js";
import { signsOf } from "./signs.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const STEP_M = 0.1;
const CLOSE_PX = 10;
const MOST_CORNERS = { portal: 2, row: 2 };

export class Canvas {
  #element;
  #shapes = svg("g", { class: "shapes" });
  #signs = svg("g", { class: "signs", "aria-hidden": "true" });
  #handles = svg("g", { class: "handles" });
  #draft = svg("path", { class: "draft" });
  #drawn = new Map();
  #shown = null;
  #tool = null;
  #points = [];
  #chosen = null;
  #level;
  #listener;

  /**
   * @param below what lies under the shapes and is not edited
   * @param {{choose(kind, id), move(kind, id, points, isNew), remove(kind, id), done(tool, points), snap(place, scale, id, isExact), told(text)}} listener
   */
  constructor(element, extent_m, below, listener) {
    this.#element = element;
    this.#listener = listener;
    element.replaceChildren(below, this.#shapes, this.#signs, this.#draft, this.#handles);
    new MapView(element, extent_m);
    element.addEventListener("click", (event) => this.#click(event));
    element.addEventListener("pointermove", (event) => this.#tool && this.#drawDraft(this.#placeOf(event)));
    addEventListener("keydown", (event) => this.#tool && this.#drawingKey(event));
  }

  /** Begin to draw, or stop with null. */
  draw(tool) {
    this.#tool = tool;
    this.#points = [];
    this.#drawDraft(null);
    put(this.#element, "data-tool", tool);
  }

  /** Draw all features of a level; `chosen` is {kind, id} or null. */
  show(all, level, chosen) {
    this.#level = level;
    this.#chosen = chosen;
    const wanted = new Set();
    for (const [kind, group] of Object.entries(GROUPS)) {
      for (const one of all[group].filter((feature) => feature.level === level)) {
        const key = `${kind} ${one.id}`;
        wanted.add(key);
        if (!this.#drawn.has(key)) this.#add(key, kind, one.id);
        this.#drawShape(this.#drawn.get(key), kind, one);
      }
    }
    for (const [key, shape] of this.#drawn) {
      if (wanted.has(key)) continue;
      shape.remove();
      this.#drawn.delete(key);
    }
    if (all !== this.#shown) this.#signs.replaceChildren(...signsOf(all, level));
    this.#shown = all;
    this.#showHandles(chosen && all[GROUPS[chosen.kind]].find(({ id, level: on }) => id === chosen.id && on === level));
  }

  #add(key, kind, id) {
    const shape = svg("path", { class: "shape", tabindex: 0, role: "button", "data-kind": kind, "data-id": id });
    shape.addEventListener("focus", () => !this.#tool && this.#listener.choose(kind, id));
    shape.addEventListener("keydown", (event) => this.#shapeKey(event, kind, id, shape));
    this.#drawn.set(key, shape);
    const order = Object.keys(GROUPS); // zones lie under stalls, and those under lanes and portals
    const next = [...this.#shapes.children].find((other) => order.indexOf(other.dataset.kind) > order.indexOf(kind));
    this.#shapes.insertBefore(shape, next ?? null);
  }

  #drawShape(shape, kind, one) {
    const points = one[placesOf(kind)];
    shape.points = points;
    put(shape, "d", placesOf(kind) === "ring_m" ? ringPath(points) : linePath(points));
    put(shape, "data-zone-kind", kind === "zone" ? one.kind : null);
    put(shape, "data-chosen", this.#chosen?.kind === kind && this.#chosen.id === one.id ? "true" : null);
    put(shape, "aria-label", `${kind} ${one.id}`);
  }

  #showHandles(one) {
    const points = one ? one[placesOf(this.#chosen.kind)] : [];
    while (this.#handles.children.length < points.length) this.#handles.append(this.#handle(this.#handles.children.length));
    while (this.#handles.children.length > points.length) this.#handles.lastChild.remove();
    points.forEach((point, index) => {
      const handle = this.#handles.children[index];
      handle.points = points;
      put(handle, "transform", `translate(${planPoint(point).join(" ")})`);
      put(handle, "aria-label", `Corner ${index + 1} at ${point[0].toFixed(2)} m east, ${point[1].toFixed(2)} m north`);
    });
  }

  #handle(index) {
    const handle = svg("g", { class: "handle", tabindex: 0, role: "button", "data-corner": index + 1 }, svg("g", { class: "fixed" }, svg("circle", { class: "mark-touch", r: 12 }), svg("rect", { class: "handle-body", x: -5, y: -5, width: 10, height: 10 })));
    handle.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") this.#withoutCorner(handle.points, index);
      else if (event.key in ARROWS) this.#moveCorner(handle.points, index, moved([handle.points[index]], stepOf(event))[0], true);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    handle.addEventListener("pointerdown", (event) => this.#drag(event, handle, index));
    return handle;
  }

  #drag(event, handle, index) {
    if (event.button !== 0) return;
    event.stopPropagation(); // the view would move
    let isNew = true;
    handle.setPointerCapture(event.pointerId);
    const move = (to) => {
      this.#moveCorner(handle.points, index, this.#listener.snap(this.#placeOf(to), this.#scale(), this.#chosen.id, to.altKey), isNew);
      isNew = false;
    };
    const end = () => {
      handle.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) handle.removeEventListener(name, end);
    };
    handle.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) handle.addEventListener(name, end);
  }

  #moveCorner(points, index, place, isNew) {
    this.#listener.move(this.#chosen.kind, this.#chosen.id, points.map((point, one) => (one === index ? place : point)), isNew);
  }

  #withoutCorner(points, index) {
    const least = placesOf(this.#chosen.kind) === "ring_m" ? 3 : 2;
    if (points.length > least) this.#listener.move(this.#chosen.kind, this.#chosen.id, points.filter((_, one) => one !== index), true);
    else this.#listener.told(`A ${this.#chosen.kind} keeps at least ${least} corners.`);
  }

  #shapeKey(event, kind, id, shape) {
    if (event.key === "Delete" || event.key === "Backspace") this.#listener.remove(kind, id);
    else if (event.key in ARROWS) this.#listener.move(kind, id, moved(shape.points, stepOf(event)), true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #click(event) {
    if (!this.#tool) {
      const shape = event.target.closest(".shape");
      if (shape) this.#listener.choose(shape.dataset.kind, shape.dataset.id);
      else if (!event.target.closest(".handle")) this.#listener.choose(null, null);
      return;
    }
    const place = this.#listener.snap(this.#placeOf(event), this.#scale(), null, event.altKey);
    const [first] = this.#points;
    if (this.#points.length > 2 && distance(first, place) <= CLOSE_PX * this.#scale()) {
      this.#finish();
      return;
    }
    this.#points.push(place);
    this.#drawDraft(null);
    if (this.#points.length === MOST_CORNERS[this.#tool]) this.#finish();
  }

  #drawingKey(event) {
    if (event.key === "Escape") this.#listener.done(null, []);
    else if (event.key === "Enter" && !event.target.closest("button, input, select")) this.#finish();
  }

  #finish() {
    const least = placesOf(this.#tool) === "ring_m" ? 3 : 2;
    if (this.#points.length >= least) this.#listener.done(this.#tool, this.#points);
    else this.#listener.told(`A ${this.#tool} has at least ${least} corners; click on.`);
  }

  #drawDraft(next) {
    const points = next ? [...this.#points, next] : this.#points;
    put(this.#draft, "d", points.length > 1 ? linePath(points) : null);
  }

  #placeOf({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.#element.getScreenCTM().inverse());
    return [rounded(x), rounded(-y)];
  }

  #scale() {
    return 1 / this.#element.getScreenCTM().a;
  }
}

function stepOf(event) {
  const step = STEP_M * (event.shiftKey ? 10 : event.altKey ? 0.1 : 1);
  return ARROWS[event.key].map((one) => one * step);
}
