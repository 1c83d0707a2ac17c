/**
 * What part of the plan is seen, and how it is moved: wheel, pinch, drag and keys.
 *
 * The view box always has the element's own aspect, so one metre is `scale` pixels both ways. The style
 * property --px is metres a pixel; groups of class "fixed" scale by it and so keep their size on screen.
 */

import { put } from "../elements.js";

const MARGIN_PX = 36;
const DRAG_FROM_PX = 4; // a shorter movement of the pointer is a click
const KEY_PAN_PX = 60;
const KEY_ZOOM = 1.3;
const LARGEST_SCALE = 120;
const FLIGHT_MS = 450;
const LABELS_FROM = { mid: 8, near: 20 }; // pixels a metre from which stalls and all vehicles are labelled

const prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");

export class MapView {
  #element;
  #extent_m; // minx, miny, maxx, maxy of the site, site frame
  #centre = [0, 0]; // plan coordinates
  #scale = 10;
  #size = [0, 0];
  #pointers = new Map();
  #isDragged = false;
  #isFitted = true;
  #flight = 0;
  #onChange;

  constructor(element, extent_m, onChange = () => {}) {
    this.#element = element;
    this.#extent_m = extent_m;
    this.#onChange = onChange;
    this.#listen();
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width, contentRect.height)).observe(element);
  }

  /** Show the whole site. */
  fit() {
    const [minx, miny, maxx, maxy] = this.#extent_m;
    const [width, height] = this.#size.map((length) => Math.max(40, length - 2 * MARGIN_PX));
    this.#isFitted = true;
    this.#set([(minx + maxx) / 2, -(miny + maxy) / 2], Math.min(width / (maxx - minx || 1), height / (maxy - miny || 1)));
  }

  zoom(factor, about = [this.#size[0] / 2, this.#size[1] / 2]) {
    const before = this.#planAt(about);
    const scale = Math.min(LARGEST_SCALE, Math.max(this.#smallestScale(), this.#scale * factor));
    this.#isFitted = false;
    this.#set([before[0] - (about[0] - this.#size[0] / 2) / scale, before[1] - (about[1] - this.#size[1] / 2) / scale], scale);
  }

  pan([dx, dy]) {
    this.#isFitted = false;
    this.#set([this.#centre[0] - dx / this.#scale, this.#centre[1] - dy / this.#scale], this.#scale);
  }

  /** Bring a point into view, and near enough to be made out; a point already well in view stays where it is. */
  reveal([x, y]) {
    const [px, py] = [(x - this.#centre[0]) * this.#scale, (-y - this.#centre[1]) * this.#scale];
    const isInside = Math.abs(px) < this.#size[0] / 2 - MARGIN_PX && Math.abs(py) < this.#size[1] / 2 - MARGIN_PX;
    if (isInside) return;
    this.#isFitted = false;
    this.#set([x, -y], this.#scale);
  }

  /** Go to a point, near enough that names can be read; at once for who wants no motion. */
  flyTo([x, y]) {
    const [from, fromScale, to] = [this.#centre, this.#scale, Math.max(this.#scale, LABELS_FROM.near)];
    const beganMs = performance.now();
    this.#isFitted = false;
    cancelAnimationFrame(this.#flight);
    const step = () => {
      const share = prefersStillness.matches ? 1 : Math.min(1, (performance.now() - beganMs) / FLIGHT_MS);
      const eased = share * share * (3 - 2 * share);
      const scale = fromScale * (to / fromScale) ** eased;
      // The target moves straight over the screen while all grows.
      const left = share === 1 ? 0 : ((1 - eased) * fromScale) / scale;
      this.#set([x + (from[0] - x) * left, -y + (from[1] + y) * left], scale);
      if (share < 1) this.#flight = requestAnimationFrame(step);
    };
    step();
  }

  #listen() {
    const element = this.#element;
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
    // The click that ends a drag chooses nothing.
    element.addEventListener("click", (event) => this.#isDragged && event.stopPropagation(), { capture: true });
    this.takeKeysOf(element);
  }

  /** Move by the keys that are pressed in another element as well: one that stands for what is on the map. */
  takeKeysOf(element) {
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
    // Browsers report a trackpad's pinch as a wheel with Ctrl, in much smaller numbers.
    this.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0015)), this.pixelOf(event));
  }

  #press(event) {
    cancelAnimationFrame(this.#flight);
    if (event.pointerType === "mouse" && event.button !== 0) return;
    if (this.#pointers.size === 0) this.#isDragged = false;
    this.#pointers.set(event.pointerId, { start: this.pixelOf(event), last: this.pixelOf(event) });
  }

  #drag(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    const now = this.pixelOf(event);
    if (!this.#isDragged && Math.hypot(now[0] - pointer.start[0], now[1] - pointer.start[1]) < DRAG_FROM_PX) return;
    if (!this.#isDragged) {
      this.#isDragged = true;
      this.#element.setPointerCapture(event.pointerId);
    }
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, other]) => other.last);
    if (others.length === 0) this.pan([now[0] - pointer.last[0], now[1] - pointer.last[1]]);
    else this.#pinch(pointer.last, now, others[0]);
    pointer.last = now;
  }

  #pinch(before, now, other) {
    const spread = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
    this.pan([(now[0] - before[0]) / 2, (now[1] - before[1]) / 2]);
    this.zoom(spread(now) / spread(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pans = { ArrowLeft: [KEY_PAN_PX, 0], ArrowRight: [-KEY_PAN_PX, 0], ArrowUp: [0, KEY_PAN_PX], ArrowDown: [0, -KEY_PAN_PX] };
    if (event.key in pans) this.pan(pans[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(KEY_ZOOM);
    else if (event.key === "-") this.zoom(1 / KEY_ZOOM);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  #resize(width, height) {
    if (width === 0 || height === 0) return; // hidden; the next size counts
    this.#size = [width, height];
    if (this.#isFitted) this.fit();
    else this.#set(this.#centre, this.#scale);
  }

  #set(centre, scale) {
    this.#centre = centre;
    this.#scale = scale;
    const [width, height] = this.#size.map((length) => length / scale);
    put(this.#element, "viewBox", `${centre[0] - width / 2} ${centre[1] - height / 2} ${width} ${height}`);
    this.#element.style.setProperty("--px", 1 / scale);
    const zoom = scale >= LABELS_FROM.near ? "near" : scale >= LABELS_FROM.mid ? "mid" : "far";
    put(this.#element, "data-zoom", zoom);
    this.#onChange({ centre, scale, size: this.#size, zoom });
  }

  #smallestScale() {
    const [minx, miny, maxx, maxy] = this.#extent_m;
    return Math.min(this.#size[0], this.#size[1]) / (6 * Math.max(maxx - minx, maxy - miny, 1));
  }

  #planAt([px, py]) {
    return [this.#centre[0] + (px - this.#size[0] / 2) / this.#scale, this.#centre[1] + (py - this.#size[1] / 2) / this.#scale];
  }

  /** Where a pointer is, in CSS pixels of the map. */
  pixelOf(event) {
    const { left, top } = this.#element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }
}
