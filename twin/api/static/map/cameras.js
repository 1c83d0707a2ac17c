/** Cameras: where they hang, which ground they see, and whether they deliver. */

import { put, svg } from "../elements.js";
import { words } from "../format.js";
import { centroid, headingOf, planAngle, planPoint, ringPath } from "../geometry.js";

const TOLD = { active: "delivers", idle: "silent", unseen: "never seen yet" };

export class CameraLayer {
  footprints = svg("g", { class: "footprints", "aria-hidden": "true" });
  element = svg("g", { class: "cameras" });
  #cameras = new Map();
  #hrefOf;

  /** @param {((camera: string) => string)=} hrefOf where a camera's icon leads; without it, nowhere */
  constructor(cameras, hrefOf = null) {
    this.#hrefOf = hrefOf;
    for (const camera of cameras) this.#add(camera);
  }

  patch(changed) {
    for (const { camera, state } of changed) {
      const drawn = this.#cameras.get(camera);
      if (!drawn) continue;
      put(drawn.footprint, "data-state", state);
      put(drawn.icon, "data-state", state);
      put(drawn.icon, "aria-label", `Camera ${camera}: ${TOLD[state] ?? state}${this.#hrefOf ? ". See what it sees" : ""}`);
    }
  }

  #add({ id, level, footprint_m, position_m }) {
    const hasFootprint = footprint_m?.length > 2;
    const middle = hasFootprint ? centroid(footprint_m) : null;
    // A camera known only by its homography has no place of its own: it stands where it looks.
    const place = position_m?.slice(0, 2) ?? middle;
    if (!place) return;
    const footprint = svg("path", { class: "footprint", "data-camera-footprint": id, "data-level": level, "data-state": "unseen" });
    if (hasFootprint) put(footprint, "d", ringPath(footprint_m));
    const icon = this.#icon(id, level, place, middle);
    // Pointing at a camera brings out the ground it sees.
    icon.addEventListener("pointerenter", () => put(footprint, "data-hover", "true"));
    icon.addEventListener("pointerleave", () => put(footprint, "data-hover", null));
    this.footprints.append(footprint);
    this.element.append(icon);
    this.#cameras.set(id, { footprint, icon });
  }

  #icon(id, level, place, middle) {
    const [x, y] = planPoint(place);
    const heading = middle ? headingOf([middle[0] - place[0], middle[1] - place[1]]) : 0;
    const named = this.#hrefOf ? ["a", { href: this.#hrefOf(id) }] : ["g", { role: "img" }];
    return svg(named[0], { ...named[1], class: "camera", "aria-label": `Camera ${id}`, "data-camera": id, "data-level": level, "data-state": "unseen", transform: `translate(${x} ${y})` },
      svg("g", { class: "fixed" },
        this.#hrefOf ? svg("circle", { class: "touch", r: 13 }) : null,
        svg("path", { class: "camera-view", d: "M0 0L18-9A20 20 0 0 1 18 9Z", transform: `rotate(${planAngle(heading)})` }),
        svg("circle", { class: "camera-body", r: 5.5 }),
        svg("path", { class: "camera-fault", d: "M-3-3L3 3M3-3L-3 3" }),
        svg("text", { class: "label camera-name", y: -10, "text-anchor": "middle" }, words(id)),
      ),
    );
  }
}
