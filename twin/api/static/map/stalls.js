/** Stalls, coloured by state; hatching and a sign say the same without colour. */

import { put, say, svg } from "../elements.js";
import { words } from "../format.js";
import { centroid, planPoint, ringPath } from "../geometry.js";

export class StallLayer {
  element = svg("g", { class: "stalls" });
  #stalls = new Map();

  constructor(stalls, onPick) {
    for (const stall of stalls) this.#add(stall);
    this.element.addEventListener("click", (event) => {
      const stall = event.target.closest("[data-stall]");
      if (stall) onPick(stall.dataset.stall);
    });
  }

  patch(changed) {
    for (const { stall, state, vehicle } of changed) {
      const drawn = this.#stalls.get(stall);
      if (!drawn) continue;
      drawn.state = state;
      put(drawn.group, "data-state", state);
      put(drawn.group, "aria-label", `Stall ${stall}: ${state}${vehicle ? `, ${vehicle}` : ""}`);
      say(drawn.sign, state === "unknown" ? "?" : "");
    }
  }

  /** How many stalls are free and how many unknown, by the id of their zone. */
  countsByZone() {
    const counts = new Map();
    for (const { zone, state } of this.#stalls.values()) {
      if (!counts.has(zone)) counts.set(zone, { free: 0, occupied: 0, unknown: 0 });
      counts.get(zone)[state] += 1;
    }
    return counts;
  }

  select(id) {
    for (const [stall, { group }] of this.#stalls) put(group, "data-selected", stall === id ? "true" : null);
  }

  #add({ id, level, zone, ring_m }) {
    const [x, y] = planPoint(centroid(ring_m));
    const sign = svg("tspan", { class: "stall-sign", x: 0, dy: 13 }, "?");
    const name = svg("text", { class: "label stall-name", "text-anchor": "middle" }, shortName(id), sign);
    const label = svg("g", { transform: `translate(${x} ${y})` }, svg("g", { class: "fixed" }, name));
    const group = svg("g", { class: "stall", role: "img", "data-stall": id, "data-level": level, "data-state": "unknown" },
      svg("path", { class: "stall-area", d: ringPath(ring_m) }),
      svg("path", { class: "stall-hatch", d: ringPath(ring_m) }),
      label,
    );
    put(group, "aria-label", `Stall ${id}: unknown`);
    this.element.append(group);
    this.#stalls.set(id, { group, sign, zone, state: "unknown" });
  }
}

/** Row and number are enough inside a stall: "stall-a-07" is "A 07" there. */
export function shortName(id) {
  const name = id.replace(/^stall[-_ ]?/i, "");
  return name.length <= 5 ? name.toUpperCase().replaceAll(/[-_]/g, " ") : words(name).slice(-5);
}
