/** What every page that is read like a sheet begins with: theme, choice of the site, and the moment it is of. */

import { Api, isAbort } from "../api.js";
import { html, put, say } from "../elements.js";
import { words } from "../format.js";
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
    const { sites } = await api.sites();
    const asked = new URLSearchParams(location.search).get("site") || sites[0];
    part("site").replaceChildren(...sites.map((site) => html("option", { value: site, selected: site === asked ? "" : null }, words(site))));
    part("site").addEventListener("change", ({ target }) => location.assign(addressOf(location.pathname, { site: target.value })));
    if (!asked) throw new Error("This service has no site yet. Start it with a site model: twin serve --site DIR.");
    const site = await api.site(asked);
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

/** One request at a time: a newer wish aborts an older one. */
export class Asking {
  #request = null;

  /** @param send (signal) => promise  @param take what to do with the answer  @param fail with an error */
  async ask(send, take, fail = (error) => tell(error.message, true)) {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    put(document.querySelector("main"), "aria-busy", "true");
    try {
      const answer = await send(request.signal);
      if (!request.signal.aborted) await take(answer);
    } catch (error) {
      if (!isAbort(error) && !request.signal.aborted) fail(error);
    } finally {
      if (this.#request === request) put(document.querySelector("main"), "aria-busy", null);
    }
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
