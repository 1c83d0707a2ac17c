/**
 * How full zones were, over time: the one place that says how such a series is got.
 *
 * The service is asked for its state at a bounded number of moments, one at a time.
 */

import { milliseconds, rfc3339 } from "../format.js";

export const MOST_STEPS = 48;

/**
 * @param {{fromMs: number, untilMs: number}} range
 * @param {(share: number) => void} progress 0..1, as answers come
 * @param {Object} site its model
 * @returns {Promise<{at, atMs, inside, zones: Map<string, {occupied, unknown, free, vehicles}>}[]>} in time's order
 */
export async function seriesOf(api, site, { fromMs, untilMs }, progress, signal) {
  const n = Math.max(2, Math.min(MOST_STEPS, Math.ceil((untilMs - fromMs) / 1000)));
  const { position: knownAt } = await api.occupancy(site.name, {}, signal);
  const zoneByStall = new Map(site.stalls.map(({ id, zone }) => [id, zone]));
  const series = [];
  for (let i = 0; i < n; i += 1) {
    const at = rfc3339(fromMs + ((untilMs - fromMs) * i) / (n - 1));
    series.push(pointOf(at, zoneByStall, await api.occupancy(site.name, { at, known_at: knownAt }, signal)));
    progress((i + 1) / n);
  }
  return series;
}

function pointOf(at, zoneByStall, { zones, stalls, counters }) {
  const told = new Map(zones.map(({ zone, n_vehicles: vehicles }) => [zone, { vehicles, free: 0, occupied: 0, unknown: 0 }]));
  for (const { stall, state } of stalls) {
    const counts = told.get(zoneByStall.get(stall));
    if (counts) counts[state] += 1;
  }
  return { at, atMs: milliseconds(at), zones: told, inside: counters.inside };
}
