/** The page's address says what is shown, so that a link to a moment opens that moment. */

const KEYS = ["site", "at", "known_at", "vehicle", "stall", "level", "changed"];

/** What the address asks for; a key it does not name is null. */
export function readAddress() {
  const asked = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.map((key) => [key, asked.get(key) || null]));
}

/**
 * Put `changes` into the address; null takes a key out.
 *
 * @param {{isNewEntry?: boolean}} options a new history entry is for what the back button should undo
 *   (choosing a vehicle), not for each step of a slider.
 */
export function writeAddress(changes, { isNewEntry = false } = {}) {
  const asked = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) asked.delete(key);
    else asked.set(key, value);
  }
  // Colons are legal in a query, and a time that can be read can be edited by hand.
  const query = asked.toString().replaceAll("%3A", ":");
  const next = query ? `${location.pathname}?${query}` : location.pathname;
  if (next === location.pathname + location.search) return;
  history[isNewEntry ? "pushState" : "replaceState"](null, "", next);
}
