/** Ranked vehicles, and sightings of nobody known. */

import { html, put } from "../elements.js";
import { plural } from "../format.js";
import { meter, percent, reasonList } from "../search/evidence.js";
import { cropPicture, exploreUrl, onPlainClick, whenSeen } from "../search/sighting.js";

export class Results {
  #hits;
  #strays;
  #site;
  #actions;

  /**
   * @param {HTMLElement} root holds the lists
   * @param actions {choose(hit), like(sighting), cropUrl(crop)}
   */
  constructor(root, site, actions) {
    this.#hits = root.querySelector(".hits");
    this.#strays = root.querySelector("#strays");
    this.#site = site;
    this.#actions = actions;
    this.#hits.addEventListener("keydown", (event) => this.#key(event));
  }

  get nShown() {
    return this.#hits.children.length;
  }

  show({ hits, unassigned }) {
    this.#hits.replaceChildren();
    this.add(hits);
    this.#strays.hidden = unassigned.length === 0;
    this.#strays.querySelector("ol").replaceChildren(...unassigned.map((stray) => this.#stray(stray)));
  }

  /** The next page, below those that are there; returns its first vehicle's button, or null. */
  add(hits) {
    const before = this.nShown;
    this.#hits.append(...hits.map((hit, i) => this.#hit(hit, before + i + 1)));
    return this.#hits.children[before]?.querySelector(".hit-name") ?? null;
  }

  mark(vehicle) {
    for (const row of this.#hits.children) put(row, "aria-current", row.dataset.hit === vehicle ? "true" : null);
  }

  #hit(hit, rank) {
    const { vehicle, probability, look, reasons, sightings, n_sightings: nSightings } = hit;
    const choose = () => this.#actions.choose(hit);
    return html("li", { class: "hit", "data-hit": vehicle, "data-probability": probability },
      html("div", { class: "hit-best" }, cropPicture(sightings[0], this.#actions.cropUrl)),
      html("div", { class: "hit-told" },
        html("h3", {}, html("span", { class: "rank" }, `${rank}. `), html("button", { type: "button", class: "link hit-name", onclick: choose }, vehicle)),
        meter("Probability", probability),
        meter("Look alone", look),
        reasonList(reasons),
      ),
      html("span", { class: "hit-score", title: "Probability", "aria-hidden": "true" }, percent(probability)),
      this.#strip(sightings, nSightings),
    );
  }

  #stray({ probability, look, tracklets, sightings }) {
    return html("li", { class: "stray", "data-stray": tracklets[0] },
      html("h3", {}, plural(tracklets.length, "tracklet"), `, ${sightings[0].camera}`),
      meter("Probability", probability),
      meter("Look alone", look),
      this.#strip(sightings, sightings.length),
    );
  }

  #strip(sightings, n) {
    const rest = n > sightings.length ? html("li", { class: "note rest" }, `and ${n - sightings.length} more`) : null;
    return html("ol", { class: "strip", "aria-label": "Sightings, the most alike first" }, sightings.map((sighting) => this.#sighting(sighting)), rest);
  }

  #sighting(sighting) {
    const { likeness, links, tracklet } = sighting;
    const more = onPlainClick(() => this.#actions.like(sighting));
    return html("li", { class: "sighting", "data-tracklet": tracklet },
      cropPicture(sighting, this.#actions.cropUrl),
      html("span", { class: "seen" }, whenSeen(sighting)),
      html("span", { class: "seen note" }, likeness === null ? "not compared" : `likeness ${likeness.toFixed(2)}`),
      html("a", { href: links.moment, class: "like moment-link", "aria-label": `That moment on the map: ${whenSeen(sighting)}` }, "That moment"),
      html("a", { href: exploreUrl(this.#site, sighting), class: "like more-like", "aria-label": `More like the sighting of ${whenSeen(sighting)}`, onclick: more }, "More like this"),
    );
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const names = [...this.#hits.querySelectorAll(".hit-name")];
    const now = names.indexOf(document.activeElement);
    if (!step || now < 0) return;
    names[Math.min(names.length - 1, Math.max(0, now + step))].focus();
    event.preventDefault();
  }
}
