/** The site editor's composition: the plan, what is chosen on it, what is wrong with it, and what differs from the one served. */

import { writeAddress } from "../address.js";
import { Api } from "../api.js";
import { html, put, say } from "../elements.js";
import { plural, words } from "../format.js";
import { LatestRequest } from "../latest_request.js";
import { rights, signed } from "../session.js";
import { offer, siteAsked } from "../site_choice.js";
import { startTheme } from "../theme.js";
import { DraftForm } from "./draft_form.js";
import { Drawing } from "./drawing.js";
import { Features, NEW, placesOf } from "./features.js";
import { tellInForce } from "./in_force.js";
import { fit, MAY_NOT_EDIT, permissionsOf } from "./permissions.js";
import { Properties } from "./properties.js";
import { about, headingIn, moved, outlinesOf, rowOf, snap, zoneAt } from "./shapes.js";
import { Surfaces } from "./surfaces.js";

const PAUSE_MS = 350; // after the last change, before it is checked
const COPY_M = [1, 1];

const part = (id) => document.getElementById(id);

class Page {
  #api;
  #site;
  #features;
  #drawing;
  #draft;
  #surfaces;
  #properties;
  #level;
  #chosen = null;
  #row = null;
  #timer = 0;
  #checking = new LatestRequest();
  #isSound = false;
  #isSaved = false;
  #may;

  /** @param {{edit: boolean, save: boolean}} may what the key allows */
  constructor(api, site, level, may) {
    this.#api = api;
    this.#site = site;
    this.#level = level;
    this.#may = may;
    this.#features = new Features(site, () => this.#changed());
    this.#drawing = new Drawing({ changed: () => this.#drawn(), done: (tool, points) => this.#done(tool, points), told: tellDoing });
    this.#draft = new DraftForm(part("draft"), this.#drawing, tellDoing);
    const edits = this.#edits();
    this.#properties = new Properties(part("properties"), part("chosen-title"), edits, { isFixed: !may.edit });
    const parts = { plan: part("plan"), choice: part("view"), tools: part("picture-tools"), latest: part("latest"), file: part("picture-file"), told: part("picture-told") };
    this.#surfaces = new Surfaces(api, site, level, this.#drawing, edits, parts);
    this.#listen();
    this.#changed();
  }

  #edits() {
    const refused = () => tellDoing(MAY_NOT_EDIT);
    const changing = this.#may.edit ? this.#changing() : { change: refused, remove: refused, copy: refused, move: refused };
    return {
      ...changing,
      choose: (kind, id) => this.#choose(kind, id),
      snap: (place, scale, id, isExact, view) => (isExact ? place : snap(place, outlinesOf(this.#features.all, this.#level, id), scale, view)),
      step: (view) => this.#draft.step(view),
      about: (snapped, place) => about(snapped, place, this.#features.all, this.#level),
      told: tellDoing,
    };
  }

  #changing() {
    return {
      change: (kind, id, feature) => this.#change(kind, id, feature),
      remove: (kind, id) => this.#remove(kind, id),
      copy: (kind, id) => this.#copy(kind, id),
      move: (kind, id, points, isNew) => this.#features.replace(kind, id, { ...this.#features.find(kind, id), [placesOf(kind)]: points }, { isNew }),
    };
  }

  #listen() {
    for (const button of part("tools").children) button.addEventListener("click", (event) => this.#choosesTool(button, event.detail === 0));
    part("undo").addEventListener("click", () => this.#features.undo());
    part("redo").addEventListener("click", () => this.#features.redo());
    part("row").addEventListener("submit", (event) => this.#makeRow(event));
    part("row-give-up").addEventListener("click", () => this.#giveRowUp());
    signed(part("save").elements.author);
    part("save").addEventListener("submit", (event) => this.#save(event));
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("beforeunload", (event) => this.#features.canUndo && !this.#isSaved && event.preventDefault());
  }

  #key(event) {
    const isTyping = event.target.closest("input, select, textarea");
    if (event.ctrlKey || event.metaKey) {
      if (isTyping) return;
      if (event.key === "y" || (event.key === "Z" && event.shiftKey)) this.#features.redo();
      else if (event.key === "z") this.#features.undo();
      else return;
      event.preventDefault();
    } else if (this.#drawing.tool === null) return;
    else if (event.key === "Escape") this.#drawing.giveUp();
    else if (isTyping || event.target.closest("button, .shape, .handle")) return;
    else if (event.key === "Enter") this.#drawing.finish();
    else if (event.key === "Backspace") this.#drawing.back();
  }

  /** @param isByKey a button that is pressed by a key: who does that has no pointer, and gets the cross */
  #choosesTool(button, isByKey) {
    const isBegun = button.getAttribute("aria-pressed") === "true";
    this.#closeRow();
    if (isBegun) this.#drawing.giveUp();
    else this.#drawing.begin(button.value);
    if (!isBegun && isByKey) this.#surfaces.showCross();
  }

  /** What is being drawn has changed. */
  #drawn() {
    for (const button of part("tools").children) put(button, "aria-pressed", String(button.value === this.#drawing.tool));
    this.#draft.show();
    this.#surfaces.showDraft();
  }

  #done(tool, points) {
    if (tool === null) {
      this.#surfaces.focus();
    } else if (tool === "row") {
      this.#row = points;
      part("row").hidden = false;
      part("row").elements.n.focus();
    } else {
      this.#add(tool, [{ [placesOf(tool)]: points, ...(tool === "stall" ? { heading_deg: headingIn(points) } : {}) }], `${tool}-`);
      this.#surfaces.focus();
    }
  }

  #closeRow() {
    this.#row = null;
    part("row").hidden = true;
  }

  #giveRowUp() {
    this.#closeRow();
    tellDoing("Given up; no stall was made.");
    this.#surfaces.focus();
  }

  #makeRow(event) {
    event.preventDefault();
    const { n, depth_m, angle_deg, prefix } = Object.fromEntries(new FormData(event.target));
    const [count, depth, angle] = [n, depth_m, angle_deg].map(Number);
    if (!(Number.isInteger(count) && count >= 1 && count <= 200 && depth > 0 && Number.isFinite(angle) && prefix.trim())) {
      tellDoing("Give a number of stalls from 1 to 200, a depth, an angle and how names begin.");
      return;
    }
    const row = rowOf({ from: this.#row[0], to: this.#row[1], n: count, depth_m: depth, angle_deg: angle });
    this.#closeRow();
    this.#add("stall", row, prefix.trim());
    this.#surfaces.focus();
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
    tellDoing(made.length === 1 ? `${words(kind)} ${made[0].id} is drawn.` : `${plural(made.length, kind)} are drawn, ${made[0].id} to ${made.at(-1).id}.`);
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
    tellDoing(`${words(kind)} ${id} is taken out; Undo brings it back.`);
    this.#surfaces.focus();
  }

  #copy(kind, id) {
    const { [placesOf(kind)]: points, ...rest } = this.#features.find(kind, id);
    const copy = { ...rest, id: this.#features.newId(`${id}-`), [placesOf(kind)]: moved(points, COPY_M) };
    this.#chosen = { kind, id: copy.id };
    this.#features.add(kind, [copy]);
  }

  #changed() {
    if (!this.#surfaces) return;
    this.#isSaved = false;
    say(part("saved"), "");
    this.#show();
    if (!this.#may.edit) return;
    this.#checking.abort(); // its answer would be of what was drawn before
    this.#isSound = false;
    put(part("save").querySelector("[type=submit]"), "disabled", "");
    this.#tell("asking", "Checking…");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), PAUSE_MS);
  }

  #show() {
    const feature = this.#chosen && this.#features.find(this.#chosen.kind, this.#chosen.id);
    if (!feature) this.#chosen = null;
    this.#surfaces.show(this.#features.all, this.#level, this.#chosen);
    this.#properties.show(this.#chosen?.kind, feature, { ...this.#features.all, levels: this.#site.levels });
    put(part("undo"), "disabled", this.#features.canUndo ? null : "");
    put(part("redo"), "disabled", this.#features.canRedo ? null : "");
  }

  #check() {
    this.#checking.ask(
      (signal) => this.#api.checkModel(this.#site.name, this.#features.all, signal),
      ({ faults, changes }) => this.#take(faults, changes),
      (error) => this.#tell("problem", error.message),
    );
  }

  #take(faults, changes) {
    part("faults").replaceChildren(...faults.map((fault) => html("li", { "data-severity": "error" }, fault.replace(/^map\.geojson: /, ""))));
    part("changes").replaceChildren(...changes.map((change) => html("li", {}, inWords(change))));
    this.#tell("done", faults.length === 0 ? "The site is sound." : `${plural(faults.length, "fault")}; a site with faults is not saved.`);
    this.#isSound = this.#may.save && faults.length === 0 && changes.length > 0;
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
      await showInForce(this.#api, this.#site.name);
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

async function showInForce(api, site) {
  try {
    tellInForce(site, await api.editions(site), { note: part("in-force"), banner: part("waiting") });
  } catch (error) {
    say(part("in-force"), error.message);
  }
}

const tellDoing = (text) => say(part("doing"), text);

async function begin() {
  startTheme(part("theme"));
  try {
    const api = new Api();
    const { sites, site } = await siteAsked(api);
    const asked = new URLSearchParams(location.search).get("level");
    const level = site.levels.find(({ id }) => id === asked)?.id ?? site.levels[0].id;
    offer(part("site"), sites, site.name, (chosen) => ({ site: chosen }));
    offer(part("level"), site.levels.map(({ id }) => id), level, (chosen) => ({ site: site.name, level: chosen }));
    writeAddress({ site: site.name });
    document.title = `Edit ${words(site.name)} · Spatial twin`;
    await showInForce(api, site.name); // before anything is drawn: it takes room over the map
    const may = permissionsOf(await rights(), site.name);
    fit(may, document);
    new Page(api, site, level, may);
  } catch (error) {
    put(part("told"), "class", "problem");
    say(part("told"), error.message);
  }
}

begin();
