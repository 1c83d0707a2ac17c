/** One stay, opened: what it rests on, its bill, how sure it is, and how it came to be what it is. */

import { html } from "../elements.js";
import { duration, words } from "../format.js";
import { cropPicture, exploreUrl, whenSeen } from "../search/sighting.js";
import { billTable } from "./bill.js";
import { betweenEnds, endCard, mapUrl, pair, stayUrl, vehicleUrl } from "./evidence_cards.js";
import { causeInWords, confidenceInWords, money, reasonInWords, whenOr } from "./words_of_stays.js";

/**
 * The contents of an opened stay.
 *
 * @param told an answer of /sessions/{id}
 * @param {{lines, due, views, tracklets}} beside its bill and pictures
 * @param {{site, moment, cropUrl, showPlate}} shown
 */
export function stayContents(told, beside, shown) {
  const { session } = told;
  const { site, moment } = shown;
  const at = session.exit_at ?? moment.at ?? session.entry_at;
  return [
    html("h2", { id: "stay-title", tabindex: "-1" }, `Stay of ${session.vehicle}`),
    html("p", { class: "tags" },
      html("span", { class: "chip", "data-state": session.status }, words(session.status)),
      session.is_waived ? html("span", { class: "chip" }, "Waived") : null,
      session.final_at === null && session.status === "closed" ? html("span", { class: "chip", "data-state": "unknown" }, "Provisional") : null,
    ),
    facts(session, shown),
    html("p", { class: "links" },
      html("a", { href: mapUrl(site, at, session.vehicle, moment) }, "On the map then"), " ",
      html("a", { href: vehicleUrl(site, session.vehicle, moment) }, "The vehicle"), " ",
      session.status === "void" ? null : html("a", { href: `/review?${new URLSearchParams({ site, session: session.session })}` }, "Review it"),
    ),
    html("h3", {}, "What it rests on"),
    html("p", { class: "note" }, betweenEnds(told.entry, told.exit)),
    html("div", { class: "ends" },
      endCard("Entry", told.entry, "No entry was seen: an entry is never invented.", { ...shown, views: beside.views }),
      endCard("Exit", told.exit, session.status === "open" ? "It has not left: silence is never an exit." : "No exit was seen; a person said that it ended.", { ...shown, views: beside.views }),
    ),
    namesOf(told.names, shown),
    parkedOf(told.parked),
    seenOf(beside.tracklets, beside.views, shown),
    html("h3", {}, "What it costs"),
    billTable(beside.lines, beside.due),
    html("h3", {}, "How it came to be known so"),
    versionsOf(told.versions, session, shown),
  ].filter(Boolean);
}

function facts(session, { showPlate }) {
  const plate = session.plate ? html("button", { type: "button", class: "link", id: "plate", onclick: ({ target }) => showPlate(session.session, target) }, "Show the plate") : null;
  return html("dl", { class: "pairs" },
    pair("Entry", whenOr(session.entry_at)),
    pair("Exit", whenOr(session.exit_at, session.status === "open" ? "still inside" : "not seen")),
    pair("Stay", session.duration_s === null ? null : duration(session.duration_s)),
    pair("How sure", confidenceInWords(session.confidence)),
    session.flags.length ? pair("In doubt", session.flags.map(causeInWords).join("; ")) : null,
    pair("Tariff", session.tariff),
    pair("Cost", session.amount_minor === null ? null : money(session.amount_minor, session.currency)),
    pair("Paid", session.paid_minor ? money(session.paid_minor, session.currency) : null),
    pair("Number plate", plate),
  );
}

function namesOf(names, { site, moment }) {
  if (names.length === 0) return null;
  return html("ul", { class: "names" }, names.map(({ vehicle, merged, at, decision }) => html("li", {},
    html("a", { href: vehicleUrl(site, merged, moment) }, merged), ` was taken for ${vehicle} at ${whenOr(at)}: ${decision ? "a person said so" : "the twin found out"}.`,
  )));
}

function parkedOf(parked) {
  if (parked.length === 0) return null;
  return html("ul", { class: "names", "aria-label": "Where it stood" }, parked.map(({ at, stall, zone }) => html("li", {}, `${whenOr(at)}: parked ${stall ? `in stall ${stall}` : zone ? `in ${words(zone)}` : "in no zone"}.`)));
}

function seenOf(tracklets, views, { site, cropUrl }) {
  const seen = tracklets.map((tracklet) => views.get(tracklet)).filter(Boolean);
  if (seen.length === 0) return null;
  return html("details", { class: "seen-all" },
    html("summary", {}, `All its sightings (${seen.length})`),
    html("ul", { class: "sights" }, seen.map((view) => html("li", { class: "sight" },
      cropPicture(view, cropUrl), html("span", { class: "seen" }, whenSeen(view)),
      html("a", { class: "like", href: exploreUrl(site, view), "aria-label": `More like the sighting of ${view.camera}, ${view.tracklet}` }, "More like this"),
    ))),
  );
}

function versionsOf(versions, { session, currency }, { site, moment }) {
  return html("ol", { class: "versions" }, versions.map((one) => html("li", { "data-version": one.version },
    html("span", {}, `Version ${one.version}: ${one.status}${one.reason ? `, as ${reasonInWords(one.reason)}` : ""}`,
      one.amount_minor === null ? "" : ` · ${money(one.amount_minor, currency)}`),
    html("span", { class: "note" }, `${whenOr(one.entry_at)} to ${whenOr(one.exit_at, "–")}, told at ${whenOr(one.told_at)}`),
    html("a", { class: "like", href: stayUrl(site, session, { ...moment, known_at: one.position }), "aria-label": `As believed at version ${one.version}` }, "As believed then"),
  )));
}
