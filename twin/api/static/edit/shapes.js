/** Geometry of drawing: snapping, rows of stalls, which zone holds a place. Metres in the site frame. */

import { centroid, distance, headingOf } from "../geometry.js";
import { placesOf } from "./features.js";

const SNAP_PX = 10;

/**
 * The corner near a place, else the nearest point of an edge near it, else the place.
 *
 * @param {Array<{points, isRing}>} outlines to snap to
 * @param {number} scale metres a screen pixel
 */
export function snap(place, outlines, scale) {
  const reach = SNAP_PX * scale;
  const corner = nearest(place, outlines.flatMap(({ points }) => points));
  if (corner && distance(corner, place) <= reach) return corner;
  const onEdges = outlines.flatMap(({ points, isRing }) => edges(points, isRing).map(([a, b]) => onEdge(place, a, b)));
  const near = nearest(place, onEdges);
  return near && distance(near, place) <= reach ? near : place;
}

/** Outlines of all features of a level but one. */
export function outlinesOf(all, level, but) {
  const outline = (kind) => (one) => ({ points: one[placesOf(kind)], isRing: placesOf(kind) === "ring_m" });
  const others = (features) => features.filter((one) => one.level === level && one.id !== but);
  return [...others(all.zones).map(outline("zone")), ...others(all.stalls).map(outline("stall")), ...others(all.lanes).map(outline("lane")), ...others(all.portals).map(outline("portal"))];
}

/**
 * Stalls side by side: rings and headings.
 *
 * @param {{from, to, n, depth_m, angle_deg}} row front corners of the first and the last stall, how many, how deep, and the
 *   angle between the aisle and the stalls, counter-clockwise from the way `from` to `to`
 */
export function rowOf({ from, to, n, depth_m, angle_deg }) {
  const along = [(to[0] - from[0]) / n, (to[1] - from[1]) / n];
  const heading = headingOf(along) + angle_deg;
  const depth = [depth_m * Math.cos((heading * Math.PI) / 180), depth_m * Math.sin((heading * Math.PI) / 180)];
  const heading_deg = rounded(((heading + 540) % 360) - 180);
  return Array.from({ length: n }, (_, i) => {
    const [a, b] = [i, i + 1].map((step) => [from[0] + along[0] * step, from[1] + along[1] * step]);
    const ring_m = [a, b, plus(b, depth), plus(a, depth)].map((point) => point.map(rounded));
    return { ring_m, heading_deg };
  });
}

/** The zone whose area holds a ring's middle; "" where none does. */
export function zoneAt(zones, ring_m) {
  const middle = centroid(ring_m);
  return zones.find((zone) => holds(zone.ring_m, middle))?.id ?? "";
}

/** The way a vehicle parks in a ring: along its longer side, as far as that can be told. */
export function headingIn(ring_m) {
  const [a, b] = edges(ring_m, true).reduce((best, edge) => (distance(...edge) > distance(...best) ? edge : best));
  return rounded(headingOf([b[0] - a[0], b[1] - a[1]]));
}

/** One corner more, in the middle of the longest edge. */
export function withCorner(points, isRing) {
  const all = edges(points, isRing);
  const longest = all.reduce((best, edge, i) => (distance(...edge) > distance(...all[best]) ? i : best), 0);
  const [[ax, ay], [bx, by]] = all[longest];
  const middle = [rounded((ax + bx) / 2), rounded((ay + by) / 2)];
  return [...points.slice(0, longest + 1), middle, ...points.slice(longest + 1)];
}

export const moved = (points, [dx, dy]) => points.map(([x, y]) => [rounded(x + dx), rounded(y + dy)]);

export const rounded = (value) => Math.round(value * 1000) / 1000 + 0;

const plus = ([ax, ay], [bx, by]) => [ax + bx, ay + by];

function edges(points, isRing) {
  const ends = points.slice(1).map((point, i) => [points[i], point]);
  return isRing && points.length > 2 ? [...ends, [points.at(-1), points[0]]] : ends;
}

function nearest(place, points) {
  return points.reduce((best, point) => (best && distance(best, place) <= distance(point, place) ? best : point), null);
}

function onEdge([x, y], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const share = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return [rounded(ax + share * dx), rounded(ay + share * dy)];
}

function holds(ring_m, [x, y]) {
  let isInside = false;
  ring_m.forEach(([ax, ay], i) => {
    const [bx, by] = ring_m[(i + 1) % ring_m.length];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isInside = !isInside;
  });
  return isInside;
}
