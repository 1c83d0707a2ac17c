/** Which stalls are free for sure. A stall stays free for long once its cameras are lost, as nothing speaks against it: nobody knows. Pure. */

/**
 * A stall as it is to be shown: one that is said to be free, while a piece of it is looked at only by cameras that do not deliver, is unknown.
 *
 * @param told the stall as the API tells it
 * @param {string[][]} pieces for each piece of the stall, the cameras that look at it
 * @param {Map} cameras as the API tells them, by name
 */
export function asWatched(told, pieces, cameras) {
  if (told.state !== "free") return told;
  const lost = pieces.filter((piece) => !piece.some((camera) => cameras.get(camera)?.state === "active"));
  if (lost.length === 0) return told;
  const since = lost.map((piece) => piece.map((camera) => cameras.get(camera)?.since_at).filter(Boolean).sort().at(-1)).filter(Boolean);
  return { ...told, state: "unknown", certainty: null, since_at: since.sort()[0] ?? null };
}
