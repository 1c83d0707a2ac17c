/** The live map beside a picture: the vehicles of the picture stand out, with their boxes' contact points and what the camera sees. */

import { Connection } from "../connection.js";
import { svg } from "../elements.js";
import { planPoint } from "../geometry.js";
import { LiveFeed } from "../live.js";
import { SiteMap } from "../map/sitemap.js";
import { TwinState } from "../state.js";

const CROSS = "M-5-5L5 5M5-5L-5 5";

export class Beside {
  state;
  #map;
  #marks = new CSSStyleSheet();

  /** @param {HTMLElement} root the map's section  @param {HTMLElement} badge  @param listener {pick(chosen), cameraUrl(camera)} */
  constructor(root, badge, api, site, listener) {
    this.state = new TwinState(site.cameras_by_stall);
    this.#map = new SiteMap(root, site, { level: () => {}, ...listener });
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#marks];
    const feed = new LiveFeed((resume) => api.liveUrl(site.name, resume), {
      snapshot: ({ state }) => {
        this.state.replace(state);
        this.#map.show(this.state, { isJump: false });
      },
      delta: (delta) => {
        this.#map.patch(this.state.apply(delta));
      },
      status: (status, wait_ms) => connection.show(status, wait_ms),
    });
    const connection = new Connection(badge, feed.retryNow);
    feed.start();
  }

  showLevel(level) {
    this.#map.showLevel(level);
  }

  /** @param {string} camera the one whose picture is shown  @param boxes of it */
  mark(camera, level, boxes) {
    this.#map.markSeen(boxes.filter(({ vehicle }) => vehicle !== null).map(({ vehicle }) => vehicle));
    this.#marks.replaceSync(`#world [data-camera-footprint="${CSS.escape(camera)}"]{fill:var(--camera);fill-opacity:.14;stroke-opacity:1;stroke-dasharray:none}`);
    this.#map.showContacts(boxes.filter(({ contact_m }) => contact_m !== null).map(({ tracklet, contact_m }) => {
      const [x, y] = planPoint(contact_m);
      return svg("g", { class: "contact", "data-level": level, "data-tracklet": tracklet, transform: `translate(${x} ${y})` }, svg("g", { class: "fixed" }, svg("path", { d: CROSS })));
    }));
  }

  select(vehicle) {
    const found = this.state.vehicles.get(vehicle);
    this.#map.select(vehicle === null ? null : { vehicle }, found ? { point_m: found.position_m, level: found.level } : null);
  }
}
