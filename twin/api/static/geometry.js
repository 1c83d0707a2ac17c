/**
 * Plane geometry of the plan.
 *
 * The API speaks metres in the site frame, x east and y north. SVG's y points down, so the plan's
 * coordinates are (x, -y) metres; every northing is negated here and nowhere else.
 */

/** 95 % quantile of chi-squared with 2 degrees of freedom: squared radius of the ellipse that holds 95 %. */
const CHI2_95 = 5.991;

export const planPoint = ([x, y]) => [x, -y];

/** SVG path data through site-frame points. */
export function linePath(points_m) {
  return `M${points_m.map((point) => planPoint(point).map(short).join(" ")).join("L")}`;
}

export const ringPath = (ring_m) => `${linePath(ring_m)}Z`;

/** A direction in the site frame (counter-clockwise from x) as an SVG rotation. */
export const planAngle = (heading_deg) => -heading_deg;

/** Heading of a vector in the site frame, degrees counter-clockwise from x. */
export const headingOf = ([x, y]) => (Math.atan2(y, x) * 180) / Math.PI;

/**
 * The 95 % ellipse of a 2x2 covariance given as xx, xy, yy.
 *
 * @returns {{major_m: number, minor_m: number, heading_deg: number}} semi-axes, and the major axis' heading
 */
export function ellipse95([xx, xy, yy]) {
  const mean = (xx + yy) / 2;
  const spread = Math.hypot((xx - yy) / 2, xy);
  return {
    major_m: Math.sqrt(CHI2_95 * Math.max(0, mean + spread)),
    minor_m: Math.sqrt(CHI2_95 * Math.max(0, mean - spread)),
    heading_deg: (Math.atan2(2 * xy, xx - yy) * 90) / Math.PI,
  };
}

/** From one angle towards another the short way round, degrees. */
export function turn(from_deg, to_deg, fraction) {
  return from_deg + shortestTurn(from_deg, to_deg) * fraction;
}

/** The signed short way from one angle to another, degrees in [-180, 180). */
export const shortestTurn = (from_deg, to_deg) => ((((to_deg - from_deg) % 360) + 540) % 360) - 180;

/** Area centroid of a ring; the mean of its points where it has no area. */
export function centroid(ring_m) {
  let area = 0;
  let cx = 0;
  let cy = 0;
  ring_m.forEach(([x, y], i) => {
    const [nx, ny] = ring_m[(i + 1) % ring_m.length];
    const cross = x * ny - nx * y;
    area += cross;
    cx += (x + nx) * cross;
    cy += (y + ny) * cross;
  });
  if (Math.abs(area) < 1e-9) return meanPoint(ring_m);
  return [cx / (3 * area), cy / (3 * area)];
}

/** Points every `spacing_m` along a line, with the heading there; short lines get one, in their middle. */
export function alongLine(points_m, spacing_m) {
  const total = lineLength(points_m);
  const n = Math.max(1, Math.round(total / spacing_m));
  return Array.from({ length: n }, (_, i) => pointAt(points_m, ((i + 0.5) * total) / n));
}

export function lineLength(points_m) {
  let total = 0;
  for (let i = 1; i < points_m.length; i += 1) total += distance(points_m[i - 1], points_m[i]);
  return total;
}

export const distance = ([ax, ay], [bx, by]) => Math.hypot(bx - ax, by - ay);

function pointAt(points_m, along_m) {
  let left = along_m;
  for (let i = 1; i < points_m.length; i += 1) {
    const [a, b] = [points_m[i - 1], points_m[i]];
    const length = distance(a, b);
    if (left <= length || i === points_m.length - 1) {
      const fraction = length > 0 ? Math.min(1, left / length) : 0;
      const vector = [b[0] - a[0], b[1] - a[1]];
      return { point_m: [a[0] + vector[0] * fraction, a[1] + vector[1] * fraction], heading_deg: headingOf(vector) };
    }
    left -= length;
  }
  return { point_m: points_m[0], heading_deg: 0 };
}

function meanPoint(points) {
  const sum = points.reduce(([sx, sy], [x, y]) => [sx + x, sy + y], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}

const short = (value) => Math.round(value * 1000) / 1000;
