/** What differs between two states of knowledge, as lines to read. Pure. */

import { distance } from "../geometry.js";
import { milliseconds, plural, shortId, timeOfDay, words } from "../format.js";

const SAME_PLACE_M = 2;
const MOVED_FROM_M = 0.05;
const ASPECTS = { kind: "kind", velocity_mps: "speed", covariance_m2: "certainty of its place", session: "stay", takes: "stalls that it reaches into", since_at: "time since when", updated_at: "time when last seen", is_inferred: "source" };

/**
 * Vehicles that differ: {kind: "renamed" | "moved" | "otherwise" | "added" | "removed", before, after}.
 *
 * One that is gone and one that is new at the same place are one vehicle under another name.
 */
export function vehicleChanges(changes) {
  const [gone, fresh] = [changes.filter(({ after }) => !after), changes.filter(({ before }) => !before)];
  const told = changes.filter(({ before, after }) => before && after).map(({ before, after }) => ({ kind: isMoved(before, after) ? "moved" : "otherwise", before, after }));
  const left = new Set(fresh);
  for (const { before } of gone) {
    const other = [...left].find(({ after }) => after.level === before.level && distance(after.position_m, before.position_m) <= SAME_PLACE_M);
    if (other) left.delete(other);
    told.push(other ? { kind: "renamed", before, after: other.after } : { kind: "removed", before, after: null });
  }
  for (const { after } of left) told.push({ kind: "added", before: null, after });
  return told;
}

/** @returns {{kind, text, vehicle?, stall?}[]} of the state's part of an answer of /changes */
export function linesOf({ vehicles, stalls, zones, sessions, counters_before: was, counters_after: is }, nowMs) {
  return [
    ...vehicleChanges(vehicles).map((change) => ({ kind: change.kind, text: vehicleText(change), vehicle: (change.after ?? change.before).vehicle })),
    ...stalls.map(({ stall, before, after }) => ({ kind: "stall", text: `Stall ${stall}: ${stallText(before)} → ${stallText(after)}`, stall })),
    ...zones.map(({ zone, before, after }) => ({ kind: "zone", text: `${words(zone)}: ${zoneText(before)} → ${zoneText(after)}` })),
    ...sessions.map(({ session, before, after }) => ({ kind: "stay", text: `Stay ${shortId(session)}: ${stayChange(before, after, nowMs)}`, vehicle: (after ?? before).vehicle })),
    ...Object.keys(was).filter((name) => was[name] !== is[name]).map((name) => ({ kind: "count", text: `${words(name)}: ${was[name]} → ${is[name]}` })),
  ];
}

function vehicleText({ kind, before, after }) {
  const name = shortId((after ?? before).vehicle);
  if (kind === "renamed") return `${shortId(before.vehicle)} is now called ${shortId(after.vehicle)}`;
  if (kind === "removed") return `${name} was not here (it was taken to be ${stateText(before)})`;
  if (kind === "added") return `${name} was here too, ${stateText(after)}`;
  const moved = ` by ${distance(before.position_m, after.position_m).toFixed(1)} m`;
  const [a, b] = [stateText(before), stateText(after)];
  if (kind === "moved") return `${name} is placed elsewhere${moved}${a === b ? "" : `: ${a} → ${b}`}`;
  return `${name}: ${a === b ? `other ${otherwise(before, after)}` : `${a} → ${b}`}`;
}

function otherwise(before, after) {
  const names = Object.entries(ASPECTS).filter(([key]) => JSON.stringify(before[key]) !== JSON.stringify(after[key])).map(([, name]) => name);
  return names.join(", ") || "details";
}

const isMoved = (before, after) => before.level !== after.level || distance(before.position_m, after.position_m) >= MOVED_FROM_M;

function stateText({ state, stall, zone }) {
  const place = stall ? `in stall ${stall}` : zone ? `in ${words(zone).toLowerCase()}` : "in no zone";
  return `${state} ${place}`;
}

const stallText = ({ state, vehicle }) => `${state}${vehicle ? ` (${shortId(vehicle)})` : ""}`;

function zoneText({ state, n_vehicles, n_stalls, n_free }) {
  if (state !== "known") return "unknown";
  return `${plural(n_vehicles, "vehicle")}${n_stalls > 0 ? `, ${n_free} free` : ""}`;
}

/** What is not told in words, such as how sure it is, is another version all the same. */
function stayChange(before, after, nowMs) {
  const [was, is] = [stayText(before, nowMs), stayText(after, nowMs)];
  return was === is ? `${is}: version ${before.version} → ${after.version}` : `${was} → ${is}`;
}

function stayText(stay, nowMs) {
  if (!stay) return "none";
  const time = (at) => timeOfDay(milliseconds(at), nowMs);
  const parts = [words(stay.status).toLowerCase(), shortId(stay.vehicle)];
  if (stay.entry_at) parts.push(`in ${time(stay.entry_at)}`);
  if (stay.exit_at) parts.push(`out ${time(stay.exit_at)}`);
  if (stay.amount_minor !== null && stay.amount_minor !== undefined) parts.push(`${stay.amount_minor} minor units of ${stay.currency}`);
  if (stay.is_waived) parts.push("waived");
  return parts.join(", ");
}
