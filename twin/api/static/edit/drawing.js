/** The shape that is being drawn, on whichever view: its corners so far, in metres. */

import { placesOf } from "./features.js";

const MOST_CORNERS = { portal: 2, row: 2 };
const FIRST_WORDS = {
  row: "Set the front corner of the first stall, then that of the last.",
  portal: "Set its two ends; from its right to its left is “in”.",
};

export class Drawing {
  tool = null;
  points = [];
  #listener;

  /** @param {{changed(), done(tool, points), told(text)}} listener `done` with null: it was given up */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Begin with a tool, or stop with null. */
  begin(tool) {
    this.tool = tool;
    this.points = [];
    this.#listener.changed();
    this.#listener.told(tool === null ? "" : FIRST_WORDS[tool] ?? "Set its corners; the first corner again, or Enter, ends it.");
  }

  giveUp() {
    if (this.tool === null) return;
    this.begin(null);
    this.#listener.done(null, []);
    this.#listener.told("Given up; nothing was drawn.");
  }

  /** One more corner; the last that a shape can have ends it. */
  add(point) {
    this.points = [...this.points, point];
    if (this.points.length === MOST_CORNERS[this.tool]) this.finish();
    else this.#listener.changed();
  }

  /** Take the last corner back. */
  back() {
    const [n, last] = [this.points.length, this.points.at(-1)];
    this.points = this.points.slice(0, -1);
    this.#listener.changed();
    this.#listener.told(last ? `Corner ${n} at ${last[0].toFixed(2)}, ${last[1].toFixed(2)} m taken back; ${n - 1} left.` : "There is no corner to take back.");
  }

  finish() {
    const { tool, points } = this;
    const least = placesOf(tool) === "ring_m" ? 3 : 2;
    if (points.length < least) {
      this.#listener.told(`A ${tool} has at least ${least} corners; ${points.length} ${points.length === 1 ? "is" : "are"} set.`);
      return;
    }
    this.begin(null);
    this.#listener.done(tool, points);
  }
}
