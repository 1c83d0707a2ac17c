/** What every page that is read like a sheet begins with: theme, choice of the site, and the moment it is of. */

import { Api } from "../api.js";
import { put, say } from "../elements.js";
import { words } from "../format.js";
import { LatestRequest } from "../latest_request.js";
import { offer, siteAsked } from "../site_choice.js";
import { startTheme } from "../theme.js";

const part = (id) => document.getElementById(id);

/**
 * Open the page for the site that the address names, else for the first.
 *
 * @param {string} title
 * @param {(api: Api, site: Object) => void} build  `site` is its model
 */
export async function openSheet(title, build) {
  startTheme(part("theme"));
  try {
    const api = new Api();
    const { sites, site } = await siteAsked(api);
    offer(part("site"), sites, site.name, (chosen) => ({ site: chosen }));
    writeQuery({ site: site.name });
    document.title = `${title} of ${words(site.name)} · Spatial twin`;
    await build(api, site);
  } catch (error) {
    tell(error.message, true);
  }
}

/** Say in the page's status line what goes on, or what is wrong. */
export function tell(text, isProblem = false) {
  const told = part("told");
  put(told, "class", isProblem ? "problem" : "note");
  say(told, text);
}

/** One request at a time, which the page's main part says is under way. */
export class Asking {
  #requests = new LatestRequest();

  /** As `LatestRequest.ask`. */
  async ask(send, take, fail = (error) => tell(error.message, true)) {
    const busy = (value) => put(document.querySelector("main"), "aria-busy", value);
    busy("true");
    await this.#requests.ask(send, take, fail);
    if (!this.#requests.isAsking) busy(null);
  }
}

/** A page's address; what is null or empty is left out. */
export function addressOf(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given).toString().replaceAll("%3A", ":")}` : path;
}

/** What the address asks for; what it does not name is null. */
export function readQuery(keys) {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(keys.map((key) => [key, given.get(key) || null]));
}

export function writeQuery(changes, { isNewEntry = false } = {}) {
  const next = addressOf(location.pathname, { ...Object.fromEntries(new URLSearchParams(location.search)), ...changes });
  if (next !== location.pathname + location.search) history[isNewEntry ? "pushState" : "replaceState"](null, "", next);
}
