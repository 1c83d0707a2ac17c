/** The choices in a page's header, which open the page anew. */

import { html } from "./elements.js";
import { words } from "./format.js";

/** The site that the address names, else the first one. */
export async function siteAsked(api) {
  const { sites } = await api.sites();
  const name = new URLSearchParams(location.search).get("site") || sites[0];
  if (!name) throw new Error("This service has no site yet. Start it with a site model: twin serve --site DIR.");
  return { sites, site: await api.site(name) };
}

/** Fill a choice; a change opens this page with `query(value)`. */
export function offer(select, names, chosen, query) {
  select.replaceChildren(...names.map((name) => html("option", { value: name, selected: name === chosen ? "" : null }, words(name))));
  select.addEventListener("change", () => location.assign(`${location.pathname}?${new URLSearchParams(query(select.value))}`));
}
