/** What is asked: words that the search API and this page's address share, so that a link asks the same again. */

/** As the API knows them; a test compares. */
export const KINDS = ["car", "van", "truck", "bus", "motorcycle", "bicycle"];
export const COLOURS = ["white", "grey", "black", "red", "orange", "yellow", "green", "blue", "brown"];

/** What does not fulfil a condition is left out; evidence only shifts probabilities. */
export const CONDITIONS = ["kind", "colour", "camera", "zone", "from", "until", "plate"];
export const EVIDENCE = ["near_camera", "near_at"];

const ASKED = ["tracklet", ...CONDITIONS, ...EVIDENCE];
// Only for this page: the sighting's picture, and the vehicle of the answer that is looked at.
const SHOWN = ["picture", "vehicle"];

/** @param {string} search an address' query  @returns {Object} by name; what is absent is null */
export function readQuestion(search) {
  const given = new URLSearchParams(search);
  return Object.fromEntries([...ASKED, ...SHOWN].map((key) => [key, given.get(key)?.trim() || null]));
}

/** The page's address for a question about a site; pictures are in none. */
export function addressOf(site, question) {
  const told = new URLSearchParams({ site, ...named(question, [...ASKED, ...SHOWN]) });
  return `/explore?${told.toString().replaceAll("%3A", ":").replaceAll("%2C", ",")}`;
}

/** The API's parameters for a question. */
export const parametersOf = (question) => named(question, ASKED);

/** A question without conditions and evidence. */
export const unconditional = (question) => ({ ...question, ...Object.fromEntries([...CONDITIONS, ...EVIDENCE].map((key) => [key, null])) });

/** What was found, in one sentence. */
export function foundInWords({ n_found: nFound, unassigned }, nShown, question) {
  if (nFound > 0) return `${nFound} ${nFound === 1 ? "vehicle" : "vehicles"} found, ${nShown < nFound ? `the best ${nShown} shown` : "best first"}.`;
  const conditions = CONDITIONS.filter((key) => question[key]).map((key) => `${key} ${question[key].replaceAll(",", " or ")}`);
  const nobody = unassigned.length > 0 ? " There are sightings of nobody known below." : "";
  if (conditions.length === 0) return `No vehicle that was seen here looks like this.${nobody}`;
  return `Nothing was found with ${conditions.join(", ")}. Take a condition away to see more.${nobody}`;
}

function named(question, keys) {
  return Object.fromEntries(keys.filter((key) => question[key]).map((key) => [key, question[key]]));
}
