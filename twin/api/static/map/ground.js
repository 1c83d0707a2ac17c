/** What does not change on a map: zones' areas, lanes with their direction, walls, pillars and landmarks. */

import { put, say, svg } from "../elements.js";
import { plural, words } from "../format.js";
import { alongLine, linePath, planAngle, planPoint, ringPath } from "../geometry.js";

const ARROW_SPACING_M = 12;
const LANE_ARROW = "M-1.4-.09H.1V-.42L1.4 0L.1 .42V.09H-1.4Z"; // as painted on roads, metres
const LANDMARKS = {
  sign: "M0-5L5 0L0 5L-5 0Z",
  lamp: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M0-7V-5M0 5V7M-7 0H-5M5 0H7",
  post: "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
  arrow: "M-4 2L0-5L4 2M0-5V6",
  marking: "M-5-3H5M-5 0H5M-5 3H5",
  other: "M-4-4H4V4H-4Z",
};

/** Zones, whose fill says whether their state is known. */
const NO_STALLS = { free: 0, unknown: 0 };

export class ZoneLayer {
  element = svg("g", { class: "zones" });
  names = svg("g", { class: "zone-names", "aria-hidden": "true" });
  #zones = new Map();

  constructor(zones) {
    for (const zone of zones) this.#add(zone);
  }

  patch(changed) {
    for (const view of changed) {
      const drawn = this.#zones.get(view.zone);
      if (!drawn) continue;
      drawn.view = view;
      put(drawn.area, "data-state", view.state);
      put(drawn.hatch, "data-state", view.state);
      this.#tell(drawn);
    }
  }

  /** @param {Map} counts how many stalls of a zone are drawn as free and as unknown, by its id: the unknown are neither free nor taken */
  countStalls(counts) {
    for (const [zone, drawn] of this.#zones) {
      const { free, unknown } = counts.get(zone) ?? NO_STALLS;
      if (free === drawn.n_free && unknown === drawn.n_unknown) continue;
      drawn.n_free = free;
      drawn.n_unknown = unknown;
      if (drawn.view) this.#tell(drawn);
    }
  }

  #tell({ view: { zone, state, n_vehicles, n_stalls }, n_free, n_unknown, area, count }) {
    const unknown = n_unknown > 0 ? `, ${n_unknown} unknown` : "";
    const counted = n_stalls > 0 ? `${n_free} of ${n_stalls} free${unknown}` : plural(n_vehicles, "vehicle");
    const told = state === "known" ? counted : "unknown: no camera delivers";
    put(area, "aria-label", `Zone ${zone}: ${told}`);
    say(count, n_stalls > 0 || state !== "known" ? told : "");
  }

  #add({ id, level, kind, ring_m }) {
    const area = svg("path", { class: "zone", role: "img", "data-zone": id, "data-kind": kind, "data-level": level, "data-state": "unknown", d: ringPath(ring_m) });
    put(area, "aria-label", `Zone ${id}`);
    const count = svg("tspan", { class: "zone-count", dx: 6 });
    // A title stands on its zone's upper left corner, where neither stalls nor vehicles are.
    const [x, y] = ring_m.map(planPoint).reduce((best, point) => (point[1] + point[0] * 0.01 < best[1] + best[0] * 0.01 ? point : best));
    const name = svg("text", { class: "label zone-name", x: 1, y: -6 }, words(id), count);
    if (kind !== "parking") put(name, "data-minor", "true");
    const hatch = svg("path", { class: "zone-hatch", "aria-hidden": "true", "data-level": level, d: ringPath(ring_m) });
    this.element.append(area, hatch);
    this.names.append(svg("g", { transform: `translate(${x} ${y})`, "data-level": level }, svg("g", { class: "fixed" }, name)));
    this.#zones.set(id, { area, hatch, count, view: null, n_free: 0, n_unknown: 0 });
  }
}

/** Lanes as a centre line with arrows; a two-way lane has a dashed line and none. */
export function drawLanes(lanes) {
  return svg("g", { class: "lanes", "aria-hidden": "true" }, lanes.map(({ level, line_m, width_m, one_way }) =>
    svg("g", { class: "lane", "data-level": level, "data-one-way": one_way },
      svg("path", { class: "lane-bed", d: linePath(line_m), "stroke-width": width_m }),
      svg("path", { class: "lane-line", d: linePath(line_m) }),
      one_way ? alongLine(line_m, ARROW_SPACING_M).map(arrow) : null,
    ),
  ));
}

export function drawObstacles(obstacles) {
  return svg("g", { class: "obstacles", "aria-hidden": "true" }, obstacles.map(({ kind, level, outline_m, thickness_m }) =>
    kind === "pillar"
      ? svg("path", { class: "pillar", "data-level": level, d: ringPath(outline_m) })
      : svg("path", { class: "wall", "data-level": level, d: linePath(outline_m), "stroke-width": thickness_m }),
  ));
}

export function drawLandmarks(landmarks) {
  return svg("g", { class: "landmarks", "aria-hidden": "true" }, landmarks.map(({ id, kind, level, point_m, label }) => {
    const [x, y] = planPoint(point_m);
    const name = svg("text", { class: "label landmark-name", x: 9, y: 4 }, label || words(id));
    const glyph = svg("path", { class: "landmark-glyph", d: LANDMARKS[kind] ?? LANDMARKS.other });
    return svg("g", { class: "landmark", "data-level": level, "data-landmark": id, transform: `translate(${x} ${y})` }, svg("g", { class: "fixed" }, glyph, name));
  }));
}

function arrow({ point_m, heading_deg }) {
  const [x, y] = planPoint(point_m);
  return svg("path", { class: "lane-arrow", d: LANE_ARROW, transform: `translate(${x} ${y}) rotate(${planAngle(heading_deg)})` });
}
