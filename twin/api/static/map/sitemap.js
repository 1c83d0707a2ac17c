/** The map of one site: its layers in drawing order, its levels, and what is picked on it. */

import { html, put, say, svg } from "../elements.js";
import { plural, words } from "../format.js";
import { centroid } from "../geometry.js";
import { CameraLayer } from "./cameras.js";
import { Furniture } from "./furniture.js";
import { drawLandmarks, drawLanes, drawObstacles, ZoneLayer } from "./ground.js";
import { Overlay } from "./overlay.js";
import { PlanLayer } from "./plan_layer.js";
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
  #overlay;
  #contacts = new PlanLayer("contacts");
  #isNear = false;
  #areNamed = false;
  #levelButtons = new Map();
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
    this.#overlay = new Overlay(byId(site.stalls));
    this.#vehicles = new VehicleLayer(root, byId(site.stalls), site.portals, {
      pick: (vehicle) => listener.pick({ vehicle }),
      reveal: (point_m) => this.#view.reveal(point_m),
    });
    this.#layers = { zones: new ZoneLayer(site.zones), stalls: this.#stalls, portals: new PortalLayer(site.portals), cameras: new CameraLayer(site.cameras, listener.cameraUrl) };
    this.#world.replaceChildren(...this.#drawingOrder());
    const surface = root.querySelector("#map");
    put(surface, "aria-label", `Map of ${words(site.name)}`);
    surface.after(...this.#vehicles.canvases, this.#contacts.element, this.#overlay.element, this.#vehicles.marks.element);
    const furniture = new Furniture(root, site.datum);
    this.#view = new MapView(surface, site.extent_m, (view) => {
      furniture.scaleTo(view.scale);
      this.#isNear = view.zoom === "near";
      this.#vehicles.follow(view);
      this.#overlay.follow(view);
      this.#contacts.follow(view);
      this.#vehicles.choose({ hasNames: this.#isNear || this.#areNamed });
    });
    this.#listen(surface, listener);
    this.#offerLevels(listener);
  }

  /** Draw a whole state; with `isJump` vehicles are there at once, otherwise they glide. `isPast` changes colours alone. */
  show(state, { isJump, isPast = false }) {
    this.#vehicles.choose({ isPast });
    for (const [name, layer] of Object.entries(this.#layers)) layer.patch(state[name].values());
    this.#layers.zones.countStalls(this.#stalls.countsByZone());
    this.#vehicles.replace(state.vehicles, { isJump });
    this.#countLevels();
  }

  /** Draw what a live delta changed. */
  patch(delta) {
    for (const [name, layer] of Object.entries(this.#layers)) layer.patch(delta[name] ?? []);
    if (delta.stalls?.length > 0) this.#layers.zones.countStalls(this.#stalls.countsByZone());
    this.#vehicles.patch(delta.vehicles ?? [], delta.left ?? []);
    this.#countLevels();
  }

  /** Draw what a correction changed over what is shown. @param state the state's part of an answer of /changes, or null */
  showDifference(state) {
    this.#overlay.show(state);
  }

  /** Mark the vehicles that a picture beside the map shows. @param {string[]} ids */
  markSeen(ids) {
    this.#vehicles.markSeen(ids);
  }

  /** Draw the contact points of that picture over the vehicles. @param {Node[]} drawn in plan coordinates */
  showContacts(drawn) {
    this.#contacts.draw(drawn);
  }

  /** @param layer of footprints, uncertainty, trails and ids */
  choose(layer, isOn) {
    put(this.#root.querySelector("#map"), `data-${layer}`, isOn ? "on" : "off");
    if (layer === "ids") this.#areNamed = isOn;
    if (layer === "ids") this.#vehicles.choose({ hasNames: this.#isNear || isOn });
    if (layer === "trails") this.#vehicles.choose({ hasTrails: isOn });
    if (layer === "uncertainty") this.#vehicles.choose({ hasUncertainty: isOn });
  }

  /** Mark what is chosen ({vehicle} | {stall} | null), and bring its place ({point_m, level}) into view. */
  select(chosen, place) {
    this.#vehicles.select(chosen?.vehicle ?? null);
    this.#stalls.select(chosen?.stall ?? null);
    if (!place) return;
    this.showLevel(place.level);
    this.#view.reveal(place.point_m);
  }

  /** Go near to a point of the level shown. */
  flyTo(point_m) {
    this.#view.flyTo(point_m);
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
    const rule = others.map(({ id }) => `:is(#world, #vehicle-marks, .map-canvas) [data-level="${CSS.escape(id)}"]`).join(",");
    this.#levelSheet.replaceSync(rule ? `${rule}{display:none}` : "");
    for (const [id, { button }] of this.#levelButtons) put(button, "aria-pressed", String(id === level));
    this.#vehicles.showLevel(level);
  }

  #countLevels() {
    if (this.#levelButtons.size < 2) return;
    const counts = this.#vehicles.countsByLevel();
    for (const [id, { button, count }] of this.#levelButtons) {
      say(count, String(counts.get(id) ?? 0));
      put(button, "aria-label", levelName(id, counts.get(id) ?? 0));
    }
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
      zones.names,
      cameras.element,
    ].map((layer) => svg("g", {}, layer));
  }

  #listen(surface, listener) {
    const on = (selector, action) => this.#root.querySelector(selector).addEventListener("click", action);
    on("#zoom-in", () => this.#view.zoom(ZOOM_STEP));
    on("#zoom-out", () => this.#view.zoom(1 / ZOOM_STEP));
    on("#fit", () => this.#view.fit());
    const vehicleAt = (event) => this.#vehicles.at(this.#view.pixelOf(event));
    // A vehicle stands above the plan: it is asked before the stall below it. A camera's icon leads away, and has only its own place.
    this.#world.addEventListener("click", (event) => {
      const vehicle = event.target.closest("a.camera") ? null : vehicleAt(event);
      if (!vehicle) return;
      event.stopPropagation();
      listener.pick({ vehicle });
    }, { capture: true });
    surface.addEventListener("click", (event) => {
      const vehicle = event.target === surface ? vehicleAt(event) : null;
      if (vehicle) listener.pick({ vehicle });
      else if (event.target === surface) listener.pick(null);
    });
    surface.addEventListener("pointermove", (event) => {
      const hovered = event.pointerType === "mouse" && event.buttons === 0 ? vehicleAt(event) : null;
      this.#vehicles.hover(hovered);
      put(surface, "data-hover", hovered ? "vehicle" : null);
    });
    surface.addEventListener("pointerleave", () => this.#vehicles.hover(null));
    const byKey = ({ key }) => {
      if (key === "n") this.#vehicles.focusNext(1);
      else if (key === "p") this.#vehicles.focusNext(-1);
      else if (key === "Escape") listener.pick(null);
    };
    surface.addEventListener("keydown", byKey);
    this.#vehicles.marks.element.addEventListener("keydown", byKey);
    this.#view.takeKeysOf(this.#vehicles.marks.element);
  }

  #offerLevels(listener) {
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#levelSheet];
    const levels = [...this.#site.levels].sort((a, b) => b.elevation_m - a.elevation_m);
    const choose = ({ currentTarget }) => {
      this.showLevel(currentTarget.value);
      listener.level(currentTarget.value);
    };
    const buttons = levels.map(({ id }) => {
      const count = html("span", { class: "count" });
      const button = html("button", { type: "button", value: id, onclick: choose }, words(id), " ", count);
      this.#levelButtons.set(id, { button, count });
      return button;
    });
    const root = this.#root.querySelector("#levels");
    root.replaceChildren(...buttons);
    root.hidden = levels.length < 2;
    const lowest = this.#site.levels.reduce((a, b) => (Math.abs(b.elevation_m) < Math.abs(a.elevation_m) ? b : a));
    this.showLevel(lowest.id);
  }
}

const levelName = (id, n) => `${words(id)}: ${plural(n, "vehicle")}`;
const byId = (all) => new Map(all.map((one) => [one.id, one]));
