/** The Explore page's composition: what is asked, in the address and of the API, and what comes of it. */

import { Api } from "../api.js";
import { put, say } from "../elements.js";
import { words } from "../format.js";
import { LatestRequest } from "../latest_request.js";
import { refusalOf } from "../search/pictures.js";
import { offer, siteAsked } from "../site_choice.js";
import { startTheme } from "../theme.js";
import { Chosen } from "./chosen.js";
import { Filters } from "./filters.js";
import { nearInWords, Probe } from "./probe.js";
import { addressOf, foundInWords, parametersOf, readQuestion, unconditional } from "./question.js";
import { Results } from "./results.js";

const PAGE_OF = 10;
const MOST_FACTS = 10_000;
const INVITATION = "Drop a picture of a vehicle, or follow “More like this sighting” from the map.";

const part = (id) => document.getElementById(id);

class Page {
  #api;
  #site;
  #question;
  #answer = null;
  #requests = new LatestRequest();
  #filters;
  #probe;
  #results;
  #chosen;

  constructor(api, site) {
    this.#api = api;
    this.#site = site.name;
    const cropUrl = (crop) => api.cropUrl(site.name, crop);
    this.#filters = new Filters(part("filters"), site, { changed: () => this.#change(this.#filters.read()) });
    this.#probe = new Probe(part("probe"), cropUrl, {
      pictures: () => this.#change({ tracklet: null, picture: null, vehicle: null }),
      cleared: () => this.#change({ tracklet: null, picture: null, vehicle: null }),
    });
    this.#results = new Results(part("results"), site.name, { choose: this.#choose, like: this.#like, cropUrl });
    const askVehicle = (vehicle, signal) => api.vehicle(site.name, vehicle, { known_at: this.#answer.known_at, limit: MOST_FACTS }, signal);
    this.#chosen = new Chosen(part("chosen"), site, askVehicle, cropUrl);
    part("more").addEventListener("click", () => this.#more());
    addEventListener("popstate", () => this.#follow());
    this.#follow();
  }

  /** Ask what the address asks. */
  #follow() {
    this.#question = readQuestion(location.search);
    this.#filters.show(this.#question);
    if (this.#question.tracklet) this.#probe.showSighting(this.#question.tracklet, this.#question.picture);
    else if (this.#probe.pictures.length === 0) this.#probe.empty();
    this.#write(false);
    this.#search();
  }

  #change(changes) {
    this.#question = { ...this.#question, ...changes };
    this.#write(false);
    this.#search();
  }

  /** "More like this": the sighting takes the pictures' place, and brings its own place and time. */
  #like = ({ tracklet, crop }) => {
    this.#question = { ...unconditional(this.#question), tracklet, picture: crop, vehicle: null };
    this.#write(true);
    this.#filters.show(this.#question);
    this.#probe.showSighting(tracklet, crop);
    this.#search();
    part("results").focus();
  };

  #choose = (hit) => {
    this.#question.vehicle = hit.vehicle;
    this.#write(false);
    this.#look(hit);
    part("chosen").scrollIntoView({ block: "nearest" });
    part("chosen").querySelector("h2").focus({ preventScroll: true });
  };

  #look(hit) {
    this.#results.mark(hit.vehicle);
    this.#chosen.show(hit);
  }

  async #search() {
    const { pictures } = this.#probe;
    const refusal = pictures.map(refusalOf).find((one) => one !== null);
    if (pictures.length === 0 && !this.#question.tracklet) this.#clear("empty", INVITATION);
    else if (refusal) this.#clear("problem", refusal);
    else await this.#ask((signal) => this.#first(pictures, signal), (answer) => this.#show(answer), (error) => this.#clear("problem", error.message));
  }

  #first(pictures, signal) {
    const parameters = { ...parametersOf(this.#question), ...this.#probe.parameters, limit: PAGE_OF };
    return pictures.length > 0 ? this.#api.searchByPictures(this.#site, pictures, parameters, signal) : this.#api.searchByTracklet(this.#site, parameters, signal);
  }

  async #more() {
    const follow = (signal) => this.#api.follow(this.#answer.next, this.#probe.pictures, signal);
    const take = ({ hits, next }) => {
      this.#answer.next = next;
      const first = this.#results.add(hits);
      this.#tellFound();
      first?.focus(); // the button that was pressed may be gone
    };
    await this.#ask(follow, take, (error) => this.#tell("problem", error.message)); // what is shown stays
  }

  #ask(send, take, fail) {
    this.#tell("asking", "Searching…");
    return this.#requests.ask(send, take, fail);
  }

  #show(answer) {
    this.#answer = answer;
    this.#probe.tell(answer.pictures);
    this.#results.show(answer);
    say(part("near"), nearInWords(answer.near));
    part("near").hidden = !answer.near;
    const looked = answer.hits.find(({ vehicle }) => vehicle === this.#question.vehicle) ?? answer.hits[0];
    if (looked) this.#look(looked);
    else this.#chosen.hide();
    this.#tellFound();
  }

  #tellFound() {
    this.#tell("done", foundInWords(this.#answer, this.#results.nShown, this.#question));
    part("more").hidden = !this.#answer.next;
  }

  #clear(status, text) {
    this.#requests.abort();
    this.#results.show({ hits: [], unassigned: [] });
    this.#chosen.hide();
    part("near").hidden = true;
    part("more").hidden = true;
    this.#tell(status, text);
  }

  #tell(status, text) {
    put(part("results"), "data-search", status);
    put(part("results"), "aria-busy", status === "asking" ? "true" : null);
    put(part("told"), "class", status === "problem" ? "problem" : "note");
    say(part("told"), text);
  }

  #write(isNewEntry) {
    const next = addressOf(this.#site, this.#question);
    if (next !== location.pathname + location.search) history[isNewEntry ? "pushState" : "replaceState"](null, "", next);
  }
}

async function begin() {
  startTheme(part("theme"));
  try {
    const api = new Api();
    const { sites, site } = await siteAsked(api);
    offer(part("site"), sites, site.name, (chosen) => ({ site: chosen }));
    part("to-map").href = `/?${new URLSearchParams({ site: site.name })}`;
    document.title = `Explore ${words(site.name)} · Spatial twin`;
    new Page(api, site);
  } catch (error) {
    put(part("told"), "class", "problem");
    say(part("told"), error.message);
  }
}

begin();
