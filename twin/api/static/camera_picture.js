/** A camera's picture under what is drawn on it: its latest one, or a still of the person's own, which stays in the browser. */

import { put, svg } from "./elements.js";

const MOST_OFF = 0.01; // of the ratio of width and height: more is another view

export class CameraPicture {
  element;
  #image = svg("image", { class: "frame-picture" });
  #frame_px;
  #say;
  #url = null;
  #turn = 0; // of what was asked for last: what comes later than that is not shown

  /** @param say told in words what is shown */
  constructor(frame_px, say) {
    const [width, height] = frame_px;
    this.#frame_px = frame_px;
    this.#say = say;
    put(this.#image, "width", width);
    put(this.#image, "height", height);
    this.element = svg("g", {}, svg("rect", { class: "no-picture", width, height }), this.#image);
  }

  /** @param ask () => promise of {blob, takenAt}, or of null where the service has none */
  async latest(ask) {
    const turn = ++this.#turn;
    try {
      const picture = await ask();
      if (turn !== this.#turn) return;
      if (picture) await this.#show(turn, picture.blob, `Taken at ${new Date(picture.takenAt).toLocaleString()}.`);
      else this.#say("No picture was sent yet: open a file, or run perceive with --pictures.");
    } catch (error) {
      if (turn === this.#turn) this.#say(error.message);
    }
  }

  /** A file that the person chose. */
  open(file) {
    return this.#show(++this.#turn, file, `${file.name}; it stays in this browser.`);
  }

  /** Let go of what the browser holds; nothing is shown any more. */
  close() {
    this.#turn += 1;
    this.#letGo();
  }

  #letGo() {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }

  async #show(turn, blob, told) {
    const [width, height] = this.#frame_px;
    const size = await createImageBitmap(blob).catch(() => null);
    if (turn !== this.#turn) {
      size?.close();
      return;
    }
    this.#letGo();
    this.#url = size ? URL.createObjectURL(blob) : null;
    put(this.#image, "href", this.#url);
    const isSame = size && Math.abs(size.width / size.height - width / height) < MOST_OFF;
    if (!size) this.#say("This file is no picture that a browser can show.");
    else if (!isSame) this.#say(`This picture has ${size.width} × ${size.height} pixels, the camera ${width} × ${height}: another shape, so it is another view.`);
    else this.#say(told);
    size?.close();
  }
}
