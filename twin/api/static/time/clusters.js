/** Which corrections share a mark: those that would lie nearer to each other than a finger can tell. Pure. */

import { milliseconds } from "../format.js";

/**
 * @param corrections with `at`
 * @param {{firstMs, latestMs, widthPx, roomPx}} line the slider: its ends in time, its length, and the room that a mark takes
 * @returns {{share: number, corrections: []}[]} by time, `share` of the line's length; what lies outside it stands at its end
 */
export function clustersOf(corrections, { firstMs, latestMs, widthPx, roomPx }) {
  const length = Math.max(1, latestMs - firstMs);
  const placed = corrections
    .map((correction) => ({ correction, share: Math.min(1, Math.max(0, (milliseconds(correction.at) - firstMs) / length)) }))
    .sort((a, b) => a.share - b.share || Number(a.correction.before) - Number(b.correction.before));
  const clusters = [];
  for (const { correction, share } of placed) {
    const last = clusters.at(-1);
    if (last && (share - last.share) * widthPx < roomPx) last.corrections.push(correction);
    else clusters.push({ share, corrections: [correction] });
  }
  return clusters;
}
