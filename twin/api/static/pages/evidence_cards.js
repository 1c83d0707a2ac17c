/** What a stay rests on, shown: each of its ends as a card with pictures, place and time. */

import { html } from "../elements.js";
import { duration, milliseconds, words } from "../format.js";
import { cropPicture, exploreUrl, whenSeen } from "../search/sighting.js";
import { addressOf } from "./sheet.js";
import { causeInWords, confidenceInWords, whenOr } from "./words_of_stays.js";

const MOST_ASKED = 100;

/**
 * Views of tracklets, by tracklet.
 *
 * @returns {Promise<Map<string, Object>>} empty where the service has no search
 */
export async function viewsOf(api, site, tracklets, moment, signal) {
  const named = [...new Set(tracklets)].slice(0, MOST_ASKED);
  if (named.length === 0) return new Map();
  const { views } = await api.views(site, named, moment, signal).catch(noSearch);
  return new Map(views.map((view) => [view.tracklet, view]));
}

function noSearch(error) {
  if (error.status !== 501) throw error;
  return { views: [] };
}

/** One end of a stay. @param {{site, views: Map, cropUrl, moment}} shown */
export function endCard(title, crossing, otherwise, shown) {
  if (!crossing) return html("article", { class: "end", "data-end": title.toLowerCase() }, html("h4", {}, title), html("p", { class: "note" }, otherwise));
  const { site, moment } = shown;
  return html("article", { class: "end", "data-end": title.toLowerCase() },
    html("h4", {}, `${title}: ${words(crossing.portal)}`),
    html("p", { class: "when" }, whenOr(crossing.at)),
    sightingList(crossing.tracklets, shown),
    html("dl", { class: "pairs" },
      pair("Seen as", html("a", { href: vehicleUrl(site, crossing.vehicle, moment) }, crossing.vehicle)),
      pair("Certainty", confidenceInWords(crossing.certainty)),
      pair("Speed", `${(crossing.speed_mps * 3.6).toFixed(0)} km/h`),
      crossing.flags.length ? pair("In doubt", crossing.flags.map(causeInWords).join("; ")) : null,
    ),
    html("a", { class: "like", href: mapUrl(site, crossing.at, crossing.vehicle, moment) }, "Map at that moment"),
  );
}

/** Pictures of what cameras saw; a tracklet without a view is named alone. */
export function sightingList(tracklets, { site, views, cropUrl }) {
  if (tracklets.length === 0) return html("p", { class: "note" }, "No camera is known to have seen it just then.");
  return html("ul", { class: "sights" }, tracklets.map((tracklet) => {
    const view = views.get(tracklet);
    if (!view) return html("li", { class: "sight" }, html("span", { class: "no-crop" }, "no picture"), html("span", { class: "seen" }, tracklet));
    return html("li", { class: "sight", "data-sighting": tracklet },
      cropPicture(view, cropUrl),
      html("span", { class: "seen" }, whenSeen(view)),
      html("a", { class: "like", href: exploreUrl(site, view), "aria-label": `More like the sighting of ${view.camera}, ${tracklet}` }, "More like this"),
    );
  }));
}

/** Time between both ends, or what is missing. */
export function betweenEnds(entry, exit) {
  if (!entry || !exit) return "One end is missing: nothing is known of the time between.";
  const stay_s = (milliseconds(exit.at) - milliseconds(entry.at)) / 1000;
  return `${duration(stay_s)} from ${words(entry.portal)} to ${words(exit.portal)}${entry.vehicle === exit.vehicle ? ", under one name" : ", under two names"}.`;
}

export const pair = (name, value) => (value === null || value === undefined ? null : [html("dt", {}, name), html("dd", {}, value)]);

/** What was known counts for all links; `at` only for the moment that is shown. */
const known = (moment) => ({ known_at: moment?.known_at ?? null });
export const mapUrl = (site, at, vehicle, moment) => addressOf("/", { site, at, ...known(moment), vehicle });
export const vehicleUrl = (site, vehicle, moment) => addressOf("/vehicle", { site, vehicle, ...known(moment) });
export const stayUrl = (site, session, moment) => addressOf("/sessions", { site, session, ...known(moment) });
