/** A drawing in plan coordinates over the canvases of the map; it follows the map's view. */

import { svg } from "../elements.js";

export class PlanLayer {
  element;

  constructor(name) {
    this.element = svg("svg", { class: `map-canvas ${name}`, "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" });
  }

  /** Show what the map shows. @param view {centre, scale, size} */
  follow({ centre: [x, y], scale, size }) {
    const [width, height] = size.map((length) => length / scale);
    this.element.setAttribute("viewBox", `${x - width / 2} ${y - height / 2} ${width} ${height}`);
    this.element.style.setProperty("--px", 1 / scale);
  }

  /** Draw these and nothing else. @param {Node[]} drawn those of a level say so in `data-level` */
  draw(drawn) {
    this.element.toggleAttribute("hidden", drawn.length === 0); // a layer that is not there costs no frame anything
    this.element.replaceChildren(...drawn);
  }
}
