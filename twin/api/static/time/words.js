/** Corrections in words: what changed, by whom, and when it was learned. */

import { milliseconds, plural, shortId, timeOfDay, words } from "../format.js";

/** What came to be known, in a sentence without its end. */
export function whatChanged({ names, decision, n_vehicles, n_stalls, n_sessions }) {
  const said = names.slice(0, 2).map(({ vehicle, other, is_split }) =>
    is_split ? `${shortId(other)} is not ${shortId(vehicle)}` : `${shortId(other)} was ${shortId(vehicle)}`,
  );
  if (names.length > 2) said.push(`${names.length - 2} more names`);
  if (said.length === 0 && decision) said.push(words(decision));
  if (said.length === 0 && n_vehicles > 0) said.push(`the way of ${plural(n_vehicles, "vehicle")}`);
  if (n_stalls > 0) said.push(plural(n_stalls, "stall"));
  if (n_sessions > 0) said.push(plural(n_sessions, "stay"));
  return said.join(", ") || "which camera saw whom";
}

/** Who found it out or decided it. */
export function byWhom({ by, author, reason }) {
  if (by === "operator") return `decided by ${author}${reason ? `: “${reason}”` : ""}`;
  if (by === "refusion") return `fused again for ${author}${reason ? `: “${reason}”` : ""}`;
  return "found out by the twin";
}

export const whenLearned = ({ known_at }, nowMs) => `learned ${timeOfDay(milliseconds(known_at), nowMs)}`;

export const atTime = ({ at }, nowMs) => timeOfDay(milliseconds(at), nowMs);

/** All of it, for a tooltip. */
export const told = (correction, nowMs) =>
  `${atTime(correction, nowMs)}: ${whatChanged(correction)}; ${byWhom(correction)}, ${whenLearned(correction, nowMs)}`;
