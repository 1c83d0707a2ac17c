/** What stays say of a period: how many came and went, and how long they stayed. Knows nothing of the page. */

import { duration, milliseconds } from "../format.js";

const LENGTHS_S = [60, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400];
const STEPS_S = [60, 300, 900, 1_800, 3_600, 7_200, 21_600, 86_400];
const MOST_BARS = 24;

/** Stays that touch a period; void ones are none. */
export const within = (stays, { fromMs, untilMs }) => stays.filter(({ status, entry_at: entry, exit_at: exit }) => status !== "void" && (entry === null || milliseconds(entry) <= untilMs) && (exit === null || milliseconds(exit) >= fromMs));

/** Entries and exits in equal steps: {stepMs, steps: [{atMs, entries, exits}]}. */
export function flowOf(stays, { fromMs, untilMs }) {
  const stepMs = 1000 * (STEPS_S.find((step) => (untilMs - fromMs) / 1000 / step <= MOST_BARS) ?? Math.ceil((untilMs - fromMs) / 1000 / MOST_BARS));
  const steps = Array.from({ length: Math.max(1, Math.ceil((untilMs - fromMs) / stepMs)) }, (_, i) => ({ atMs: fromMs + i * stepMs, entries: 0, exits: 0 }));
  const count = (at, name) => {
    const ms = milliseconds(at);
    if (ms !== null && ms >= fromMs && ms <= untilMs) steps[Math.min(steps.length - 1, Math.floor((ms - fromMs) / stepMs))][name] += 1;
  };
  for (const { entry_at: entry, exit_at: exit } of stays) {
    count(entry, "entries");
    count(exit, "exits");
  }
  return { stepMs, steps };
}

/** How many closed stays are how long: [{name, n}], without empty ends. */
export function lengthsOf(stays) {
  const lengths = closedLengths(stays);
  const counts = LENGTHS_S.map((until, i) => ({ name: `< ${duration(until)}`, n: lengths.filter((one) => one < until && one >= (LENGTHS_S[i - 1] ?? 0)).length }));
  counts.push({ name: `${duration(LENGTHS_S.at(-1))} +`, n: lengths.filter((one) => one >= LENGTHS_S.at(-1)).length });
  const [first, last] = [counts.findIndex(({ n }) => n > 0), counts.findLastIndex(({ n }) => n > 0)];
  return first < 0 ? [] : counts.slice(first, last + 1);
}

/** The middle of closed stays in seconds; null without any. */
export function medianOf(stays) {
  const sorted = closedLengths(stays).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

/** Stays that ended in the period, for each stall. */
export function turnoverOf(stays, nStalls, { fromMs, untilMs }) {
  const ended = stays.filter(({ status, exit_at: exit }) => status === "closed" && milliseconds(exit) >= fromMs && milliseconds(exit) <= untilMs).length;
  return { ended, perStall: nStalls > 0 ? ended / nStalls : null };
}

const closedLengths = (stays) => stays.filter(({ duration_s: length_s }) => length_s !== null).map(({ duration_s: length_s }) => length_s);

/** Rows as CSV, RFC 4180. A text that a spreadsheet would take for a formula is not taken for one. */
export function csvOf(columns, rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `${[columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}
