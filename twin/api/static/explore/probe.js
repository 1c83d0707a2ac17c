/** What is looked for: pictures of one vehicle, or a sighting; with what was found in each picture. */

import { html, put } from "../elements.js";
import { milliseconds, timeOfDay, words } from "../format.js";
import { acceptPictures } from "../search/pictures.js";
import { cropPicture } from "../search/sighting.js";

export class Probe {
  pictures = [];
  #root;
  #list;
  #urls = [];
  #listener;
  #cropUrl;

  /** @param {{pictures(), cleared()}} listener pictures came or went; everything was taken away */
  constructor(root, cropUrl, listener) {
    this.#root = root;
    this.#list = root.querySelector(".probe-pictures");
    this.#listener = listener;
    this.#cropUrl = cropUrl;
    acceptPictures(root.querySelector(".drop"), (files) => this.#setPictures([...this.pictures, ...files]));
    root.querySelector("#is-whole input").addEventListener("change", () => listener.pictures());
    root.querySelector("#start-again").addEventListener("click", () => {
      this.empty();
      listener.cleared();
    });
  }

  /** Parameters of the API that are about the pictures: whether a vehicle is to be found in them first. */
  get parameters() {
    return this.pictures.length > 0 && this.#root.querySelector("#is-whole input").checked ? { crop: "whole" } : {};
  }

  /** Look for a sighting: its id, and its picture where one is known. */
  showSighting(tracklet, crop) {
    this.empty();
    const from = html("span", {}, "The sighting ", html("strong", {}, tracklet));
    this.#list.append(html("li", { class: "probe-sighting", "data-probe": tracklet }, cropPicture({ crop, camera: tracklet }, this.#cropUrl), from));
    this.#offerStart();
  }

  /** What an answer says of the pictures: the vehicle's box in each, or that all of it is one. */
  tell(pictures) {
    pictures.forEach((told, i) => {
      const shown = this.#list.children[i];
      shown?.querySelector(".found-box")?.remove();
      if (shown) shown.querySelector("figcaption").replaceChildren(inWords(told));
      if (shown && told.box_px) shown.querySelector(".framed").append(foundBox(told));
    });
  }

  empty() {
    this.pictures = [];
    this.#draw();
  }

  #setPictures(pictures) {
    this.pictures = pictures;
    this.#draw();
    this.#listener.pictures();
  }

  #draw() {
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.#urls = this.pictures.map((picture) => URL.createObjectURL(picture));
    this.#list.replaceChildren(...this.pictures.map((picture, i) => this.#shown(picture, this.#urls[i], i)));
    this.#offerStart();
  }

  #shown(picture, url, i) {
    const name = picture.name || `picture ${i + 1}`;
    const image = html("img", { src: url, alt: name });
    image.addEventListener("error", () => image.replaceWith(html("span", { class: "no-crop" }, "cannot be shown")), { once: true });
    const remove = () => {
      const left = this.pictures.filter((one) => one !== picture);
      if (left.length > 0) this.#setPictures(left);
      else this.#root.querySelector("#start-again").click();
    };
    return html("li", {}, html("figure", {}, html("span", { class: "framed" }, image), html("figcaption", { class: "note" }, name)),
      html("button", { type: "button", class: "icon remove", "aria-label": `Remove ${name}`, onclick: remove }, "×"));
  }

  #offerStart() {
    const isEmpty = this.#list.children.length === 0;
    this.#root.querySelector("#start-again").hidden = isEmpty;
    this.#root.querySelector("#is-whole").hidden = this.pictures.length === 0;
    put(this.#root, "data-probing", isEmpty ? null : "true");
  }
}

/** Where and when the answer takes the probe to have been seen, or "". */
export function nearInWords(near) {
  if (!near) return "";
  const places = [near.camera && `camera ${near.camera}`, near.at && timeOfDay(milliseconds(near.at))].filter(Boolean);
  return `Evidence: seen near ${places.join(" at ")}.`;
}

function foundBox({ size_px: [width, height], box_px: [x1, y1, x2, y2] }) {
  const box = html("span", { class: "found-box" });
  const share = (length, whole) => `${((100 * length) / whole).toFixed(3)}%`;
  Object.assign(box.style, { left: share(x1, width), top: share(y1, height), width: share(x2 - x1, width), height: share(y2 - y1, height) });
  return box;
}

function inWords({ size_px: [width, height], box_px, kind }) {
  return box_px ? `${words(kind)} found in the picture of ${width} × ${height}` : `All of the picture is taken for the vehicle`;
}
