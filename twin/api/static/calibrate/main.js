/** The calibration page's composition: a camera's picture, its plan, what is marked on both, and what comes of it. */

import { writeAddress } from "../address.js";
import { Api } from "../api.js";
import { CameraPicture } from "../camera_picture.js";
import { put, say } from "../elements.js";
import { saveFile } from "../files.js";
import { words } from "../format.js";
import { LatestRequest } from "../latest_request.js";
import { offer, siteAsked } from "../site_choice.js";
import { startTheme } from "../theme.js";
import { Lines } from "./lines.js";
import { Marks } from "./marks.js";
import { readMarks } from "./marks_file.js";
import { PairTable } from "./pair_table.js";
import { cornersOf, drawPlan, extentOf, inPicture, levelOf, onGround, snapped } from "./plan.js";
import { Result } from "./result.js";
import { Saving } from "./saving.js";
import { Surface } from "./surface.js";

const PAUSE_MS = 250; // after the last change, before it is computed

const part = (id) => document.getElementById(id);

class Page {
  #api;
  #site;
  #camera;
  #marks = new Marks(() => this.#changed());
  #chosen = -1;
  #corners;
  #surfaces;
  #picture;
  #table;
  #result = new Result({ told: part("told"), figures: part("figures"), remarks: part("remarks") });
  #lines;
  #saving;
  #timer = 0;
  #computing = new LatestRequest();

  constructor(api, site, camera) {
    this.#api = api;
    this.#site = levelOf(site, camera.level);
    this.#camera = camera;
    this.#corners = cornersOf(this.#site);
    const edits = {
      place: (side, point, how) => this.#place(side, point, how),
      move: (index, side, point, isNew) => this.#marks.move(index, side, point, { isNew }),
      remove: (index) => this.#marks.remove(index),
      select: (index) => this.#select(index),
      mayStart: () => !this.#lines.hasPoints, // else Enter ends the line
      back: () => (this.#lines.isOpen ? this.#lines.back() : this.#marks.undo()),
      finish: () => (this.#lines.isOpen ? this.#lines.finish() : tellCross("A point is set here already; move the cross on.")),
      end: () => this.#endByKey(),
      told: tellCross,
    };
    this.#table = new PairTable(part("pairs").tBodies[0], edits);
    this.#lines = new Lines(part("line"), part("lines"), (points) => this.#marks.addLine(points));
    this.#saving = new Saving(part("save"), (given) => api.saveCalibration(site.name, camera.id, { ...this.#given(), ...given }));
    this.#surfaces = this.#opened(edits);
    this.#listen();
    this.#changed();
    this.#latest();
  }

  #opened(edits) {
    const [width, height] = this.#camera.frame_px;
    this.#picture = new CameraPicture(this.#camera.frame_px, (text) => say(part("picture-told"), text));
    const picture = new Surface(part("picture"), "pixel", { ...inPicture, extent: [0, -height, width, 0] }, edits);
    const plan = new Surface(part("plan"), "ground", { ...onGround, extent: extentOf(this.#site, this.#camera) }, edits);
    picture.below.append(this.#picture.element, this.#result.overlay, this.#lines.element);
    plan.below.append(drawPlan(this.#site, this.#camera));
    return { picture, plan };
  }

  #listen() {
    const on = (id, action, kind = "click") => part(id).addEventListener(kind, action);
    on("line", ({ detail }) => detail === 0 && this.#lines.isOpen && this.#surfaces.picture.showCross()); // pressed by a key
    on("latest", () => this.#latest());
    on("picture-file", ({ target }) => target.files[0] && this.#picture.open(target.files[0]), "change");
    on("add", () => this.#addInTheMiddle());
    on("undo", () => this.#marks.undo());
    on("clear", () => this.#marks.clear());
    on("download", () => this.#download());
    on("marks-file", ({ target }) => this.#read(target), "change");
    for (const id of ["model", "lens"]) on(id, () => this.#changed(), "change");
    on("overlay", ({ target }) => put(this.#result.overlay, "display", target.checked ? null : "none"), "change");
    put(part("lens").querySelector("[value=keep]"), "disabled", this.#camera.position_m ? null : "");
    addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest("input")) this.#marks.undo();
    });
  }

  #place(side, point, { isExact, scale }) {
    if (side === "pixel" && this.#lines.isOpen) {
      this.#lines.extend(point);
      tellCross(`A point of the line ${inPicture.say(point)}.`);
      return;
    }
    const place = side === "ground" && !isExact ? snapped(point, this.#corners, scale) : point;
    this.#chosen = this.#marks.place(side, place);
    this.#draw();
    const { pixel, ground } = this.#marks.pairs[this.#chosen];
    const next = pixel && ground ? "it is whole" : `its place ${pixel ? "on the plan" : "in the picture"} is next`;
    tellCross(`Pair ${this.#chosen + 1} ${side === "pixel" ? inPicture.say(place) : onGround.say(place)}; ${next}.`);
  }

  #endByKey() {
    if (this.#lines.isOpen) this.#lines.giveUp();
    tellCross("");
  }

  #addInTheMiddle() {
    const [width, height] = this.#camera.frame_px;
    const [minx, miny, maxx, maxy] = extentOf(this.#site, this.#camera);
    this.#chosen = this.#marks.add([width / 2, height / 2], [(minx + maxx) / 2, (miny + maxy) / 2]);
    this.#draw();
    part("picture").querySelector(`[data-pair="${this.#chosen + 1}"]`).focus();
  }

  #select(index) {
    this.#chosen = index;
    this.#draw();
  }

  #changed() {
    if (!this.#surfaces) return;
    this.#draw();
    put(part("undo"), "disabled", this.#marks.canUndo ? null : "");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#compute(), PAUSE_MS);
    this.#saving.forget();
  }

  #draw() {
    const { pairs, lines, whole } = this.#marks;
    this.#surfaces.picture.show(pairs.map(({ pixel }) => pixel), whole, this.#chosen);
    this.#surfaces.plan.show(pairs.map(({ ground }) => ground), whole, this.#chosen);
    this.#table.show(pairs, this.#chosen);
    this.#lines.show(lines, (index) => this.#marks.removeLine(index));
  }

  #given() {
    const pairs = this.#marks.whole.map((index) => ({ pixel_px: this.#marks.pairs[index].pixel, ground_m: this.#marks.pairs[index].ground }));
    return { pairs, lines_px: this.#marks.lines, model: part("model").value, lens: part("lens").value };
  }

  #compute() {
    const { whole } = this.#marks;
    this.#result.tell("asking", "Computing…");
    this.#computing.ask(
      (signal) => this.#api.tryCalibration(this.#site.name, this.#camera.id, this.#given(), signal),
      (answer) => this.#take(answer, whole),
      (error) => this.#result.tell("problem", error.message),
    );
  }

  #take(answer, whole) {
    this.#result.show(answer);
    const fits = new Map((answer.calibration?.pairs ?? []).map((fit, at) => [whole[at], fit]));
    this.#table.fit(fits, answer.remarks.flatMap(({ pairs }) => pairs).map((number) => whole[number - 1]));
    this.#saving.offer(answer.calibration !== null);
  }

  #latest() {
    return this.#picture.latest(() => this.#api.picture(this.#site.name, this.#camera.id));
  }

  #download() {
    const text = JSON.stringify(this.#marks.toFile(this.#camera.id, this.#camera.frame_px), null, 1);
    saveFile(`${this.#camera.id}.marks.json`, text, "application/json");
  }

  async #read(input) {
    const [file] = input.files;
    if (!file) return;
    try {
      this.#marks.replace(readMarks(await file.text(), this.#camera.frame_px));
    } catch (error) {
      this.#result.tell("problem", error.message);
    }
    input.value = "";
  }
}

const tellCross = (text) => say(part("cross-told"), text);

async function begin() {
  startTheme(part("theme"));
  try {
    const api = new Api();
    const { sites, site } = await siteAsked(api);
    const asked = new URLSearchParams(location.search).get("camera");
    const camera = asked === null ? site.cameras[0] : site.cameras.find(({ id }) => id === asked);
    offer(part("site"), sites, site.name, (chosen) => ({ site: chosen }));
    offer(part("camera"), site.cameras.map(({ id }) => id), camera?.id, (chosen) => ({ site: site.name, camera: chosen }));
    writeAddress({ site: site.name });
    if (!camera && asked !== null) throw new Error(`This site has no camera “${asked}”; choose one above.`);
    if (!camera) throw new Error("This site has no camera. Add one with twin calibrate, or to its cameras.toml.");
    document.title = `Calibrate ${words(camera.id)} · Spatial twin`;
    new Page(api, site, camera);
  } catch (error) {
    put(part("told"), "class", "problem");
    say(part("told"), error.message);
  }
}

begin();
