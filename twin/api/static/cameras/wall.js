/** All cameras small beside each other; one of them is chosen to be shown large. */

import { html, put, say, svg } from "../elements.js";
import { words } from "../format.js";
import { ageOf, inWords } from "./age.js";
import { FrameView } from "./frame_view.js";

export class Wall {
  #cards = new Map();

  /** @param {HTMLElement} root a list  @param cameras of the site's model  @param {(camera: string) => void} choose */
  constructor(root, cameras, choose) {
    root.replaceChildren(...cameras.map((camera) => html("li", {}, this.#card(camera, choose))));
  }

  /** A new picture of a camera. */
  show(told, url) {
    this.#cards.get(told.camera)?.view.show(told, url);
  }

  /** How old each picture is by now. @param {Iterable} pictures as told  @param states by camera */
  age(pictures, nowMs, states) {
    for (const told of pictures) {
      const card = this.#cards.get(told.camera);
      if (!card) continue;
      put(card.button, "data-status", ageOf(told, nowMs).status);
      put(card.button, "data-state", states.get(told.camera)?.state ?? "unseen");
      say(card.told, inWords(told, nowMs));
    }
  }

  choose(camera) {
    for (const [id, { button }] of this.#cards) put(button, "aria-current", id === camera ? "true" : null);
  }

  #card({ id, frame_px }, choose) {
    const surface = svg("svg", { class: "frame", "aria-hidden": "true" });
    const told = html("span", { class: "note" }, "Asking…");
    const button = html("button", { type: "button", class: "card", "data-camera": id, onclick: () => choose(id) }, surface, html("span", { class: "card-name" }, words(id)), told);
    this.#cards.set(id, { button, told, view: new FrameView(surface, frame_px) });
    return button;
  }
}
