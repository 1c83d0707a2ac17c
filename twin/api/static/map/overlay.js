/** What was believed before a correction, drawn over what is believed after it: dashed where vehicles were thought to be. */

import { svg } from "../elements.js";
import { shortId } from "../format.js";
import { headingOf, planAngle, planPoint } from "../geometry.js";
import { vehicleChanges } from "../time/lines.js";
import { PlanLayer } from "./plan_layer.js";
import { shapeOf, sizeOf } from "./vehicle_shape.js";

export class Overlay extends PlanLayer {
  #stalls;

  /** @param {Map} stalls the site's stalls by id, whose headings parked vehicles take */
  constructor(stalls) {
    super("overlay");
    this.#stalls = stalls;
    this.show(null);
  }

  /** @param state the state's part of an answer of /changes, or null for nothing */
  show(state) {
    const drawn = state ? vehicleChanges(state.vehicles).map((change) => vehicleMark(change, this.#stalls)) : [];
    this.draw(drawn.flat().filter(Boolean));
  }
}

function vehicleMark({ kind, before, after }, stalls) {
  const parts = [];
  if (before && kind !== "otherwise" && kind !== "renamed") parts.push(outline(before, stalls.get(before.stall)));
  if (before && after && kind === "moved" && before.level === after.level) parts.push(way(before, after));
  if (after) parts.push(ring(after, kind));
  if (kind === "renamed") parts.push(label(after, `${shortId(before.vehicle)} → ${shortId(after.vehicle)}`));
  if (kind === "removed") parts.push(label(before, `not ${shortId(before.vehicle)}`));
  if (kind === "added") parts.push(label(after, `+ ${shortId(after.vehicle)}`));
  return parts;
}

function outline({ kind, level, position_m, velocity_mps }, stall) {
  const [x, y] = planPoint(position_m);
  const heading = stall?.heading_deg ?? (Math.hypot(...velocity_mps) > 0 ? headingOf(velocity_mps) : 0);
  return svg("path", { class: "ghost", "data-level": level, d: shapeOf(kind).hull, transform: `translate(${x} ${y}) rotate(${planAngle(heading)})` });
}

function ring({ kind, level, position_m }, change) {
  const [x, y] = planPoint(position_m);
  return svg("circle", { class: "changed", "data-change": change, "data-level": level, cx: x, cy: y, r: sizeOf(kind)[0] * 0.7 });
}

function way(before, after) {
  const [a, b] = [planPoint(before.position_m), planPoint(after.position_m)];
  return svg("path", { class: "changed-way", "data-level": after.level, d: `M${a.join(" ")}L${b.join(" ")}` });
}

function label({ level, position_m }, text) {
  const [x, y] = planPoint(position_m);
  return svg("g", { transform: `translate(${x} ${y})`, "data-level": level }, svg("g", { class: "fixed" }, svg("text", { class: "label changed-name", y: 30, "text-anchor": "middle" }, text)));
}
