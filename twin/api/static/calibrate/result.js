/** What came of the marks: figures, remarks, and the plan as the camera would see it. */

import { html, put, say, svg } from "../elements.js";
import { pixelPath } from "./plan.js";

export class Result {
  overlay = svg("g", { class: "plan-overlay", "aria-hidden": "true" });
  #parts;

  /** @param {{told, figures, remarks}} parts elements of the page */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Show an answer of `calibration/try`. */
  show({ calibration, remarks, plan_px }) {
    this.overlay.replaceChildren(...plan_px.map(({ kind, id, points_px }) => svg("path", { "data-kind": kind, "data-id": id, d: pixelPath(points_px) })));
    this.#parts.figures.replaceChildren(...(calibration ? figuresOf(calibration) : []).flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));
    this.#parts.remarks.replaceChildren(...remarks.map(({ severity, code, text }) => html("li", { "data-severity": severity, "data-code": code }, text)));
    this.tell(calibration ? "done" : "open", inWords(calibration, remarks));
  }

  tell(status, text) {
    put(this.#parts.told, "data-status", status);
    put(this.#parts.told, "class", status === "problem" ? "problem" : "note");
    say(this.#parts.told, text);
  }
}

function inWords(calibration, remarks) {
  if (!calibration) return "No calibration yet.";
  const n = remarks.filter(({ severity }) => severity === "warning").length;
  const kind = calibration.geometry.geometry === "pinhole" ? "Lens and pose" : "A homography of the ground";
  return `${kind}: ${calibration.rms_px.toFixed(2)} px root mean square, ${n === 0 ? "nothing to mistrust" : n === 1 ? "1 warning" : `${n} warnings`}.`;
}

function figuresOf({ geometry, rms_px, rms_m, left_out_m, ground, sigma_m, focal_px }) {
  const figures = [["Root mean square", `${rms_px.toFixed(2)} px, ${metres(rms_m)}`], ["Of pairs left out", metres(left_out_m)]];
  if (ground) figures.push(["The ground is known to", `${metres(ground.median_m)} (median), ${metres(ground.p95_m)} (95 %)`]);
  figures.push(["Told to the twin", metres(sigma_m)]);
  if (focal_px) figures.push(["Focal length", `${focal_px[0].toFixed(0)} ± ${focal_px[1].toFixed(1)} px`]);
  if (geometry.position_m) figures.push(["Position", geometry.position_m.map((one) => one.toFixed(2)).join(", ") + " m"]);
  if (geometry.distortion) figures.push(["Bending of the lens", `k1 ${geometry.distortion[0].toFixed(3)}, k2 ${geometry.distortion[1].toFixed(3)}`]);
  return figures;
}

const metres = (value) => (value === null ? "not known" : `${value.toFixed(2)} m`);
