/** What shapes alone do not say: names, and which way lanes and portals lead. */

import { svg } from "../elements.js";
import { alongLine, centroid, headingOf, planAngle } from "../geometry.js";
import { shortName } from "../map/stalls.js";

const ARROW_SPACING_M = 10;
const ARROW = "M-5-5L4 0L-5 5Z";
const CHEVRON = "M-5-5L1 0L-5 5M1-5L7 0L1 5";

/** Signs of all features of a level, as a view shows them; headings are drawn on the plan alone. */
export function signsOf(all, level, view) {
  const on = (features) => features.filter((one) => one.level === level);
  const { named, pointed } = signsIn(view);
  return [
    ...on(all.zones).map(({ id, ring_m }) => named(upperLeft(ring_m), id, "sign-zone", { x: 4, y: 13 })),
    ...on(all.stalls).map(({ id, ring_m }) => named(centroid(ring_m), shortName(id), "sign-stall", { y: 4, "text-anchor": "middle" })),
    ...on(all.lanes).filter(({ one_way }) => one_way).flatMap(({ line_m }) => alongLine(line_m, ARROW_SPACING_M).map(({ point_m, heading_deg }) => pointed(point_m, heading_deg, ARROW, "sign-lane"))),
    ...on(all.portals).flatMap((portal) => portalSigns(portal, named, pointed)),
  ].filter(Boolean);
}

/** "In" is from the line's right to its left, so it points along the line's left normal. */
function portalSigns({ id, direction, line_m: [start, end] }, named, pointed) {
  const middle = [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2];
  const inwards = headingOf([-(end[1] - start[1]), end[0] - start[0]]);
  const headings = { in: [inwards], out: [inwards + 180], both: [inwards, inwards + 180] }[direction];
  return [...headings.map((heading) => pointed(middle, heading, CHEVRON, "sign-portal", headings.length > 1 ? 9 : 0)), named(middle, id, "sign-zone", { y: 26, "text-anchor": "middle" })];
}

function signsIn(view) {
  const at = (point, sign) => {
    const place = view.drawn(point);
    return place && svg("g", { transform: `translate(${place.join(" ")})` }, svg("g", { class: "fixed" }, sign));
  };
  return {
    named: (point, text, kind, place) => at(point, svg("text", { class: `label ${kind}`, ...place }, text)),
    pointed: (point, heading, d, kind, away = 0) => (view.kind === "plan" ? at(point, svg("path", { class: kind, d, transform: `rotate(${planAngle(heading)}) translate(${away} 0)` })) : null),
  };
}

function upperLeft(ring_m) {
  return ring_m.reduce((best, point) => (point[1] - point[0] * 0.01 > best[1] - best[0] * 0.01 ? point : best));
}
