/** The calibration page's composition: a camera's picture, its plan, what is marked on both, and what comes of it. */

import { Api, isAbort } from "../api.js";
import { html, put, say, svg } from "../elements.js";
import { words } from "../format.js";
import { startTheme } from "../theme.js";
import { Lines } from "./lines.js";
import { Marks } from "./marks.js";
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
  #image = svg("image", { class: "frame-picture" });
  #table;
  #result = new Result({ told: part("told"), figures: part("figures"), remarks: part("remarks") });
  #lines;
  #saving;
  #timer = 0;
  #request = null;
  #url = null;

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
    const picture = new Surface(part("picture"), "pixel", { ...inPicture, extent: [0, -height, width, 0] }, edits);
    const plan = new Surface(part("plan"), "ground", { ...onGround, extent: extentOf(this.#site, this.#camera) }, edits);
    put(this.#image, "width", width);
    put(this.#image, "height", height);
    picture.below.append(svg("rect", { class: "no-picture", width, height }), this.#image, this.#result.overlay, this.#lines.element);
    plan.below.append(drawPlan(this.#site, this.#camera));
    return { picture, plan };
  }

  #listen() {
    const on = (id, action, kind = "click") => part(id).addEventListener(kind, action);
    on("latest", () => this.#latest());
    on("picture-file", ({ target }) => target.files[0] && this.#show(target.files[0], `${target.files[0].name}; it stays in this browser.`), "change");
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
      return;
    }
    const place = side === "ground" && !isExact ? snapped(point, this.#corners, scale) : point;
    this.#chosen = this.#marks.place(side, place);
    this.#draw();
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

  /** One request at a time: a newer one aborts an older one. */
  async #compute() {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    const whole = this.#marks.whole;
    this.#result.tell("asking", "Computing…");
    try {
      const answer = await this.#api.tryCalibration(this.#site.name, this.#camera.id, this.#given(), request.signal);
      if (!request.signal.aborted) this.#take(answer, whole);
    } catch (error) {
      if (!isAbort(error)) this.#result.tell("problem", error.message);
    }
  }

  #take(answer, whole) {
    this.#result.show(answer);
    const fits = new Map((answer.calibration?.pairs ?? []).map((fit, at) => [whole[at], fit]));
    this.#table.fit(fits, answer.remarks.flatMap(({ pairs }) => pairs).map((number) => whole[number - 1]));
    this.#saving.offer(answer.calibration !== null);
  }

  async #latest() {
    try {
      const picture = await this.#api.picture(this.#site.name, this.#camera.id);
      if (picture) this.#show(picture.blob, `Taken at ${new Date(picture.takenAt).toLocaleString()}.`);
      else say(part("picture-told"), "No picture was sent yet: open a file, or run perceive with --pictures.");
    } catch (error) {
      say(part("picture-told"), error.message);
    }
  }

  async #show(blob, told) {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(blob);
    const [width, height] = this.#camera.frame_px;
    const size = await createImageBitmap(blob).catch(() => null);
    put(this.#image, "href", size ? this.#url : null);
    const isSame = size && Math.abs(size.width / size.height - width / height) < 0.01;
    if (!size) say(part("picture-told"), "This file is no picture that a browser can show.");
    else if (!isSame) say(part("picture-told"), `This picture has ${size.width} × ${size.height} pixels, the camera ${width} × ${height}: another shape, so it is another view.`);
    else say(part("picture-told"), told);
    size?.close();
  }

  #download() {
    const text = JSON.stringify(this.#marks.toFile(this.#camera.id, this.#camera.frame_px), null, 1);
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    html("a", { href: url, download: `${this.#camera.id}.marks.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  async #read(input) {
    const [file] = input.files;
    if (!file) return;
    try {
      this.#marks.fromFile(await file.text(), this.#camera.frame_px);
    } catch (error) {
      this.#result.tell("problem", error.message);
    }
    input.value = "";
  }
}

async function begin() {
  startTheme(part("theme"));
  try {
    const api = new Api();
    const asked = new URLSearchParams(location.search);
    const { sites } = await api.sites();
    const name = asked.get("site") || sites[0];
    if (!name) throw new Error("This service has no site yet. Start it with a site model: twin serve --site DIR.");
    const site = await api.site(name);
    const camera = site.cameras.find(({ id }) => id === asked.get("camera")) ?? site.cameras[0];
    offer("site", sites, name, (chosen) => ({ site: chosen }));
    offer("camera", site.cameras.map(({ id }) => id), camera?.id, (chosen) => ({ site: name, camera: chosen }));
    if (!camera) throw new Error("This site has no camera. Add one with twin calibrate, or to its cameras.toml.");
    part("to-map").href = `/?${new URLSearchParams({ site: name })}`;
    document.title = `Calibrate ${words(camera.id)} · Spatial twin`;
    new Page(api, site, camera);
  } catch (error) {
    put(part("told"), "class", "problem");
    say(part("told"), error.message);
  }
}

function offer(id, names, chosen, query) {
  part(id).replaceChildren(...names.map((name) => html("option", { value: name, selected: name === chosen ? "" : null }, words(name))));
  part(id).addEventListener("change", ({ target }) => location.assign(`/calibrate?${new URLSearchParams(query(target.value))}`));
}

begin();
