/**
 * What the map is drawn on: the plan, or a camera's picture, in which its ground is seen in perspective.
 *
 * Features are metres on the ground in either; a view says where in its SVG coordinates a place is, and back.
 */

import { centroid, linePath, planPoint, ringPath } from "../geometry.js";
import { rounded } from "./shapes.js";

const NO_PIECE = { path: "", isSeen: false };

export const placeInWords = ([x, y]) => `${x.toFixed(2)} m east, ${y.toFixed(2)} m north`;

/** The plan: north up, a metre is a metre. */
export class PlanView {
  kind = "plan";
  handleStep = 0.1; // metres

  constructor(extent_m) {
    this.extent = extent_m;
  }

  /** Where a place is drawn; null where it is not seen. */
  drawn(point_m) {
    return planPoint(point_m);
  }

  /** The place that is drawn there, {point_m}, or why there is none, {refusal} in words. */
  told([x, y]) {
    return { point_m: [rounded(x), rounded(-y)] };
  }

  /** Path data of a line or ring. */
  outline(points_m, isRing) {
    return { path: isRing ? ringPath(points_m) : points_m.length > 1 ? linePath(points_m) : "", isSeen: true };
  }

  /** Metres of ground that `scale` SVG units are at a place. */
  metres(point_m, scale) {
    return scale;
  }
}

/** A camera's picture. */
export class PictureView {
  kind = "picture";
  handleStep = 1; // pixels
  #camera;
  #name;

  /** @param {CameraModel} camera @param {string} name for refusals */
  constructor(camera, name) {
    const [width, height] = camera.frame_px;
    this.#camera = camera;
    this.#name = name;
    this.extent = [0, -height, width, 0];
    this.frame_px = camera.frame_px;
  }

  drawn(point_m) {
    return this.#camera.seen(point_m);
  }

  told(pixel) {
    const { point_m, refusal } = this.#camera.toGround(pixel);
    if (point_m) return { point_m: point_m.map(rounded) };
    if (refusal === "horizon") return { refusal: "This is above the horizon: it shows no ground. Choose a place farther down." };
    if (refusal === "lens") return { refusal: "This is so far from the middle that the bending of the lens is not known there. Choose a place farther in." };
    return { refusal: `This ground is farther than the ${this.#camera.range_m} m to which ${this.#name} is trusted. Choose a nearer place, another camera or the plan.` };
  }

  outline(points_m, isRing) {
    const pieces = this.#camera.pieces(points_m, isRing);
    if (pieces.length === 0) return NO_PIECE;
    const path = pieces.map((piece) => `M${piece.map((pixel) => pixel.map((one) => one.toFixed(1)).join(" ")).join("L")}`).join("");
    return { path: isRing && this.#isWhole(points_m) ? `${path}Z` : path, isSeen: true };
  }

  metres(point_m, scale) {
    const pixel = this.#camera.seen(point_m);
    const beside = pixel && this.#camera.toGround([pixel[0] + scale, pixel[1]]).point_m;
    return beside ? Math.hypot(beside[0] - point_m[0], beside[1] - point_m[1]) : 0;
  }

  #isWhole(points_m) {
    return points_m.every((point) => this.#camera.seen(point));
  }
}

/**
 * How far on the ground a step on the screen goes from the place of these points: {by_m}, or {refusal}.
 *
 * @param {number[]} step SVG units, y down
 */
export function stepOnGround(view, points_m, step) {
  const middle = points_m.length > 2 ? centroid(points_m) : points_m[0];
  const from = [middle, ...points_m].find((point) => view.drawn(point));
  if (!from) return { refusal: "None of it is seen in this picture; move it on the plan." };
  const { point_m, refusal } = view.told(view.drawn(from).map((one, axis) => one + step[axis]));
  return refusal ? { refusal } : { by_m: point_m.map((one, axis) => one - from[axis]) };
}
