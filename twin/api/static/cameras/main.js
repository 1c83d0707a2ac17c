/** The cameras page's composition: one camera's picture large, the map beside it, and all cameras small below. */

import { put, say } from "../elements.js";
import { milliseconds, timeOfDay, words } from "../format.js";
import { addressOf, openSheet, readQuery, tell, writeQuery } from "../pages/sheet.js";
import { ageOf, inWords, warningOf } from "./age.js";
import { Beside } from "./beside.js";
import { drawable, FrameView } from "./frame_view.js";
import { SeenTable } from "./seen_table.js";
import { Wall } from "./wall.js";
import { keyOf, PictureWatch } from "./watch.js";

const AGE_EVERY_MS = 500;
const STATES = { active: "Delivers", idle: "Silent", unseen: "Never seen yet" };

const oneColumn = matchMedia("(max-width: 900px)");

const part = (id) => document.getElementById(id);
const namesOf = ({ boxes }) => (boxes ?? []).map(({ vehicle }) => vehicle).join();

class Page {
  #api;
  #site;
  #cameras;
  #camera = null;
  #vehicle = null;
  #notice = "";
  #told = new Map(); // by camera, as told last
  #shown = new Map(); // by camera: {told, url} of the picture that is drawn
  #plans = new Map(); // by camera: {key, lines}
  #markedAs = ""; // the age of the picture whose boxes are marked on the map
  #serviceAhead_ms = 0; // of performance.now()
  #view;
  #wall;
  #table;
  #beside;

  constructor(api, site) {
    this.#api = api;
    this.#site = site;
    this.#cameras = new Map(site.cameras.map((camera) => [camera.id, camera]));
    this.#view = new FrameView(part("picture"), [16, 9], { hasLabels: true, pick: (vehicle) => this.pick({ vehicle }) });
    this.#wall = new Wall(part("wall"), site.cameras, (camera) => this.choose(camera, { isNewEntry: true }));
    this.#table = new SeenTable(part("seen"), (vehicle) => this.pick({ vehicle }));
    this.#beside = new Beside(part("map-section"), part("connection"), api, site, {
      pick: this.pick,
      cameraUrl: (camera) => addressOf("/cameras", { site: site.name, camera }),
    });
  }

  start() {
    this.#listen();
    this.#followAddress();
    setInterval(() => this.#age(), AGE_EVERY_MS);
    const { name } = this.#site;
    const ask = {
      pictures: (camera, signal) => this.#api.pictures(name, camera, signal),
      picture: (camera, signal) => this.#api.picture(name, camera, signal),
    };
    const watch = new PictureWatch(ask, {
      chosen: () => this.#camera,
      told: (answer) => this.#take(answer),
      picture: (told, blob) => this.#show(told, blob),
      problem: (error) => tell(error?.message ?? this.#notice, error !== null || this.#notice !== ""),
    });
    watch.start();
  }

  /** Show a camera large; what is known of it already is drawn at once. */
  choose(camera, { isNewEntry = false } = {}) {
    writeQuery({ camera }, { isNewEntry });
    this.#camera = camera;
    say(part("calibration"), "");
    put(part("picture"), "data-plan", null);
    if (isNewEntry) this.#chosenByPerson();
    const { frame_px, level } = this.#cameras.get(camera);
    this.#view.setFrame(frame_px);
    this.#wall.choose(camera);
    this.#beside.showLevel(level);
    say(part("camera-title"), words(camera));
    document.title = `${words(camera)} of ${words(this.#site.name)} · Spatial twin`;
    part("calibrate-it").href = addressOf("/calibrate", { site: this.#site.name, camera });
    this.#drawLarge();
  }

  /** What the address asked for in vain counts no more; where the picture stands far above the wall, the way leads there. */
  #chosenByPerson() {
    this.#notice = "";
    tell("");
    if (oneColumn.matches) part("camera-title").focus();
  }

  /** @param chosen {vehicle}, or null for none; a stall has no box */
  pick = (chosen) => {
    this.#vehicle = chosen?.vehicle ?? null;
    this.#view.select(this.#vehicle);
    this.#beside.select(this.#vehicle);
    this.#table.show(this.#boxes(), this.#vehicle);
    put(part("about-it"), "href", this.#vehicle && addressOf("/vehicle", { site: this.#site.name, vehicle: this.#vehicle }));
    part("about-it").hidden = this.#vehicle === null;
    say(part("about-it"), this.#vehicle ? `All about ${this.#vehicle}` : "");
  };

  #listen() {
    addEventListener("popstate", () => this.#followAddress());
    for (const box of document.querySelectorAll("[data-layer]")) {
      const apply = () => put(part("picture"), `data-${box.dataset.layer}`, box.checked ? "on" : "off");
      box.addEventListener("change", apply);
      apply();
    }
    part("map-section").addEventListener("click", (event) => {
      const icon = event.target.closest("a[data-camera]");
      if (!icon || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.choose(icon.dataset.camera, { isNewEntry: true });
    });
  }

  #followAddress() {
    const { camera } = readQuery(["camera"]);
    this.#notice = camera && !this.#cameras.has(camera) ? `This site has no camera “${camera}”.` : "";
    this.choose(this.#cameras.has(camera) ? camera : this.#site.cameras[0].id);
  }

  #take({ now, pictures }) {
    this.#serviceAhead_ms = milliseconds(now) - performance.now();
    for (const told of pictures) {
      this.#told.set(told.camera, told);
      const shown = this.#shown.get(told.camera);
      // Names come after the picture: the same frame is drawn with what is known of it now.
      if (!shown || keyOf(shown.told) !== keyOf(told)) continue;
      if (namesOf(shown.told) !== namesOf(told)) this.#wall.show(told, shown.url);
      shown.told = told;
    }
    this.#drawLarge();
  }

  async #show(told, blob) {
    const url = await drawable(blob);
    if (url === null) return;
    const before = this.#shown.get(told.camera);
    this.#told.set(told.camera, told);
    this.#shown.set(told.camera, { told, url });
    this.#wall.show(told, url);
    if (told.camera === this.#camera) this.#drawLarge();
    if (before) URL.revokeObjectURL(before.url);
  }

  #drawLarge() {
    const shown = this.#shown.get(this.#camera);
    if (shown) this.#view.show(shown.told, shown.url);
    this.#table.show(this.#boxes(), this.#vehicle);
    this.#markedAs = "";
    this.#drawPlan();
    this.#age();
    if (this.#markedAs === "") this.#mark("none");
  }

  /** What a picture showed is marked on the live map while it is so. */
  #mark(status) {
    this.#markedAs = status;
    const level = this.#shown.get(this.#camera)?.told.level ?? this.#cameras.get(this.#camera).level;
    this.#beside.mark(this.#camera, level, status === "fresh" ? this.#boxes() : []);
  }

  #boxes() {
    return this.#shown.get(this.#camera)?.told.boxes ?? [];
  }

  /** The plan of the calibration that holds: asked for once, and again when another one is told. */
  async #drawPlan() {
    const camera = this.#camera;
    const told = this.#told.get(camera);
    if (!told) return;
    const kept = this.#plans.get(camera);
    const key = String(told.calibrated_at);
    if (kept?.key !== key) {
      this.#plans.set(camera, { key, lines: kept?.lines ?? [] });
      try {
        const plan = await this.#api.planInPicture(this.#site.name, camera);
        this.#plans.set(camera, { key, lines: plan.lines, plan });
      } catch (error) {
        this.#plans.delete(camera); // the next round asks again
        return;
      }
    }
    if (camera === this.#camera) this.#tellPlan(this.#plans.get(camera));
  }

  #tellPlan({ key, lines, plan }) {
    const picture = part("picture");
    if (picture.dataset.plan === `${this.#camera} ${key}` && picture.querySelector(".frame-plan path")) return;
    this.#view.showPlan(lines);
    if (!plan) return;
    put(picture, "data-plan", `${this.#camera} ${key}`);
    const since = plan.calibrated_at ? `of ${timeOfDay(milliseconds(plan.calibrated_at))}${plan.author ? ` by ${plan.author}` : ""}` : "of the site’s model";
    say(part("calibration"), `Plan by the calibration ${since}`);
  }

  #age() {
    const nowMs = performance.now() + this.#serviceAhead_ms;
    const states = this.#beside.state.cameras;
    // A small picture's turn may be a round or two after a newer one was told of: its own age counts.
    this.#wall.age([...this.#told.values()].map((told) => this.#shown.get(told.camera)?.told ?? told), nowMs, states);
    const told = this.#shown.get(this.#camera)?.told ?? this.#told.get(this.#camera);
    if (!told) return;
    const now = states.get(this.#camera);
    const state = now?.state ?? "unseen";
    const { status } = ageOf(told, nowMs);
    if (status !== this.#markedAs) this.#mark(status);
    put(part("large"), "data-status", status);
    put(part("large"), "data-taken", told.taken_at);
    put(part("camera-state"), "data-state", state === "active" ? "open" : "unknown");
    say(part("camera-state"), now?.since_at && state !== "active" ? `${STATES[state]} since ${timeOfDay(milliseconds(now.since_at))}` : STATES[state]);
    say(part("taken"), inWords(told, nowMs));
    say(part("warning"), warningOf(told, nowMs, state));
    const n = told.boxes?.length ?? 0;
    put(part("picture"), "aria-label", `Picture of ${words(this.#camera)} with ${n} vehicles marked, listed below it`);
  }
}

openSheet("Cameras", (api, site) => {
  if (site.cameras.length === 0) throw new Error("This site has no camera. Add one to its cameras.toml.");
  new Page(api, site).start();
});
