/** The numbers a person on duty asks for first. */

import { put, say } from "../elements.js";

/** @param {HTMLElement} root holds one [data-counter] a number */
export function renderCounters(root, state) {
  const stalls = state.stallCounts();
  const { inside, entries, exits, orphans } = state.counters;
  const numbers = { inside, free: stalls.free, entries, exits, orphans };
  for (const element of root.querySelectorAll("[data-counter]")) {
    const number = numbers[element.dataset.counter];
    say(element, number === undefined ? "–" : String(number));
  }
  const unknown = stalls.unknown > 0 ? `, ${stalls.unknown} unknown` : "";
  say(root.querySelector("#stall-total"), `of ${state.stalls.size} stalls${unknown}`);
  put(root, "data-orphans", orphans > 0 ? "some" : "none");
}
