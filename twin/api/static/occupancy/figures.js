/** What stays say of a period: how many came and went, and how lengths are told. Knows nothing of the page. */

import { duration, milliseconds, roundedUp } from "../format.js";

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

/** A histogram's bins with names, without empty ends. */
export function binsOf(histogram) {
  const [first, last] = [histogram.findIndex(({ n }) => n > 0), histogram.findLastIndex(({ n }) => n > 0)];
  return first < 0 ? [] : histogram.slice(first, last + 1).map(({ from_s: from, until_s: until, n }) => ({ name: until === null ? `${duration(from)} +` : `< ${roundedUp(until)}`, n }));
}

/** "Half stood less than 3 min, 95 % less than 2 h 05 min." */
export const spread = ({ median_s: median, p95_s: p95 }, verb) => `Half ${verb} less than ${roundedUp(median)}, 95 % less than ${roundedUp(p95)}.`;
