/** A vehicle's way, out of its facts. */

import { milliseconds } from "../format.js";
import { distance } from "../geometry.js";

const AT_END_MS = 5_000; // a sighting may lie a little before the vehicle was confirmed, or after its last move

/**
 * Where a vehicle was, in time's order.
 *
 * @param {Object[]} history facts of a vehicle as CloudEvents JSON; those without a place are passed over
 * @returns {{atMs: number, point_m: number[], level: string}[]}
 */
export function trailOf(history, vehicle) {
  return history
    .filter(({ data }) => data.position_m && data.level && data.vehicle === vehicle)
    .map(({ time, data }) => ({ atMs: milliseconds(time), point_m: data.position_m, level: data.level }))
    .sort((a, b) => a.atMs - b.atMs);
}

/** Where on a trail the vehicle was at a time: between its neighbours in time, or null outside of the trail's time. */
export function placeAt(trail, atMs) {
  if (trail.length === 0) return null;
  const after = trail.findIndex((place) => place.atMs >= atMs);
  if (after < 0) return trail.at(-1); // it has not moved since
  const next = trail[after];
  if (after === 0) return next.atMs - atMs <= AT_END_MS ? next : null;
  const before = trail[after - 1];
  if (before.level !== next.level || next.atMs === before.atMs) return before;
  const share = (atMs - before.atMs) / (next.atMs - before.atMs);
  const [[ax, ay], [bx, by]] = [before.point_m, next.point_m];
  return { atMs, level: before.level, point_m: [ax + (bx - ax) * share, ay + (by - ay) * share] };
}

/**
 * A vehicle's passages before cameras in time's order, a tracklet each, with its place on the trail.
 *
 * @param {Object[]} history facts of the vehicle: they name every tracklet, and when it was taken for the vehicle
 * @param {Object[]} sightings of an answer of search: the most alike, with pictures; the first of a tracklet stands for it
 * @returns {{sighting: {tracklet, camera, at, crop}, place}[]}
 */
export function passagesOf(history, vehicle, sightings, trail) {
  const assigned = history.filter(({ type, data }) => type === "tracklet.assigned.v1" && data.vehicle === vehicle);
  const named = assigned.map(({ time, data: { tracklet, camera } }) => ({ tracklet, camera, at: time, crop: null }));
  const byTracklet = new Map([...named, ...[...sightings].reverse()].map((sighting) => [sighting.tracklet, sighting]));
  const inOrder = [...byTracklet.values()].sort((a, b) => milliseconds(a.at) - milliseconds(b.at));
  return inOrder.map((sighting) => ({ sighting, place: placeAt(trail, milliseconds(sighting.at)) }));
}

/** Passages at one place as one mark: {place, first, last} with their numbers, from 1. */
export function marksOf(passages, apart_m = 1.5) {
  const marks = [];
  passages.forEach(({ place }, i) => {
    const last = marks.at(-1);
    if (!place) return;
    const isThere = last && last.place.level === place.level && distance(last.place.point_m, place.point_m) < apart_m;
    if (isThere) last.last = i + 1;
    else marks.push({ place, first: i + 1, last: i + 1 });
  });
  return marks;
}
