/** What the map is drawn on at the moment: the plan, or the picture of one of the level's cameras. */

import { CameraModel } from "../camera_model.js";
import { CameraPicture } from "../camera_picture.js";
import { html, say, svg } from "../elements.js";
import { words } from "../format.js";
import { CameraLayer } from "../map/cameras.js";
import { drawLandmarks, drawObstacles } from "../map/ground.js";
import { Canvas } from "./canvas.js";
import { PictureView, PlanView } from "./views.js";

export class Surfaces {
  #api;
  #site;
  #level;
  #drawing;
  #edits;
  #parts;
  #plan;
  #picture = null;
  #canvas;
  #last = null;

  /**
   * @param {Drawing} drawing
   * @param edits as `Canvas` tells them
   * @param {{plan, choice, tools, latest, file, told}} parts elements of the page
   */
  constructor(api, site, level, drawing, edits, parts) {
    this.#api = api;
    this.#site = site;
    this.#level = level;
    this.#drawing = drawing;
    this.#edits = edits;
    this.#parts = parts;
    this.#plan = new Canvas(parts.plan, new PlanView(site.extent_m), this.#below(), drawing, edits);
    this.#canvas = this.#plan;
    const cameras = site.cameras.filter((camera) => camera.level === level);
    parts.choice.append(...cameras.map(({ id }) => html("option", { value: id }, `the picture of ${words(id)}`)));
    parts.choice.addEventListener("change", () => this.#open(parts.choice.value));
    parts.latest.addEventListener("click", () => this.#latest());
    parts.file.addEventListener("change", () => this.#openFile());
  }

  /** As `Canvas.show`. */
  show(...what) {
    this.#last = what;
    this.#canvas.show(...what);
  }

  showDraft() {
    this.#canvas.showDraft();
  }

  showCross() {
    this.#canvas.showCross();
  }

  /** Put the keyboard's focus on what is drawn on. */
  focus() {
    (this.#picture?.element ?? this.#parts.plan).focus();
  }

  #below() {
    const on = (features) => features.filter(({ level }) => level === this.#level);
    const cameras = new CameraLayer(on(this.#site.cameras));
    return svg("g", { class: "below", "aria-hidden": "true" }, cameras.footprints, drawObstacles(on(this.#site.obstacles)), drawLandmarks(on(this.#site.landmarks)), cameras.element);
  }

  /** @param {string} name of a camera; "": the plan */
  async #open(name) {
    if (!name) {
      this.#toPlan();
      return;
    }
    try {
      const calibration = await this.#api.calibration(this.#site.name, name, { at: new Date().toISOString() });
      if (name !== this.#parts.choice.value) return; // chosen otherwise meanwhile
      if (calibration.level !== this.#level) throw new Error(`${words(name)} is calibrated for level ${calibration.level}; choose that level.`);
      this.#toPicture(calibration);
      await this.#latest();
    } catch (error) {
      if (name !== this.#parts.choice.value) return;
      this.#parts.choice.value = "";
      this.#toPlan();
      say(this.#parts.told, error.message);
    }
  }

  #toPlan() {
    this.#leavePicture();
    this.#parts.plan.toggleAttribute("hidden", false);
    this.#parts.tools.hidden = true;
    say(this.#parts.told, "");
    this.#use(this.#plan);
  }

  #toPicture(calibration) {
    this.#leavePicture();
    const { camera, since_at: since, author } = calibration;
    const placed = since === null ? "Placed as the site model has this camera." : `Placed by the calibration${author ? ` of ${author}` : ""} from ${new Date(since).toLocaleString()} on.`;
    const picture = new CameraPicture(calibration.frame_px, (text) => say(this.#parts.told, `${text} ${placed}`));
    const element = svg("svg", { id: "picture", class: "surface picture", role: "application", tabindex: 0, "aria-label": `Picture of ${words(camera)}`, "aria-describedby": "keys", preserveAspectRatio: "xMidYMid meet" });
    this.#parts.plan.after(element);
    this.#parts.plan.toggleAttribute("hidden", true);
    this.#parts.tools.hidden = false;
    this.#picture = { camera, element, picture };
    const below = svg("g", { class: "below", "aria-hidden": "true" }, picture.element);
    this.#use(new Canvas(element, new PictureView(new CameraModel(calibration), words(camera)), below, this.#drawing, this.#edits));
  }

  #leavePicture() {
    this.#picture?.picture.close();
    this.#picture?.element.remove();
    this.#picture = null;
  }

  #use(canvas) {
    this.#canvas = canvas;
    if (this.#last) canvas.show(...this.#last);
    canvas.showDraft();
  }

  #latest() {
    const { camera, picture } = this.#picture;
    return picture.latest(() => this.#api.picture(this.#site.name, camera));
  }

  async #openFile() {
    const [file] = this.#parts.file.files;
    if (file && this.#picture) await this.#picture.picture.open(file);
    this.#parts.file.value = ""; // the same file can be opened again
  }
}
