/** Portals: the line, which way it is crossed, and how many crossed it. */

import { put, say, svg } from "../elements.js";
import { words } from "../format.js";
import { distance, headingOf, planAngle, planPoint } from "../geometry.js";

const CHEVRON = "M-5-5L1 0L-5 5M1-5L7 0L1 5";

export class PortalLayer {
  element = svg("g", { class: "portals" });
  #portals = new Map();

  constructor(portals) {
    for (const portal of portals) this.#add(portal);
  }

  patch(changed) {
    for (const { portal, n_in, n_out } of changed) {
      const drawn = this.#portals.get(portal);
      if (!drawn) continue;
      const counts = countsOf(drawn.direction, n_in, n_out);
      say(drawn.count, counts);
      put(drawn.group, "aria-label", `Portal ${portal}: ${n_in} in, ${n_out} out`);
      put(drawn.group, "data-in", n_in);
      put(drawn.group, "data-out", n_out);
    }
  }

  #add({ id, level, role, direction, line_m: [start, end] }) {
    const [x, y] = planPoint([(start[0] + end[0]) / 2, (start[1] + end[1]) / 2]);
    // "In" is from the line's right to its left, so it points along the line's left normal.
    const inwards_deg = headingOf([-(end[1] - start[1]), end[0] - start[0]]);
    const headings = { in: [inwards_deg], out: [inwards_deg + 180], both: [inwards_deg, inwards_deg + 180] }[direction];
    const count = svg("tspan", { class: "portal-count", dx: 6 });
    const group = svg("g", { class: "portal", role: "img", "data-portal": id, "data-level": level, "data-role": role },
      svg("path", { class: "portal-line", d: `M${planPoint(start).join(" ")}L${planPoint(end).join(" ")}` }),
      svg("g", { transform: `translate(${x} ${y})` },
        svg("g", { class: "fixed" },
          headings.map((heading) => svg("path", { class: "portal-arrow", d: CHEVRON, transform: `rotate(${planAngle(heading)}) translate(${direction === "both" ? 9 : 0} 0)` })),
        ),
      ),
      nameBeside([x, y], start, end, svg("text", { class: "label portal-name" }, words(id), count)),
    );
    put(group, "aria-label", `Portal ${id}`);
    this.element.append(group);
    this.#portals.set(id, { group, count, direction });
  }
}

/** The name stands at the line's lower end: below it, where the arrows never are. */
function nameBeside([x], start, end, text) {
  const lower = Math.max(planPoint(start)[1], planPoint(end)[1]);
  const isLevel = Math.abs(start[1] - end[1]) < 0.3 * distance(start, end);
  put(text, "text-anchor", "middle");
  put(text, "y", isLevel ? 34 : 15);
  return svg("g", { transform: `translate(${x} ${lower})` }, svg("g", { class: "fixed" }, text));
}

function countsOf(direction, n_in, n_out) {
  if (direction === "in") return `${n_in} in`;
  if (direction === "out") return `${n_out} out`;
  return `${n_in} in, ${n_out} out`;
}
