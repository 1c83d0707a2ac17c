/** The map of one site: its layers in drawing order, its levels, and what is picked on it. */

import { html, put, svg } from "../elements.js";
import { words } from "../format.js";
import { centroid } from "../geometry.js";
import { CameraLayer } from "./cameras.js";
import { Furniture } from "./furniture.js";
import { drawLandmarks, drawLanes, drawObstacles, ZoneLayer } from "./ground.js";
import { PortalLayer } from "./portals.js";
import { StallLayer } from "./stalls.js";
import { VehicleLayer } from "./vehicles.js";
import { MapView } from "./view.js";

const ZOOM_STEP = 1.5;

export class SiteMap {
  #root;
  #site;
  #world;
  #view;
  #layers;
  #vehicles;
  #stalls;
  #level;
  #levelSheet = new CSSStyleSheet();

  /**
   * @param {HTMLElement} root the map's section of the page
   * @param site the site as the API describes it
   * @param {{pick({vehicle} | {stall} | null), level(id), cameraUrl?(id)}} listener `cameraUrl`: where a camera's icon leads
   */
  constructor(root, site, listener) {
    this.#root = root;
    this.#site = site;
    this.#world = root.querySelector("#world");
    this.#stalls = new StallLayer(site.stalls, (stall) => listener.pick({ stall }));
    this.#vehicles = new VehicleLayer(byId(site.stalls), (vehicle) => listener.pick({ vehicle }));
    this.#layers = { zones: new ZoneLayer(site.zones), stalls: this.#stalls, portals: new PortalLayer(site.portals), cameras: new CameraLayer(site.cameras, listener.cameraUrl) };
    this.#world.replaceChildren(...this.#drawingOrder());
    const surface = root.querySelector("#map");
    put(surface, "aria-label", `Map of ${words(site.name)}`);
    const furniture = new Furniture(root, site.datum);
    this.#view = new MapView(surface, site.extent_m, ({ scale }) => furniture.scaleTo(scale));
    this.#listen(surface, listener);
    this.#offerLevels(listener);
  }

  /** Draw a whole state; with `isJump` vehicles are there at once, otherwise they glide. */
  show(state, { isJump }) {
    for (const [name, layer] of Object.entries(this.#layers)) layer.patch(state[name].values());
    this.#vehicles.replace(state.vehicles, { isJump });
  }

  /** Draw what a live delta changed. */
  patch(delta) {
    for (const [name, layer] of Object.entries(this.#layers)) layer.patch(delta[name] ?? []);
    this.#vehicles.patch(delta.vehicles ?? [], delta.left ?? []);
  }

  /** Mark what is chosen ({vehicle} | {stall} | null), and bring its place ({point_m, level}) into view. */
  select(chosen, place) {
    this.#vehicles.select(chosen?.vehicle ?? null);
    this.#stalls.select(chosen?.stall ?? null);
    if (!place) return;
    this.showLevel(place.level);
    this.#view.reveal(place.point_m);
  }

  /** Where a stall is: {point_m, level}, or null where the site has none of that name. */
  placeOf(stallId) {
    const stall = this.#site.stalls.find(({ id }) => id === stallId);
    return stall ? { point_m: centroid(stall.ring_m), level: stall.level } : null;
  }

  showLevel(level) {
    if (!this.#site.levels.some(({ id }) => id === level)) return;
    this.#level = level;
    const others = this.#site.levels.filter(({ id }) => id !== level);
    // One rule hides the other levels, also for what is drawn later.
    const rule = others.map(({ id }) => `#world [data-level="${CSS.escape(id)}"]`).join(",");
    this.#levelSheet.replaceSync(rule ? `${rule}{display:none}` : "");
    for (const button of this.#root.querySelectorAll("#levels button")) put(button, "aria-pressed", String(button.value === level));
  }

  #drawingOrder() {
    const { zones, stalls, portals, cameras } = this.#layers;
    return [
      zones.element,
      drawLanes(this.#site.lanes),
      stalls.element,
      cameras.footprints,
      drawObstacles(this.#site.obstacles),
      portals.element,
      drawLandmarks(this.#site.landmarks),
      this.#vehicles.trails,
      this.#vehicles.element,
      zones.names,
      cameras.element,
    ].map((layer) => svg("g", {}, layer));
  }

  #listen(surface, listener) {
    const on = (selector, action) => this.#root.querySelector(selector).addEventListener("click", action);
    on("#zoom-in", () => this.#view.zoom(ZOOM_STEP));
    on("#zoom-out", () => this.#view.zoom(1 / ZOOM_STEP));
    on("#fit", () => this.#view.fit());
    surface.addEventListener("click", (event) => event.target === surface && listener.pick(null));
    surface.addEventListener("keydown", (event) => {
      if (event.key === "n") this.#vehicles.focusNext(1, this.#level);
      else if (event.key === "p") this.#vehicles.focusNext(-1, this.#level);
      else if (event.key === "Escape") listener.pick(null);
    });
  }

  #offerLevels(listener) {
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#levelSheet];
    const levels = [...this.#site.levels].sort((a, b) => b.elevation_m - a.elevation_m);
    const choose = ({ target }) => {
      this.showLevel(target.value);
      listener.level(target.value);
    };
    const buttons = levels.map(({ id }) => html("button", { type: "button", value: id, onclick: choose }, words(id)));
    const root = this.#root.querySelector("#levels");
    root.replaceChildren(...buttons);
    root.hidden = levels.length < 2;
    const lowest = this.#site.levels.reduce((a, b) => (Math.abs(b.elevation_m) < Math.abs(a.elevation_m) ? b : a));
    this.showLevel(lowest.id);
  }
}

const byId = (all) => new Map(all.map((one) => [one.id, one]));
