/** The scale bar and the compass: what turns a drawing into a map. */

import { put, say } from "../elements.js";

const LONGEST_BAR_PX = 110;
const ROUND_M = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** @param {HTMLElement} root holds .scale-bar, .scale-length and .compass */
export class Furniture {
  #root;

  constructor(root, datum) {
    this.#root = root;
    // The site's y axis points to the datum's bearing, so north lies that far back.
    put(root.querySelector(".compass-needle"), "transform", `rotate(${-(datum?.bearing_deg ?? 0)})`);
  }

  scaleTo(pixels_per_m) {
    const length_m = ROUND_M.findLast((length) => length * pixels_per_m <= LONGEST_BAR_PX) ?? ROUND_M[0];
    this.#root.querySelector(".scale-bar").style.width = `${length_m * pixels_per_m}px`;
    say(this.#root.querySelector(".scale-length"), `${length_m} m`);
  }
}
