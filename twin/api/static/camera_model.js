/**
 * A camera over its level's ground: pixels to metres and back, as `twin/spatial/camera.py` does it, to which a test holds it.
 *
 * The same steps in the same order; only what needs no covariance. Distortion is Brown-Conrady's, as OpenCV documents it.
 */

import { distance } from "./geometry.js";

const NEWTON_STEPS = 5;
const SINGULAR = 1e-9;
const SHARP = 1e-3;
const INVERTED = 1e-6;
const LEAST_WEIGHT = 1e-9;
const LEAST_DEPTH_M = 1e-3;
const MAX_SLOPE = 3; // rays beyond this tangent off the axis are not trusted
const ASTRAY_M = 0.05; // how far a point may come back from where it was: farther, the lens model folds there
const STEP_M = 1;
const MOST_STEPS = 60;

export class CameraModel {
  #geometry;
  #toGround;
  #fromGround;
  #height_m;

  /** @param {{geometry, frame_px, elevation_m, range_m}} calibration as `…/cameras/C/calibration` tells it */
  constructor({ geometry, frame_px, elevation_m, range_m }) {
    this.#geometry = geometry;
    this.#height_m = elevation_m;
    this.frame_px = frame_px;
    this.range_m = range_m;
    this.#toGround = groundHomography(geometry, elevation_m);
    this.#fromGround = inverse(this.#toGround);
    this.origin_m = geometry.position_m ? geometry.position_m.slice(0, 2) : throughPlane(this.#toGround, frame_px[0] / 2, frame_px[1]).point_m;
  }

  /**
   * Where a pixel meets the ground.
   *
   * @returns {{point_m: number[]} | {refusal: "lens" | "horizon" | "range"}} `lens`: so far off the axis that its bending is
   *   not known; `horizon`: the ray goes up; `range`: farther than the camera is trusted
   */
  toGround([u, v]) {
    const ray = this.#ray(u, v);
    if (!ray) return { refusal: "lens" };
    const { point_m, weight } = throughPlane(this.#toGround, ...ray);
    if (!(weight > LEAST_WEIGHT)) return { refusal: "horizon" };
    return distance(point_m, this.origin_m) <= this.range_m ? { point_m } : { refusal: "range" };
  }

  /** The pixel of a point on the ground, inside of the frame or not; null behind the camera, or too far off its axis. */
  toPixel([east, north]) {
    const { k, position_m: at, rotation: r, distortion } = this.#geometry;
    if (!k) {
      const { point_m, weight } = throughPlane(this.#fromGround, east, north);
      return weight > LEAST_WEIGHT ? point_m : null;
    }
    const [dx, dy, dz] = [east - at[0], north - at[1], this.#height_m - at[2]];
    const depth = r[6] * dx + r[7] * dy + r[8] * dz;
    if (!(depth > LEAST_DEPTH_M)) return null;
    const [x, y] = [(r[0] * dx + r[1] * dy + r[2] * dz) / depth, (r[3] * dx + r[4] * dy + r[5] * dz) / depth];
    if (!(Math.abs(x) <= MAX_SLOPE && Math.abs(y) <= MAX_SLOPE)) return null;
    const { at: [atX, atY] } = distort(distortion, x, y);
    return [atX * k[0] + k[2], atY * k[1] + k[3]];
  }

  /** The same where that pixel shows this point: in range, and where the lens model does not fold; else null. */
  seen(point_m) {
    if (!(distance(point_m, this.origin_m) <= this.range_m)) return null;
    const pixel = this.toPixel(point_m);
    if (!pixel) return null;
    const ray = this.#ray(...pixel);
    const back = ray && throughPlane(this.#toGround, ...ray);
    return back && back.weight > LEAST_WEIGHT && distance(back.point_m, point_m) < ASTRAY_M ? pixel : null;
  }

  /** Pieces of a line on the ground as this camera sees them, bent as its lens bends them; what it does not see is left out. */
  pieces(points_m, isRing) {
    const pieces = [[]];
    for (const point of dense(isRing ? [...points_m, points_m[0]] : points_m)) {
      const pixel = this.seen(point);
      if (pixel) pieces.at(-1).push(pixel);
      else if (pieces.at(-1).length > 0) pieces.push([]);
    }
    return pieces.filter((piece) => piece.length > 1);
  }

  /** Undistorted slopes of a pixel's ray, by Newton's method; null where the lens model cannot be inverted. */
  #ray(u, v) {
    const { k, distortion } = this.#geometry;
    if (!k) return [u, v];
    const [targetX, targetY] = [(u - k[2]) / k[0], (v - k[3]) / k[1]];
    let [x, y] = [targetX, targetY];
    for (let step = 0; step < NEWTON_STEPS; step += 1) {
      const { at, jacobian: [a, b, c, d] } = distort(distortion, x, y);
      const found = a * d - b * c;
      const determinant = Math.abs(found) < SINGULAR ? 1 : found;
      const [offX, offY] = [at[0] - targetX, at[1] - targetY];
      x = clipped(x - (d * offX - b * offY) / determinant);
      y = clipped(y - (a * offY - c * offX) / determinant);
    }
    const { at, jacobian: [a, b, c, d] } = distort(distortion, x, y);
    const isSharp = a * d - b * c > SHARP && Math.abs(at[0] - targetX) + Math.abs(at[1] - targetY) < INVERTED;
    return isSharp ? [x, y] : null;
  }
}

function distort([k1, k2, p1, p2, k3], x, y) {
  const r2 = x * x + y * y;
  const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
  const slope = k1 + r2 * (2 * k2 + r2 * 3 * k3);
  const mixed = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y;
  return {
    at: [x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y],
    jacobian: [radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x, mixed, mixed, radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x],
  };
}

const clipped = (slope) => Math.min(Math.max(slope, -2 * MAX_SLOPE), 2 * MAX_SLOPE);

/** From ray slopes (or pixels, for a homography) to ground metres, by rows; a weight over zero is before the camera. */
function groundHomography(geometry, elevation_m) {
  if (!geometry.k) return geometry.matrix;
  const { rotation: r, position_m: [cx, cy, cz] } = geometry;
  const height = cz - elevation_m;
  const down = [-r[2], -r[5], -r[8]]; // how fast a ray (x, y, 1) sinks
  const east = [r[0], r[3], r[6]].map((column, i) => height * column + cx * down[i]);
  const north = [r[1], r[4], r[7]].map((column, i) => height * column + cy * down[i]);
  return [...east, ...north, ...down];
}

function throughPlane(h, x, y) {
  const weight = h[6] * x + h[7] * y + h[8];
  return { point_m: [(h[0] * x + h[1] * y + h[2]) / weight, (h[3] * x + h[4] * y + h[5]) / weight], weight };
}

/** Of a 3x3 by rows, by cofactors. */
function inverse([a, b, c, d, e, f, g, h, i]) {
  const cofactors = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d];
  const determinant = a * cofactors[0] + b * cofactors[3] + c * cofactors[6];
  return cofactors.map((value) => value / determinant);
}

/** A line with a point at least every metre: straight on the ground is not straight in the picture. */
function dense(points_m) {
  return points_m.flatMap((point, at) => {
    if (at === 0) return [point];
    const before = points_m[at - 1];
    const n = Math.min(Math.max(1, Math.ceil(distance(before, point) / STEP_M)), MOST_STEPS);
    return Array.from({ length: n }, (_, step) => before.map((value, axis) => value + ((point[axis] - value) * (step + 1)) / n));
  });
}
