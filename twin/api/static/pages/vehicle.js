/** The Vehicle page: all that is known of one vehicle at a moment, with its pictures and its way. */

import { html, put } from "../elements.js";
import { passagesOf, trailOf } from "../explore/trail.js";
import { TrailMap } from "../explore/trail_map.js";
import { duration, plural, words } from "../format.js";
import { sentence } from "../panel/fact_words.js";
import { cropPicture, exploreUrl, momentUrl, whenSeen } from "../search/sighting.js";
import { mapUrl, pair, stayUrl, vehicleUrl, viewsOf } from "./evidence_cards.js";
import { MomentForm } from "./moment_form.js";
import { Asking, openSheet, readQuery, tell } from "./sheet.js";
import { causeInWords, confidenceInWords, money, whenOr } from "./words_of_stays.js";

const MOST_FACTS = 10_000;
const SHOWN_FACTS = 200;
const part = (id) => document.getElementById(id);

class VehiclePage {
  #api;
  #site;
  #moment;
  #asking = new Asking();
  #map = null;

  constructor(api, site) {
    this.#api = api;
    this.#site = site;
    this.#moment = new MomentForm(part("moment"), () => this.#load());
    addEventListener("popstate", () => {
      this.#moment.follow();
      this.#load();
    });
    this.#load();
  }

  #load() {
    const { vehicle } = readQuery(["vehicle"]);
    if (vehicle === null) {
      tell("Which vehicle? Choose one on the map, or in the list of sessions.");
      return;
    }
    const moment = this.#moment.moment;
    this.#asking.ask((signal) => this.#asked(vehicle, moment, signal), (found) => this.#show(found, moment), (error) => {
      part("vehicle").hidden = part("way").hidden = true;
      tell(error.message, true);
    });
  }

  async #asked(vehicle, moment, signal) {
    const [told, { sessions }] = await Promise.all([
      this.#api.vehicle(this.#site.name, vehicle, { ...moment, limit: MOST_FACTS }, signal),
      this.#api.sessions(this.#site.name, { ...moment, vehicle }, signal),
    ]);
    const views = await viewsOf(this.#api, this.#site.name, told.sightings.map(({ tracklet }) => tracklet), moment, signal);
    return { told, sessions, views };
  }

  #show({ told, sessions, views }, moment) {
    const { vehicle, state, history } = told;
    tell(`${plural(history.length, "fact")}, ${plural(told.sightings.length, "tracklet")}.`);
    part("vehicle").hidden = false;
    part("vehicle").replaceChildren(...[
      html("h2", { id: "vehicle-title", tabindex: "-1" }, vehicle),
      html("p", { class: "tags" }, html("span", { class: "chip", "data-state": state ?? "left" }, words(state ?? "not on the site then"))),
      whereIsIt(told),
      html("p", { class: "links" }, html("a", { href: mapUrl(this.#site.name, moment.at ?? told.updated_at ?? history.at(-1)?.time, vehicle, moment) }, "On the map then")),
      html("h3", {}, "Stays"),
      sessions.length === 0 ? html("p", { class: "note" }, "It has no stay at this moment.") : html("ul", { class: "names", id: "stays" }, standingFirst(sessions).map((one) => this.#stay(one, moment))),
      ...this.#names(history, vehicle, moment),
      html("h3", {}, "Timeline"),
      timeline(history, (at) => mapUrl(this.#site.name, at, vehicle, moment)),
    ].filter(Boolean));
    put(part("vehicle"), "data-vehicle", vehicle);
    this.#drawWay(vehicle, history, views);
  }

  #stay(stay, moment) {
    const { session, status, entry_at, exit_at, duration_s: length_s, confidence, flags, amount_minor, currency } = stay;
    const said = [
      status === "void" ? `${whenOr(entry_at)}: another stay is it` : `${whenOr(entry_at)} to ${whenOr(exit_at, "now: still inside")}`,
      length_s === null ? null : duration(length_s), status === "void" ? null : confidenceInWords(confidence),
      amount_minor === null ? null : money(amount_minor, currency), ...(status === "void" ? [] : flags.map(causeInWords)),
    ].filter(Boolean).join(" · ");
    return html("li", {}, html("a", { href: stayUrl(this.#site.name, session, moment) }, words(status)), ` ${said}`);
  }

  /** Names that were found to be one with this one, or are two after all. */
  #names(history, vehicle, moment) {
    const told = history.filter(({ type }) => type === "identities.merged.v1" || type === "identities.split.v1");
    if (told.length === 0) return [];
    const entry = ({ type, time, data }) => {
      const other = [data.vehicle, data.merged ?? data.split].find((one) => one !== vehicle);
      const said = type === "identities.split.v1" ? "a person said that they are two" : data.decision ? "a person said that they are one" : "the twin found them to be one";
      return html("li", { "data-fact": type }, html("a", { href: vehicleUrl(this.#site.name, other, moment) }, other), `: ${said}, ${whenOr(time)}`);
    };
    return [html("h3", {}, "Merges and splits"), html("ul", { class: "names", id: "names" }, told.map(entry))];
  }

  #drawWay(vehicle, history, views) {
    const trail = trailOf(history, vehicle);
    const passages = passagesOf(history, vehicle, [...views.values()], trail);
    part("way").hidden = trail.length === 0 && passages.length === 0;
    this.#map ??= new TrailMap(part("map"), this.#site);
    const passed = new Set([...trail, ...passages.map(({ place }) => place)].filter(Boolean).map(({ level }) => level));
    const levels = this.#site.levels.map(({ id }) => id).filter((id) => passed.has(id));
    this.#offerLevels(levels, (level) => this.#map.show(level, trail, passages));
    this.#map.show(levels[0] ?? this.#site.levels[0].id, trail, passages);
    const cropUrl = (crop) => this.#api.cropUrl(this.#site.name, crop);
    document.querySelector(".passages").replaceChildren(...passages.map(({ sighting }) => this.#passage(vehicle, sighting, views.has(sighting.tracklet), cropUrl)));
  }

  #passage(vehicle, sighting, isComparable, cropUrl) {
    return html("li", { "data-passage": sighting.tracklet },
      cropPicture(sighting, cropUrl),
      html("span", { class: "seen" }, whenSeen(sighting)),
      html("span", { class: "like links" },
        html("a", { href: momentUrl(this.#site.name, sighting, vehicle) }, "That moment"), " ",
        isComparable ? html("a", { href: exploreUrl(this.#site.name, sighting), "aria-label": `More like the sighting of ${sighting.camera}, ${sighting.tracklet}` }, "More like this") : null,
      ),
    );
  }

  #offerLevels(levels, show) {
    const root = document.querySelector(".trail-levels");
    const press = (level) => {
      for (const button of root.children) put(button, "aria-pressed", String(button.value === level));
    };
    root.hidden = levels.length < 2;
    root.replaceChildren(...levels.map((level) => html("button", { type: "button", value: level, onclick: () => [press(level), show(level)] }, words(level))));
    press(levels[0]);
  }
}

const standingFirst = (stays) => [...stays].sort((a, b) => Number(a.status === "void") - Number(b.status === "void"));

function whereIsIt({ kind, zone, stall, since_at: since, updated_at: updated, position_m: position }) {
  return html("dl", { class: "pairs" },
    pair("Kind", kind && words(kind)),
    pair("Where", stall ? `Stall ${stall}` : zone && words(zone)),
    pair("Since", since && whenOr(since)),
    pair("Last told of", updated && whenOr(updated)),
    pair("Position", position && `${position[0].toFixed(1)}, ${position[1].toFixed(1)} m`),
  );
}

function timeline(history, mapAt) {
  const told = history.map((event) => [event, sentence(event)]).filter(([, text]) => text !== null);
  const left = told.length - SHOWN_FACTS;
  const entries = told.slice(-SHOWN_FACTS).reverse().map(([event, text]) => html("li", { "data-fact": event.type },
    html("a", { href: mapAt(event.time), "aria-label": `Map at ${whenOr(event.time)}` }, html("time", { datetime: event.time }, whenOr(event.time))),
    html("span", {}, text, event.supersedes ? html("span", { class: "tag" }, "correction") : null),
  ));
  return html("div", {}, left > 0 ? html("p", { class: "note" }, `The newest ${SHOWN_FACTS}; ${plural(left, "older fact")} at an earlier moment.`) : null, html("ol", { class: "facts" }, entries));
}

openSheet("Vehicle", (api, site) => new VehiclePage(api, site));
