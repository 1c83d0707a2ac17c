/** Geometry of drawing: snapping, rows of stalls, which zone holds a place. Metres in the site frame. */

import { centroid, distance, headingOf } from "../geometry.js";
import { GROUPS, placesOf } from "./features.js";

const SNAP_PX = 10;
const ON_PLAN = { drawn: (point) => point, metres: (point, scale) => scale };

/**
 * The corner near a place as it is seen, else the nearest point of an edge near it, else the place.
 *
 * @param {Array<{points, isRing}>} outlines to snap to
 * @param {number} scale SVG units a screen pixel
 * @param {{drawn(point_m), metres(point_m, scale)}} view what it is seen in
 */
export function snap(place, outlines, scale, view = ON_PLAN) {
  const at = view.drawn(place);
  const away = (point) => {
    const seen = view.drawn(point);
    return seen && at ? distance(seen, at) : Infinity;
  };
  const corners = outlines.flatMap(({ points }) => points).map((point) => ({ point, away: away(point) }));
  const corner = corners.reduce((best, one) => (best && best.away <= one.away ? best : one), null);
  if (corner && corner.away <= SNAP_PX * scale) return corner.point;
  const onEdges = outlines.flatMap(({ points, isRing }) => edges(points, isRing).map(([a, b]) => onEdge(place, a, b)));
  const near = nearest(place, onEdges);
  return near && distance(near, place) <= view.metres(place, SNAP_PX * scale) ? near : place;
}

/** What a place is on, in words that go on a sentence: a corner, an edge, or the zone that holds it. */
export function about(snapped, place, all, level) {
  const on = (features) => features.filter((one) => one.level === level);
  const named = Object.entries(GROUPS).flatMap(([kind, group]) => on(all[group]).map((one) => ({ name: `${kind} ${one.id}`, points: one[placesOf(kind)] })));
  const corner = named.filter(({ points }) => points.some((point) => distance(point, snapped) < 0.001)).at(-1);
  if (corner) return `, at a corner of ${corner.name}`;
  if (distance(snapped, place) > 0) return ", at an edge";
  const zone = on(all.zones).find(({ ring_m }) => holds(ring_m, place));
  return zone ? `, in zone ${zone.id}` : ", in no zone";
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
