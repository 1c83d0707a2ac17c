/** The page's composition: which site, which moment, and what is chosen, wired to map, panel and time bar. */

import { readAddress, writeAddress } from "./address.js";
import { Api } from "./api.js";
import { Connection } from "./connection.js";
import { html, put, say } from "./elements.js";
import { milliseconds, words } from "./format.js";
import { LiveFeed } from "./live.js";
import { SiteMap } from "./map/sitemap.js";
import { Panel } from "./panel/panel.js";
import { exploreUrl } from "./search/sighting.js";
import { TwinState } from "./state.js";
import { startTheme } from "./theme.js";
import { Corrections } from "./time/corrections.js";
import { Difference } from "./time/difference.js";
import { Timebar } from "./timebar.js";
import { Timeline } from "./timeline.js";

const part = (id) => document.getElementById(id);

class Page {
  #api;
  #site;
  #live;
  #past;
  #chosen = null;
  #timeline;
  #timebar;
  #map;
  #panel;
  #connection;
  #corrections;
  #difference;

  constructor(api, site) {
    this.#api = api;
    this.#site = site;
    const { name } = site;
    this.#live = new TwinState(site.cameras_by_stall);
    this.#past = new TwinState(site.cameras_by_stall);
    this.#map = new SiteMap(part("map-section"), site, {
      pick: this.pick,
      level: (level) => writeAddress({ level }),
      cameraUrl: (camera) => `/cameras?${new URLSearchParams({ site: name, camera })}`,
    });
    offerLayers(this.#map);
    this.#timeline = new Timeline((moment, signal) => api.state(name, moment, signal), {
      changed: () => this.#momentChanged(),
      state: (state, how) => this.#showPast(state, how),
      problem: (error) => this.#notice(error.message),
    });
    this.#timebar = new Timebar(part("timebar"), this.#timeline, (some) => this.#difference.choose(some, this.#timeline.latestMs));
    this.#corrections = new Corrections((page) => api.corrections(name, page), () => this.#timebar.mark(this.#corrections.all));
    this.#difference = new Difference(part("difference"), (asked, signal) => api.changes(name, asked, signal), {
      open: ({ at, after }, staysAt) => this.#timeline.goToAsKnown(staysAt ? this.#timeline.at : at, after),
      know: (position) => this.#timeline.knowAsOf(position),
      draw: (state) => this.#map.showDifference(state),
      pick: this.pick,
      goTo: (at) => this.#timeline.goTo(at),
      closed: (hadFocus) => {
        this.#timeline.knowAsOf(null);
        if (hadFocus) this.#timebar.focus();
      },
    });
    const ask = {
      sessions: (signal) => api.sessions(name, this.#timeline.moment, signal),
      vehicle: (vehicle, signal) => api.vehicle(name, vehicle, this.#timeline.moment, signal),
      plates: (plate, signal) => api.plates(name, plate, this.#timeline.moment, signal),
      search: (picture, limit, signal) => api.searchByPictures(name, [picture], { limit, ...this.#timeline.moment }, signal),
    };
    const cropUrl = (crop) => api.cropUrl(name, crop);
    const likeUrl = (sighting) => exploreUrl(name, sighting);
    const vehicleUrl = (vehicle) => `/vehicle?${new URLSearchParams({ site: name, vehicle })}`;
    const zones = new Map(site.stalls.map(({ id, zone }) => [id, zone]));
    const zoneOf = (stall) => zones.get(stall) ?? null;
    const goTo = (at) => this.#timeline.goTo(at);
    this.#panel = new Panel(part("panel"), ask, { pick: this.pick, flyTo: this.flyTo, goTo, open: this.open, cropUrl, likeUrl, vehicleUrl, zoneOf });
  }

  async start() {
    const feed = new LiveFeed((resume) => this.#api.liveUrl(this.#site.name, resume), {
      snapshot: ({ state }) => this.#takeSnapshot(state),
      delta: (delta) => this.#takeDelta(delta),
      status: (status, wait_ms) => this.#connection.show(status, wait_ms),
    });
    this.#connection = new Connection(part("connection"), feed.retryNow);
    writeAddress({ site: this.#site.name });
    part("to-edit").href = `/edit?${new URLSearchParams({ site: this.#site.name })}`;
    part("to-calibrate").href = `/calibrate?${new URLSearchParams({ site: this.#site.name })}`;
    part("to-explore").href = `/explore?${new URLSearchParams({ site: this.#site.name })}`;
    addEventListener("popstate", () => this.#followAddress());
    this.#followAddress();
    feed.start();
    const { facts } = await this.#api.facts(this.#site.name, { limit: 1 });
    if (facts.length > 0) this.#timeline.beginAt(milliseconds(facts[0].time));
  }

  /** Choose a vehicle or stall, or nothing. @param chosen {vehicle} | {stall} | null */
  pick = (chosen) => {
    const [vehicle, stall] = [chosen?.vehicle ?? null, chosen?.stall ?? null];
    writeAddress({ vehicle, stall, level: null }, { isNewEntry: true }); // what is chosen brings its own level
    this.#select(chosen);
  };

  /** Choose what was searched for, and go near to it. */
  flyTo = (chosen) => {
    this.pick(chosen);
    const place = this.#placeOfChosen();
    if (place) this.#map.flyTo(place.point_m);
    else if (chosen.vehicle) this.#notice(`Vehicle ${chosen.vehicle} is not on the site at this moment.`);
  };

  /** Open the moment of a search hit with its vehicle chosen. */
  open = ({ vehicle, sightings: [best] }) => {
    this.pick({ vehicle });
    this.#timeline.goTo(best.at);
  };

  get #shown() {
    return this.#timeline.mode === "live" ? this.#live : this.#past;
  }

  #followAddress() {
    const { at, known_at, vehicle, stall, level, changed } = readAddress();
    if (level) this.#map.showLevel(level);
    this.#timeline.knownAt = at && known_at === at ? "then" : known_at;
    const isTime = at !== null && !Number.isNaN(milliseconds(at));
    if (at && !isTime) this.#notice(`The address asks for the time “${at}”, which is none. Write it as 2026-01-31T14:03:20Z.`);
    if (isTime) this.#timeline.goTo(at);
    else if (this.#timeline.mode === "past") this.#timeline.goLive();
    if (isTime && changed) this.#openChanged(changed);
    this.#select(vehicle ? { vehicle } : stall ? { stall } : null);
  }

  /** Open the difference that a link names: "before-after". */
  async #openChanged(changed) {
    const [, before, after] = /^(\d+)-(\d+)$/.exec(changed) ?? [];
    if (!before) return;
    try {
      const { corrections } = await this.#api.corrections(this.#site.name, { after: before, known_at: after, limit: 1 });
      if (corrections.length > 0) this.#difference.open(corrections[0], { staysAt: true });
      else this.#notice(`The address asks for the correction “${changed}”, and there is none at these positions.`);
    } catch (error) {
      this.#notice(error.message);
    }
  }

  #takeSnapshot(state) {
    this.#live.replace(state);
    this.#corrections.reach(state.position);
    this.#timeline.extend(milliseconds(state.at) ?? Date.now());
    if (this.#timeline.mode === "live") this.#show(this.#live, { isJump: false });
  }

  #takeDelta(delta) {
    const drawn = this.#live.apply(delta);
    this.#corrections.reach(delta.position);
    this.#timeline.extend(milliseconds(this.#live.at));
    if (this.#timeline.mode !== "live") return;
    this.#map.patch(drawn);
    this.#panel.show(this.#live, { isJump: false });
    this.#stamp();
  }

  #showPast(state, how) {
    this.#past.replace(state);
    this.#notice("");
    this.#show(this.#past, how);
    if (this.#difference.isOpen) this.#difference.show(this.#timeline.at, this.#timeline.latestMs);
  }

  #show(state, how) {
    this.#map.show(state, { ...how, isPast: this.#timeline.mode !== "live" });
    this.#panel.show(state, how);
    this.#stamp();
    if (how.isJump) this.#markChosen();
  }

  #select(chosen) {
    this.#chosen = chosen;
    this.#markChosen();
    this.#panel.select(chosen);
  }

  #markChosen() {
    this.#map.select(this.#chosen, this.#placeOfChosen());
  }

  #placeOfChosen() {
    return this.#chosen?.stall ? this.#map.placeOf(this.#chosen.stall) : this.#placeOf(this.#chosen?.vehicle);
  }

  #placeOf(id) {
    const vehicle = this.#shown.vehicles.get(id);
    return vehicle ? { point_m: vehicle.position_m, level: vehicle.level } : null;
  }

  #momentChanged() {
    const { mode, at, moment } = this.#timeline;
    const isLiveAgain = mode === "live" && document.body.dataset.mode !== "live";
    put(document.body, "data-mode", mode);
    this.#timebar?.render();
    if (isLiveAgain && this.#difference.isOpen) this.#difference.close();
    writeAddress({ at, known_at: moment.known_at ?? null, changed: this.#difference?.name ?? null });
    if (!isLiveAgain) return;
    this.#notice("");
    this.#show(this.#live, { isJump: true });
  }

  /** Say in the page which answer is drawn: the moment asked for, and the last fact that it knows. */
  #stamp() {
    const section = part("map-section");
    put(section, "data-mode", this.#timeline.mode);
    put(section, "data-at", this.#timeline.mode === "live" ? this.#live.at : this.#timeline.at);
    put(section, "data-position", this.#shown.position);
  }

  #notice(text) {
    say(part("map-notice"), text);
    part("map-notice").hidden = text === "";
  }
}

function offerSites(sites, chosen) {
  part("site").replaceChildren(...sites.map((site) => html("option", { value: site, selected: site === chosen ? "" : null }, words(site))));
  part("site").addEventListener("change", ({ target }) => location.assign(`${location.pathname}?${new URLSearchParams({ site: target.value })}`));
}

function offerLayers(map) {
  for (const box of document.querySelectorAll("[data-layer]")) {
    const apply = () => map.choose(box.dataset.layer, box.checked);
    box.addEventListener("change", apply);
    apply();
  }
}

async function begin() {
  startTheme(part("theme"));
  try {
    const api = new Api();
    const { sites } = await api.sites();
    const asked = readAddress().site ?? sites[0];
    offerSites(sites, asked);
    if (!asked) throw new Error("This service has no site yet. Start it with a site model: twin serve --site DIR.");
    const site = await api.site(asked);
    document.title = `${words(site.name)} · Spatial twin`;
    await new Page(api, site).start();
  } catch (error) {
    say(part("map-notice"), error.message);
    part("map-notice").hidden = false;
  }
}

begin();
