/** One view of the map that is edited: shapes that can be chosen, corners that can be dragged, and the shape that is being drawn. */

import { put, svg } from "../elements.js";
import { Cross } from "../map/cross.js";
import { MapView } from "../map/view.js";
import { GROUPS, placesOf } from "./features.js";
import { moved } from "./shapes.js";
import { signsOf } from "./signs.js";
import { placeInWords, stepOnGround } from "./views.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }; // as drawn: y down
const CLOSE_PX = 10;

export class Canvas {
  #element;
  #view;
  #drawing;
  #shapes = svg("g", { class: "shapes" });
  #signs = svg("g", { class: "signs", "aria-hidden": "true" });
  #handles = svg("g", { class: "handles" });
  #draft = svg("path", { class: "draft" });
  #corners = svg("g", { class: "draft-corners", "aria-hidden": "true" });
  #drawn = new Map();
  #shown = null;
  #chosen = null;
  #listener;
  #cross;

  /**
   * @param {PlanView | PictureView} view
   * @param below what lies under the shapes and is not edited
   * @param {Drawing} drawing shared by all views
   * @param {{choose(kind, id), move(kind, id, points, isNew), remove(kind, id), snap(place, scale, id, isExact, view), told(text), step(view), about(snapped, place)}} listener
   */
  constructor(element, view, below, drawing, listener) {
    this.#element = element;
    this.#view = view;
    this.#drawing = drawing;
    this.#listener = listener;
    this.#cross = new Cross(element, {
      starts: (key) => drawing.tool !== null && key in ARROWS,
      step: () => listener.step(view),
      set: (place, isExact) => this.#set(place, isExact),
      finish: () => this.#finish(),
      back: () => drawing.back(),
      end: () => drawing.giveUp(),
      moved: (place) => this.#tellCross(place),
    });
    if (view.frame_px) this.#clip(...view.frame_px);
    element.replaceChildren(below, this.#shapes, this.#signs, this.#draft, this.#corners, this.#handles, this.#cross.element);
    this.#cross.within(new MapView(element, view.extent));
    element.addEventListener("click", (event) => this.#click(event));
    element.addEventListener("pointermove", (event) => drawing.tool !== null && this.#drawDraft(view.told(this.#svgOf(event)).point_m));
  }

  /** What lies outside of a picture is not drawn. */
  #clip(width, height) {
    this.#shapes.append(svg("clipPath", { id: "frame" }, svg("rect", { width, height })));
    for (const drawn of [this.#shapes, this.#signs]) put(drawn, "clip-path", "url(#frame)");
  }

  /** The keyboard's cross, in the middle of what is seen. */
  showCross() {
    this.#element.focus();
    this.#cross.show();
  }

  /** Draw what is drawn so far. */
  showDraft() {
    put(this.#element, "data-tool", this.#drawing.tool);
    if (this.#drawing.tool === null) this.#cross.hide();
    this.#drawDraft(null);
    const seen = this.#drawing.points.map((point) => this.#view.drawn(point)).filter(Boolean);
    this.#corners.replaceChildren(...seen.map((place) => svg("g", { transform: `translate(${place.join(" ")})` }, svg("g", { class: "fixed" }, svg("circle", { class: "draft-corner", r: 4 })))));
  }

  /** Draw all features of a level; `chosen` is {kind, id} or null. */
  show(all, level, chosen) {
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
    if (all !== this.#shown) this.#signs.replaceChildren(...signsOf(all, level, this.#view));
    this.#shown = all;
    this.#showHandles(chosen && all[GROUPS[chosen.kind]].find(({ id, level: on }) => id === chosen.id && on === level));
  }

  /** Put the keyboard's focus on a shape. */
  focus(kind, id) {
    this.#drawn.get(`${kind} ${id}`)?.focus();
  }

  #add(key, kind, id) {
    const shape = svg("path", { class: "shape", tabindex: 0, role: "button", "data-kind": kind, "data-id": id });
    shape.addEventListener("focus", () => this.#drawing.tool === null && this.#listener.choose(kind, id));
    shape.addEventListener("keydown", (event) => this.#shapeKey(event, kind, id, shape));
    this.#drawn.set(key, shape);
    const order = Object.keys(GROUPS); // zones lie under stalls, and those under lanes and portals
    const next = [...this.#shapes.children].find((other) => order.indexOf(other.dataset.kind) > order.indexOf(kind));
    this.#shapes.insertBefore(shape, next ?? null);
  }

  #drawShape(shape, kind, one) {
    const points = one[placesOf(kind)];
    if (shape.points !== points) {
      const { path, isSeen } = this.#view.outline(points, placesOf(kind) === "ring_m");
      put(shape, "d", path);
      put(shape, "display", isSeen ? null : "none");
      shape.points = points;
    }
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
      const place = this.#view.drawn(point);
      handle.points = points;
      handle.toggleAttribute("hidden", !place);
      if (place) put(handle, "transform", `translate(${place.join(" ")})`);
      put(handle, "aria-label", `Corner ${index + 1} at ${placeInWords(point)}`);
    });
  }

  #handle(index) {
    const handle = svg("g", { class: "handle", tabindex: 0, role: "button", "data-corner": index + 1 }, svg("g", { class: "fixed" }, svg("circle", { class: "mark-touch", r: 12 }), svg("rect", { class: "handle-body", x: -5, y: -5, width: 10, height: 10 })));
    handle.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") this.#withoutCorner(handle.points, index);
      else if (event.key in ARROWS) this.#stepped(event, [handle.points[index]], (by_m) => this.#moveCorner(handle.points, index, moved([handle.points[index]], by_m)[0], true));
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
      const { point_m, refusal } = this.#view.told(this.#svgOf(to));
      if (refusal) {
        this.#listener.told(refusal);
        return;
      }
      this.#moveCorner(handle.points, index, this.#listener.snap(point_m, this.#scale(), this.#chosen.id, to.altKey, this.#view), isNew);
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
    else if (event.key in ARROWS) this.#stepped(event, shape.points, (by_m) => this.#listener.move(kind, id, moved(shape.points, by_m), true));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** A step of an arrow key, as it is seen in this view, on the ground. */
  #stepped(event, points, take) {
    const step = this.#view.handleStep * (event.shiftKey ? 10 : event.altKey ? 0.1 : 1);
    const { by_m, refusal } = stepOnGround(this.#view, points, ARROWS[event.key].map((one) => one * step));
    if (refusal) this.#listener.told(refusal);
    else take(by_m);
  }

  #click(event) {
    if (this.#drawing.tool !== null) {
      this.#set(this.#svgOf(event), event.altKey);
      return;
    }
    const shape = event.target.closest(".shape");
    if (shape) this.#listener.choose(shape.dataset.kind, shape.dataset.id);
    else if (!event.target.closest(".handle")) this.#listener.choose(null, null);
  }

  /** Set a corner; the first one again ends the shape. Whether it was set. */
  #set(place, isExact) {
    const { point_m, refusal } = this.#view.told(place);
    if (refusal) {
      this.#listener.told(refusal);
      return false;
    }
    const point = this.#listener.snap(point_m, this.#scale(), null, isExact, this.#view);
    const first = this.#drawing.points.length > 2 && this.#view.drawn(this.#drawing.points[0]);
    const at = this.#view.drawn(point) ?? place;
    if (first && Math.hypot(first[0] - at[0], first[1] - at[1]) <= CLOSE_PX * this.#scale()) {
      this.#finish();
      return false;
    }
    this.#listener.told(`Corner ${this.#drawing.points.length + 1} at ${placeInWords(point)}.`);
    this.#drawing.add(point);
    return true;
  }

  #finish() {
    this.#drawing.finish();
  }

  #tellCross(place) {
    const { point_m, refusal } = this.#view.told(place);
    this.#listener.told(refusal ?? `Cross at ${placeInWords(point_m)}${this.#listener.about(this.#listener.snap(point_m, this.#scale(), null, false, this.#view), point_m)}.`);
    this.#drawDraft(point_m);
  }

  #drawDraft(next) {
    const points = next ? [...this.#drawing.points, next] : this.#drawing.points;
    put(this.#draft, "d", points.length > 1 ? this.#view.outline(points, false).path : null);
  }

  #svgOf({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.#element.getScreenCTM().inverse());
    return [x, y];
  }

  /** SVG units a screen pixel. */
  #scale() {
    return 1 / this.#element.getScreenCTM().a;
  }
}
