/** What is in the large picture, in words: the same as its boxes, for those who do not see or point at them. */

import { html, put, say } from "../elements.js";
import { words } from "../format.js";
import { Rows } from "../panel/rows.js";
import { percent, trackNumber } from "./frame_view.js";

export class SeenTable {
  #rows;
  #empty;

  /** @param {HTMLElement} root with a tbody and a .empty note  @param pick (vehicle) => void */
  constructor(root, pick) {
    this.#empty = root.querySelector(".empty");
    this.#rows = new Rows(root.querySelector("tbody"), () => rowOf(pick), fill);
  }

  show(boxes, selected) {
    this.#empty.hidden = boxes.length > 0;
    const ordered = [...boxes].sort((a, b) => (a.vehicle === null) - (b.vehicle === null) || (a.tracklet < b.tracklet ? -1 : 1));
    this.#rows.show(ordered.map((box) => [box.tracklet, { ...box, isSelected: box.vehicle !== null && box.vehicle === selected }]));
  }
}

function rowOf(pick) {
  const button = html("button", { type: "button", class: "link", onclick: () => pick(button.textContent) });
  const cells = ["kind", "number", "number", "number"].map((name) => html("td", { class: name }));
  return html("tr", {}, html("th", { scope: "row" }, button, html("span", { class: "note" }, "not named yet")), cells);
}

function fill(row, { vehicle, kind, score, tracklet, contact_m, isSelected }) {
  const [button, note] = row.querySelector("th").children;
  const cells = row.querySelectorAll("td");
  put(row, "aria-current", isSelected ? "true" : null);
  put(row, "data-tracklet", tracklet);
  put(row, "data-vehicle", vehicle);
  button.hidden = vehicle === null;
  note.hidden = vehicle !== null;
  say(button, vehicle ?? "");
  const told = [words(kind), percent(score), trackNumber(tracklet), contact_m ? contact_m.map((one) => one.toFixed(1)).join(", ") : "–"];
  told.forEach((text, i) => say(cells[i], text));
  put(cells[2], "title", tracklet);
}
