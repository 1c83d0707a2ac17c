/** The vehicle that is looked at: its way on the map, and its sightings in time's order. */

import { html, put, say } from "../elements.js";
import { plural, words } from "../format.js";
import { LatestRequest } from "../latest_request.js";
import { cropPicture, momentUrl, whenSeen } from "../search/sighting.js";
import { passagesOf, trailOf } from "./trail.js";
import { TrailMap } from "./trail_map.js";

export class Chosen {
  #root;
  #site;
  #ask;
  #cropUrl;
  #map = null;
  #requests = new LatestRequest();

  /** @param ask (vehicle, signal) => promise of an answer of /vehicles/{id} */
  constructor(root, site, ask, cropUrl) {
    this.#root = root;
    this.#site = site;
    this.#ask = ask;
    this.#cropUrl = cropUrl;
  }

  hide() {
    this.#requests.abort();
    this.#root.hidden = true;
    put(this.#root, "data-chosen", null);
  }

  /** @param hit of an answer of search */
  show(hit) {
    this.#root.hidden = false;
    put(this.#root, "data-chosen", null);
    say(this.#root.querySelector("h2"), hit.vehicle);
    this.#tell("Asking where it was…", false);
    const fail = (error) => {
      this.#tell(error.message, true);
      this.#draw(hit, []);
    };
    return this.#requests.ask((signal) => this.#ask(hit.vehicle, signal), ({ history }) => this.#draw(hit, history), fail);
  }

  #draw({ vehicle, sightings, n_sightings: nSightings }, history) {
    const trail = trailOf(history, vehicle);
    const passages = passagesOf(history, vehicle, sightings, trail);
    if (history.length > 0) this.#tell(`${plural(nSightings, "view")} in ${plural(passages.length, "passage")} before cameras, in order.`, false);
    this.#map ??= new TrailMap(this.#root.querySelector("#map"), this.#site);
    const passed = new Set([...trail, ...passages.map(({ place }) => place)].filter(Boolean).map(({ level }) => level));
    const levels = this.#site.levels.filter(({ id }) => passed.has(id)).map(({ id }) => id);
    this.#offerLevels(levels, (level) => this.#map.show(level, trail, passages));
    this.#map.show(levels[0] ?? this.#site.levels[0].id, trail, passages);
    this.#root.querySelector(".passages").replaceChildren(...passages.map(({ sighting }) => this.#passage(vehicle, sighting)));
    put(this.#root, "data-chosen", vehicle);
  }

  #passage(vehicle, sighting) {
    return html("li", { "data-passage": sighting.tracklet },
      cropPicture(sighting, this.#cropUrl),
      html("span", { class: "seen" }, whenSeen(sighting)),
      html("a", { href: momentUrl(this.#site.name, sighting, vehicle), class: "like" }, "Jump to that moment"),
    );
  }

  #offerLevels(levels, show) {
    const root = this.#root.querySelector(".trail-levels");
    const press = (level) => {
      for (const button of root.children) put(button, "aria-pressed", String(button.value === level));
    };
    const choose = ({ target }) => {
      press(target.value);
      show(target.value);
    };
    root.hidden = levels.length < 2;
    root.replaceChildren(...levels.map((level) => html("button", { type: "button", value: level, onclick: choose }, words(level))));
    press(levels[0]);
  }

  #tell(text, isProblem) {
    const told = this.#root.querySelector("[role=status]");
    put(told, "class", isProblem ? "problem" : "note");
    say(told, text);
  }
}
