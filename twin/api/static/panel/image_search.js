/** Search by picture beside the map: drop, choose or paste one, and see which vehicles looked like it, where and when. */

import { html, put, say } from "../elements.js";
import { plural } from "../format.js";
import { LatestRequest } from "../latest_request.js";
import { meter, percent, reasonList } from "../search/evidence.js";
import { acceptPictures, refusalOf } from "../search/pictures.js";
import { cropPicture, onPlainClick, whenSeen } from "../search/sighting.js";

const SHOWN_HITS = 12;

export class ImageSearch {
  #root;
  #ask;
  #actions;
  #requests = new LatestRequest();
  #preview = null;

  /**
   * @param {HTMLElement} root the tab's panel
   * @param ask (picture, limit, signal) => promise of an answer of /search
   * @param actions {open(hit), cropUrl(crop), likeUrl(sighting)}
   */
  constructor(root, ask, actions) {
    this.#root = root;
    this.#ask = ask;
    this.#actions = actions;
    acceptPictures(root.querySelector(".drop"), ([first]) => this.search(first));
  }

  async search(picture) {
    this.#requests.abort();
    this.#showPreview(picture);
    const refusal = refusalOf(picture);
    if (refusal) {
      this.#tell("problem", refusal, []);
      return;
    }
    this.#tell("asking", "Searching…", []);
    await this.#requests.ask(
      (signal) => this.#ask(picture, SHOWN_HITS, signal),
      ({ hits, n_found: nFound }) => this.#tell("done", hits.length ? `The best ${hits.length} of ${plural(nFound, "vehicle")}` : "No vehicle seen here looks like this picture.", hits),
      (error) => this.#tell("problem", `The picture could not be searched: ${error.message}`, []),
    );
  }

  #showPreview(picture) {
    if (this.#preview) URL.revokeObjectURL(this.#preview);
    this.#preview = picture.type.startsWith("image/") ? URL.createObjectURL(picture) : null;
    const image = this.#root.querySelector(".preview");
    image.hidden = this.#preview === null;
    if (this.#preview) image.src = this.#preview;
  }

  #tell(status, text, hits) {
    const told = this.#root.querySelector("[role=status]");
    put(this.#root, "data-search", status);
    put(told, "class", status === "problem" ? "problem" : "note");
    say(told, text);
    this.#root.querySelector("ol").replaceChildren(...hits.map((hit) => this.#hit(hit)));
  }

  #hit(hit) {
    const { vehicle, probability, look, reasons, links, sightings: [best] } = hit;
    return html("li", { class: "hit", "data-hit": vehicle, "data-probability": probability },
      cropPicture(best, this.#actions.cropUrl),
      html("div", {},
        html("a", { href: links.moment, class: "hit-name", onclick: onPlainClick(() => this.#actions.open(hit)) }, vehicle),
        html("p", { class: "note" }, whenSeen(best)),
        meter("Probability", probability),
        meter("Look alone", look),
        reasonList(reasons),
        html("a", { href: this.#actions.likeUrl(best), class: "like" }, "More like this sighting"),
      ),
      html("span", { class: "hit-score", title: "Probability" }, percent(probability)),
    );
  }
}
