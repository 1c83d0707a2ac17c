/** Which saved version of the map is in force, and what a newer one waits for. */

import { html } from "../elements.js";
import { timeOfDay, words } from "../format.js";

/**
 * Tell it: in the form that saves, and over the page where a saved version waits for a start of the service.
 *
 * @param {{versions, in_force}} editions
 * @param {{note: HTMLElement, banner: HTMLElement}} parts
 */
export function tellInForce(site, { versions, in_force: used }, { note, banner }) {
  const newest = versions.at(-1);
  const now = used === null ? "the map that it was started with, which is none of the saved versions" : `version ${used}`;
  note.textContent = newest ? `In force is ${now}; saved last: version ${newest.version}.` : "No version was saved yet; in force is the map that the service was started with.";
  banner.hidden = !newest || newest.version === used;
  if (banner.hidden) return;
  banner.replaceChildren(
    html("strong", {}, `Version ${newest.version} is saved and not in force.`),
    ` ${words(newest.author)} saved it, ${timeOfDay(Date.parse(newest.at))}: ${newest.reason}. The service uses ${now}, and that is what is edited here. To bring version ${newest.version} in force, stop the service and start it with `,
    html("code", {}, `--site DATA/sites/${site}/${String(newest.version).padStart(4, "0")}`),
    ", where DATA is its data folder.",
  );
}
