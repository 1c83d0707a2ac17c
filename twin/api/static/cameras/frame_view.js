/** One camera's picture with what was seen in it, and the plan over it; in pixels of the full frame, however small it is shown. */

import { html, put, svg } from "../elements.js";
import { shortId } from "../format.js";
import { linePath } from "../geometry.js";

const CROSS = "M-6 0H6M0-6V6";
const LINE_PX = 15; // of a label, on the screen
const ROOMY_PX = 92; // a box so wide has room for all that is said of it

export class FrameView {
  #surface;
  #image = svg("image", { class: "frame-picture" });
  #plan = svg("g", { class: "frame-plan" });
  #boxes = svg("g", { class: "frame-boxes" });
  #frame_px;
  #hasLabels;
  #told = null;
  #selected = null;
  #px = 1;

  /**
   * @param {SVGElement} surface
   * @param {{hasLabels?: boolean, pick?(vehicle)}} how `pick`: a click on the box of a vehicle that has a name
   */
  constructor(surface, frame_px, { hasLabels = false, pick = null } = {}) {
    this.#surface = surface;
    this.#hasLabels = hasLabels;
    surface.append(this.#image, this.#plan, this.#boxes);
    this.setFrame(frame_px);
    new ResizeObserver(() => this.#resize()).observe(surface);
    if (pick) this.#boxes.addEventListener("click", ({ target }) => pick(target.closest("[data-vehicle]")?.dataset.vehicle ?? null));
  }

  /** Another camera: nothing of the one before stays. */
  setFrame([width, height]) {
    this.#frame_px = [width, height];
    put(this.#surface, "viewBox", `0 0 ${width} ${height}`);
    this.#surface.style.aspectRatio = `${width} / ${height}`;
    for (const [name, value] of Object.entries({ width, height })) put(this.#image, name, value);
    put(this.#image, "preserveAspectRatio", "none"); // it may be a pixel off the frame's shape, where it was made smaller
    put(this.#image, "href", null);
    this.#told = null;
    this.#plan.replaceChildren();
    this.#boxes.replaceChildren();
    this.#resize();
  }

  /** A picture, by its address, with its own boxes. */
  show(told, url) {
    put(this.#image, "href", url);
    this.#told = told;
    this.#draw();
  }

  /** @param lines as the API tells them */
  showPlan(lines) {
    this.#plan.replaceChildren(...lines.map(({ kind, id, points_px }) => svg("path", { "data-kind": kind, "data-id": id, d: linePath(points_px.map(([x, y]) => [x, -y])) }, svg("title", {}, `${kind} ${id}`))));
  }

  select(vehicle) {
    this.#selected = vehicle;
    this.#draw();
  }

  #draw() {
    this.#boxes.replaceChildren(...(this.#told?.boxes ?? []).map((box) => this.#box(box)));
  }

  #box({ tracklet, vehicle, kind, score, box_px: [x1, y1, x2, y2], contact_px }) {
    const isSelected = vehicle !== null && vehicle === this.#selected;
    return svg("g", { class: "frame-box", "data-tracklet": tracklet, "data-vehicle": vehicle, "data-selected": isSelected ? "true" : null },
      svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }, svg("title", {}, `${vehicle ?? "not named yet"}: ${kind}, ${percent(score)}, ${tracklet}`)),
      contact_px ? svg("g", { class: "contact", transform: `translate(${contact_px[0]} ${contact_px[1]})` }, svg("g", { class: "fixed" }, svg("path", { d: CROSS }))) : null,
      this.#hasLabels ? this.#label([x1, y1, x2], vehicle, `${kind} ${percent(score)}`, trackNumber(tracklet), isSelected) : null,
    );
  }

  /** Above the box, or within it where the frame ends; of a small box only who it is, as its neighbours are near. */
  #label([x1, y1, x2], vehicle, words, number, isSelected) {
    const isRoomy = isSelected || (x2 - x1) / this.#px >= ROOMY_PX;
    const lines = [vehicle && ["box-name", shortId(vehicle)], isRoomy ? ["box-words", `${words} ${number}`] : !vehicle && ["box-words", number]].filter(Boolean);
    const isInside = y1 < lines.length * LINE_PX * this.#px;
    const isAtTheEnd = this.#frame_px[0] - x1 < ROOMY_PX * this.#px;
    const first = isInside ? LINE_PX : -6 - (lines.length - 1) * LINE_PX;
    const text = lines.map(([name, line], i) => svg("tspan", { class: name, x: isAtTheEnd ? -3 : 3, y: first + i * LINE_PX }, line));
    return svg("g", { class: "box-label", transform: `translate(${isAtTheEnd ? Math.min(x2, this.#frame_px[0]) : x1} ${y1})` },
      svg("g", { class: "fixed" }, svg("text", { "text-anchor": isAtTheEnd ? "end" : null }, text)),
    );
  }

  #resize() {
    const { width } = this.#surface.getBoundingClientRect();
    if (width === 0) return;
    this.#px = this.#frame_px[0] / width;
    this.#surface.style.setProperty("--px", this.#px);
    this.#draw(); // a label needs so many pixels of the frame
  }
}

export const percent = (share) => `${Math.round(share * 100)} %`;

/** "#12" of "aisle-2:1767268800:12": the camera and its boot are the same for all of a picture. */
export const trackNumber = (tracklet) => `#${tracklet.split(/[:.]/).at(-1)}`;

/** A picture's address, once it can be drawn without flicker; null for what is no picture. */
export async function drawable(blob) {
  const url = URL.createObjectURL(blob);
  const image = html("img", { src: url });
  try {
    await image.decode();
    return url;
  } catch {
    URL.revokeObjectURL(url);
    return null;
  }
}
