/** How sure search is, and why: shares as a bar with a number, reasons as a list. */

import { html } from "../elements.js";

/** A share as people read it; what is neither never nor always is not said to be. */
export function percent(share) {
  if (share > 0 && share < 0.005) return "< 1 %";
  if (share < 1 && share >= 0.995) return "> 99 %";
  return `${Math.round(share * 100)} %`;
}

/** @param {number} share 0..1 */
export function meter(name, share) {
  const bar = html("span", { class: "meter-bar" });
  bar.style.setProperty("--share", Math.min(1, Math.max(0, share)));
  return html("p", { class: "meter" }, html("span", {}, name), html("span", { class: "meter-track", "aria-hidden": "true" }, bar), html("span", {}, percent(share)));
}

export function reasonList(reasons) {
  return html("ul", { class: "reasons" }, reasons.map((reason) => html("li", {}, reason)));
}
