/** How full zones were, over time: one request for all of them; how long its steps are. */

import { milliseconds, rfc3339 } from "../format.js";

export const MOST_POINTS = 300;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];

/** The shortest round step that needs no more than `MOST_POINTS`. */
export function stepOf({ fromMs, untilMs }) {
  const lasts_s = (untilMs - fromMs) / 1000;
  return STEPS_S.find((step) => lasts_s / step < MOST_POINTS) ?? Math.ceil(lasts_s / (MOST_POINTS - 1));
}

/** What the API is asked for: the same for the chart and for its file. */
export const askedOf = ({ fromMs, untilMs }, knownAt, zone = null) => ({ from: rfc3339(fromMs), until: rfc3339(untilMs), known_at: knownAt, zone });

/** @returns {{at, atMs, inside, zones: Map<string, {occupied, unknown, free, stalls}>}[]} in time's order */
export function pointsOf({ points }) {
  return points.map(({ at, zones, counters }) => ({
    at,
    atMs: milliseconds(at),
    inside: counters.inside,
    zones: new Map(zones.map((one) => [one.zone, { occupied: one.n_occupied, unknown: one.n_unknown, free: one.n_free, stalls: one.n_stalls }])),
  }));
}
