/** The site editor's composition: the plan, what is chosen on it, what is wrong with it, and what differs from the one served. */

import { Api, isAbort } from "../api.js";
import { html, put, say, svg } from "../elements.js";
import { plural, words } from "../format.js";
import { CameraLayer } from "../map/cameras.js";
import { drawLandmarks, drawObstacles } from "../map/ground.js";
import { signed } from "../session.js";
import { startTheme } from "../theme.js";
import { Canvas } from "./canvas.js";
import { Features, NEW, placesOf } from "./features.js";
import { Properties } from "./properties.js";
import { headingIn, moved, outlinesOf, rowOf, snap, zoneAt } from "./shapes.js";

const PAUSE_MS = 350; // after the last change, before it is checked
const COPY_M = [1, 1];

const part = (id) => document.getElementById(id);

class Page {
  #api;
  #site;
  #features;
  #canvas;
  #properties;
  #level;
  #chosen = null;
  #row = null;
  #timer = 0;
  #request = null;
  #isSound = false;

  constructor(api, site, level) {
    this.#api = api;
    this.#site = site;
    this.#level = level;
    this.#features = new Features(site, () => this.#changed());
    const edits = { change: (kind, id, feature) => this.#change(kind, id, feature), remove: (kind, id) => this.#remove(kind, id), copy: (kind, id) => this.#copy(kind, id) };
    this.#properties = new Properties(part("properties"), part("chosen-title"), edits);
    this.#canvas = new Canvas(part("plan"), site.extent_m, this.#below(), {
      choose: (kind, id) => this.#choose(kind, id),
      move: (kind, id, points, isNew) => this.#features.replace(kind, id, { ...this.#features.find(kind, id), [placesOf(kind)]: points }, { isNew }),
      remove: edits.remove,
      done: (tool, points) => this.#done(tool, points),
      snap: (place, scale, id, isExact) => (isExact ? place : snap(place, outlinesOf(this.#features.all, this.#level, id), scale)),
      told: (text) => say(part("doing"), text),
    });
    this.#listen();
    this.#changed();
  }

  #below() {
    const on = (features) => features.filter(({ level }) => level === this.#level);
    const cameras = new CameraLayer(on(this.#site.cameras));
    return svg("g", { class: "below", "aria-hidden": "true" }, cameras.footprints, drawObstacles(on(this.#site.obstacles)), drawLandmarks(on(this.#site.landmarks)), cameras.element);
  }

  #listen() {
    for (const button of part("tools").children) button.addEventListener("click", () => this.#draw(button.getAttribute("aria-pressed") === "true" ? null : button.value));
    part("undo").addEventListener("click", () => this.#features.undo());
    part("redo").addEventListener("click", () => this.#features.redo());
    part("row").addEventListener("submit", (event) => this.#makeRow(event));
    part("row-give-up").addEventListener("click", () => this.#draw(null));
    signed(part("save").elements.author);
    part("save").addEventListener("submit", (event) => this.#save(event));
    addEventListener("keydown", (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.target.closest("input")) return;
      if (event.key === "y" || (event.key === "Z" && event.shiftKey)) this.#features.redo();
      else if (event.key === "z") this.#features.undo();
      else return;
      event.preventDefault();
    });
    addEventListener("beforeunload", (event) => this.#features.canUndo && !this.#isSaved && event.preventDefault());
  }

  #isSaved = false;

  /** Begin to draw with a tool, or stop with null. */
  #draw(tool) {
    this.#row = null;
    part("row").hidden = true;
    this.#canvas.draw(tool);
    for (const button of part("tools").children) put(button, "aria-pressed", String(button.value === tool));
    say(part("doing"), tool === null ? "" : tool === "row" ? "Click the front corner of the first stall, then that of the last." : tool === "portal" ? "Click its two ends; from its right to its left is “in”." : "Click its corners; Enter, or the first corner again, ends it.");
  }

  #done(tool, points) {
    this.#draw(null);
    if (tool === "row") {
      this.#row = points;
      part("row").hidden = false;
      part("row").elements.n.focus();
    } else if (tool !== null) {
      this.#add(tool, [{ [placesOf(tool)]: points, ...(tool === "stall" ? { heading_deg: headingIn(points) } : {}) }], `${tool}-`);
    }
  }

  #makeRow(event) {
    event.preventDefault();
    const { n, depth_m, angle_deg, prefix } = Object.fromEntries(new FormData(event.target));
    const [count, depth, angle] = [n, depth_m, angle_deg].map(Number);
    if (!(Number.isInteger(count) && count >= 1 && count <= 200 && depth > 0 && Number.isFinite(angle) && prefix.trim())) {
      say(part("doing"), "Give a number of stalls from 1 to 200, a depth, an angle and how names begin.");
      return;
    }
    const row = rowOf({ from: this.#row[0], to: this.#row[1], n: count, depth_m: depth, angle_deg: angle });
    this.#draw(null);
    this.#add("stall", row, prefix.trim());
  }

  /** Add features, each with a name of its own and, for stalls, the zone that holds it. */
  #add(kind, drawn, prefix) {
    const made = [];
    for (const one of drawn) {
      const zone = kind === "stall" ? { zone: zoneAt(this.#features.of("zone").filter(({ level }) => level === this.#level), one.ring_m) } : {};
      const id = this.#features.newId(prefix, made);
      made.push({ ...NEW[kind], ...one, ...zone, id, level: this.#level });
    }
    this.#chosen = { kind, id: made.at(-1).id };
    this.#features.add(kind, made);
  }

  #choose(kind, id) {
    this.#chosen = kind === null ? null : { kind, id };
    this.#show();
  }

  #change(kind, id, feature) {
    this.#chosen = { kind, id: feature.id };
    this.#features.replace(kind, id, feature);
  }

  #remove(kind, id) {
    this.#chosen = null;
    this.#features.remove(kind, id);
    part("plan").focus();
  }

  #copy(kind, id) {
    const { [placesOf(kind)]: points, ...rest } = this.#features.find(kind, id);
    const copy = { ...rest, id: this.#features.newId(`${id}-`), [placesOf(kind)]: moved(points, COPY_M) };
    this.#chosen = { kind, id: copy.id };
    this.#features.add(kind, [copy]);
  }

  #changed() {
    if (!this.#canvas) return;
    this.#isSaved = false;
    say(part("saved"), "");
    this.#show();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), PAUSE_MS);
  }

  #show() {
    const feature = this.#chosen && this.#features.find(this.#chosen.kind, this.#chosen.id);
    if (!feature) this.#chosen = null;
    this.#canvas.show(this.#features.all, this.#level, this.#chosen);
    this.#properties.show(this.#chosen?.kind, feature, { ...this.#features.all, levels: this.#site.levels });
    put(part("undo"), "disabled", this.#features.canUndo ? null : "");
    put(part("redo"), "disabled", this.#features.canRedo ? null : "");
  }

  /** One request at a time: a newer one aborts an older one. */
  async #check() {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    this.#tell("asking", "Checking…");
    try {
      const { faults, changes } = await this.#api.checkModel(this.#site.name, this.#features.all, request.signal);
      if (!request.signal.aborted) this.#take(faults, changes);
    } catch (error) {
      if (!isAbort(error)) this.#tell("problem", error.message);
    }
  }

  #take(faults, changes) {
    part("faults").replaceChildren(...faults.map((fault) => html("li", { "data-severity": "error" }, fault.replace(/^map\.geojson: /, ""))));
    part("changes").replaceChildren(...changes.map((change) => html("li", {}, inWords(change))));
    this.#tell("done", faults.length === 0 ? "The site is sound." : `${plural(faults.length, "fault")}; a site with faults is not saved.`);
    this.#isSound = faults.length === 0 && changes.length > 0;
    put(part("save").querySelector("[type=submit]"), "disabled", this.#isSound ? null : "");
  }

  async #save(event) {
    event.preventDefault();
    const { author, reason } = Object.fromEntries(new FormData(event.target));
    if (!author.trim() || !reason.trim()) {
      this.#tellSaved("problem", "Say who you are, and why.");
      return;
    }
    try {
      const edition = { ...this.#features.all, author: author.trim(), reason: reason.trim(), at: new Date().toISOString() };
      const { version, folder } = await this.#api.saveModel(this.#site.name, edition);
      this.#isSaved = true;
      const link = html("a", { href: `/v1/sites/${encodeURIComponent(this.#site.name)}/model/versions/${version}`, download: "" }, "Download it");
      this.#tellSaved("note", `Saved as version ${version}. To use it, start the service with --site ${folder}. `);
      part("saved").append(link);
    } catch (error) {
      this.#tellSaved("problem", error.message);
    }
  }

  #tell(status, text) {
    put(part("told"), "data-status", status);
    put(part("told"), "class", status === "problem" ? "problem" : "note");
    say(part("told"), text);
  }

  #tellSaved(kind, text) {
    put(part("saved"), "class", kind);
    part("saved").textContent = text;
  }
}

function inWords({ kind, id, what, moved_m, fields }) {
  if (what !== "changed") return `${kind} ${id} ${what}`;
  const told = [moved_m === null ? "has other corners" : moved_m > 0 ? `moved by ${moved_m.toFixed(2)} m` : "", fields.length > 0 ? `${fields.join(", ")} changed` : ""];
  return `${kind} ${id}: ${told.filter(Boolean).join("; ")}`;
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
    const level = site.levels.find(({ id }) => id === asked.get("level"))?.id ?? site.levels[0].id;
    offer("site", sites, name, (chosen) => ({ site: chosen }));
    offer("level", site.levels.map(({ id }) => id), level, (chosen) => ({ site: name, level: chosen }));
    part("to-map").href = `/?${new URLSearchParams({ site: name })}`;
    document.title = `Edit ${words(name)} · Spatial twin`;
    new Page(api, site, level);
  } catch (error) {
    put(part("told"), "class", "problem");
    say(part("told"), error.message);
  }
}

function offer(id, names, chosen, query) {
  part(id).replaceChildren(...names.map((name) => html("option", { value: name, selected: name === chosen ? "" : null }, words(name))));
  part(id).addEventListener("change", ({ target }) => location.assign(`/edit?${new URLSearchParams(query(target.value))}`));
}

begin();
