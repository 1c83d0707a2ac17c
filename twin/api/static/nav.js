/** The links between pages, the same on each: they keep the site, and say which page this is. */

import { put } from "./elements.js";

const OF_SITE = ["/", "/cameras", "/sessions", "/review", "/occupancy", "/explore", "/edit", "/calibrate", "/subscriptions"];
const links = [...document.querySelectorAll(".pages a")];
const isHere = (path) => (path === "/" ? location.pathname === "/" : location.pathname.startsWith(path));

for (const link of links) {
  const path = link.getAttribute("href").split("?")[0];
  put(link, "aria-current", isHere(path.startsWith("/-/") ? "/-/" : path) ? "page" : null);
  // A page may choose its site after this ran, and writes it into its address.
  for (const name of ["pointerdown", "focus"]) link.addEventListener(name, () => keepSite(link, path));
  keepSite(link, path);
}
showCurrent();

/** Where the links do not fit, they scroll: to this page's. */
function showCurrent() {
  const current = links.find((link) => link.hasAttribute("aria-current"));
  if (!current) return;
  const frame = current.parentElement;
  frame.scrollLeft = current.offsetLeft - frame.offsetLeft - (frame.clientWidth - current.offsetWidth) / 2;
}

function keepSite(link, path) {
  const site = new URLSearchParams(location.search).get("site");
  if (site && OF_SITE.includes(path)) link.href = `${path}?${new URLSearchParams({ site })}`;
}
