/** One sighting of an answer of search: its picture, when and by which camera, and where it leads. */

import { html } from "../elements.js";
import { milliseconds, timeOfDay } from "../format.js";

/** "gate-in at 14:03:20". */
export const whenSeen = ({ camera, at }) => `${camera} at ${timeOfDay(milliseconds(at))}`;

/** The Explore page, asked for what looks like this sighting. */
export function exploreUrl(site, { tracklet, crop }) {
  const asked = new URLSearchParams({ site, tracklet, ...(crop ? { picture: crop } : {}) });
  return `/explore?${asked.toString().replaceAll("%3A", ":")}`;
}

/** The map at the sighting's moment, with the vehicle chosen. */
export function momentUrl(site, { at }, vehicle) {
  return `/?${new URLSearchParams({ site, at, vehicle }).toString().replaceAll("%3A", ":")}`;
}

/** The sighting's crop; a grey sign where it has none, or where the service gives it no more. */
export function cropPicture({ crop, camera }, cropUrl) {
  if (!crop) return noCrop();
  const picture = html("img", { class: "crop", src: cropUrl(crop), alt: `Picture by ${camera}`, loading: "lazy" });
  picture.addEventListener("error", () => picture.replaceWith(noCrop()), { once: true });
  return picture;
}

/** A listener for a link's plain click; with a modifier key the browser opens the link itself, in a tab of its own. */
export function onPlainClick(action) {
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    action();
  };
}

const noCrop = () => html("span", { class: "no-crop", title: "No picture is at hand" }, "no picture");
