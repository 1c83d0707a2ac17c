/** The Sessions page: stays of a moment by conditions, and one of them opened with its evidence and its bill. */

import { html, put } from "../elements.js";
import { duration, localTime, milliseconds, plural, shortId, words } from "../format.js";
import { viewsOf } from "./evidence_cards.js";
import { MomentForm, timeGiven } from "./moment_form.js";
import { addressOf, Asking, openSheet, readQuery, tell, writeQuery } from "./sheet.js";
import { stayContents } from "./stay_view.js";
import { money, whenOr } from "./words_of_stays.js";

const MOST = 2_000; // the newest so many stays are looked through
const PAGE_OF = 50;
const CONDITIONS = ["status", "vehicle", "from", "until"];
const part = (id) => document.getElementById(id);

class SessionsPage {
  #api;
  #site;
  #moment;
  #list = new Asking();
  #one = new Asking();
  #stays = [];
  #isAll = true;
  #nShown = PAGE_OF;

  constructor(api, site) {
    this.#api = api;
    this.#site = site.name;
    this.#moment = new MomentForm(part("moment"), () => this.#load());
    this.#showConditions();
    part("filters").addEventListener("input", () => this.#choose());
    part("filters").addEventListener("submit", (event) => event.preventDefault());
    part("filters").addEventListener("reset", () => setTimeout(() => this.#choose()));
    part("more").addEventListener("click", () => this.#more());
    part("list").addEventListener("click", (event) => this.#follow(event));
    addEventListener("popstate", () => {
      this.#moment.follow();
      this.#showConditions();
      this.#load();
    });
    this.#load();
  }

  #load() {
    this.#list.ask((signal) => this.#api.sessions(this.#site, { ...this.#moment.moment, limit: MOST }, signal), ({ sessions }) => {
      this.#stays = sessions.sort((a, b) => (began(a) < began(b) ? 1 : -1));
      this.#isAll = sessions.length < MOST;
      this.#render();
    }, (error) => {
      this.#stays = [];
      this.#render();
      tell(error.message, true);
    });
    this.#open();
  }

  #render() {
    const wanted = this.#stays.filter(fits(readQuery(CONDITIONS)));
    const shown = wanted.slice(0, this.#nShown);
    const { session } = readQuery(["session"]);
    part("list").parentElement.hidden = wanted.length === 0;
    part("list").tBodies[0].replaceChildren(...shown.map((stay) => this.#row(stay, session)));
    part("more").hidden = shown.length === wanted.length;
    const bound = this.#isAll ? "" : ` Only the newest ${MOST} were looked through: give a moment to see older ones.`;
    tell((wanted.length === 0 ? "No stay fits these conditions." : `${plural(wanted.length, "stay")}, the newest first${shown.length < wanted.length ? `; ${shown.length} shown` : ""}.`) + bound);
  }

  #row(stay, opened) {
    const href = addressOf(location.pathname, { ...Object.fromEntries(new URLSearchParams(location.search)), session: stay.session });
    const cell = (name, value, attributes = {}) => html("td", { "data-name": name, ...attributes }, value);
    return html("tr", { "data-session": stay.session, "aria-current": stay.session === opened ? "true" : null },
      html("th", { scope: "row", "data-name": "Entry" }, html("a", { href }, whenOr(stay.entry_at))),
      cell("Exit", whenOr(stay.exit_at, stay.status === "open" ? "inside" : "not seen")),
      cell("Stay", stay.duration_s === null ? "–" : duration(stay.duration_s)),
      cell("Vehicle", html("span", { title: stay.vehicle }, shortId(stay.vehicle))),
      cell("Status", html("span", { class: "tags" }, html("span", { class: "chip", "data-state": stay.status }, words(stay.status)), stay.flags.length ? html("span", { class: "chip", "data-state": "unknown" }, "In doubt") : null)),
      cell("Cost", money(stay.amount_minor, stay.currency), { class: "number" }),
    );
  }

  #choose() {
    const form = part("filters").elements;
    writeQuery({ status: form.status.value, vehicle: form.vehicle.value.trim(), from: timeGiven(form.from), until: timeGiven(form.until) });
    this.#nShown = PAGE_OF;
    this.#render();
  }

  #showConditions() {
    const asked = readQuery(CONDITIONS);
    const form = part("filters").elements;
    form.status.value = asked.status ?? "";
    form.vehicle.value = asked.vehicle ?? "";
    for (const name of ["from", "until"]) form[name].value = localTime(asked[name]);
  }

  #more() {
    const first = this.#nShown;
    this.#nShown += PAGE_OF;
    this.#render();
    part("list").tBodies[0].rows[first]?.querySelector("a").focus(); // the button that was pressed may be gone
  }

  #follow(event) {
    const row = event.target.closest("tr[data-session]");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    writeQuery({ session: row.dataset.session }, { isNewEntry: true });
    this.#render();
    this.#open({ isAsked: true });
  }

  #open({ isAsked = false } = {}) {
    const { session } = readQuery(["session"]);
    part("stay").hidden = session === null;
    if (session === null) return;
    put(part("stay"), "data-opened", null);
    const moment = this.#moment.moment;
    this.#one.ask((signal) => this.#asked(session, moment, signal), ([told, beside]) => {
      const cropUrl = (crop) => this.#api.cropUrl(this.#site, crop);
      const shown = { site: this.#site, moment, cropUrl, showPlate: (...given) => this.#showPlate(...given) };
      part("stay").replaceChildren(...stayContents(told, beside, shown));
      put(part("stay"), "data-opened", session);
      if (isAsked) part("stay-title").focus();
    }, (error) => part("stay").replaceChildren(html("h2", { id: "stay-title" }, "Stay"), html("p", { class: "problem" }, error.message)));
  }

  async #asked(session, moment, signal) {
    const api = this.#api;
    const told = await api.session(this.#site, session, moment, signal);
    const isOpen = told.session.status === "open" && told.session.tariff !== null;
    const at = moment.at ?? new Date().toISOString();
    const [vehicle, { lines }, due] = await Promise.all([
      api.vehicle(this.#site, told.session.vehicle, moment, signal),
      api.ledger(this.#site, { session, known_at: moment.known_at }, signal),
      isOpen ? api.due(this.#site, session, { ...moment, at }, signal) : null,
    ]);
    const tracklets = vehicle.sightings.map(({ tracklet }) => tracklet);
    const views = await viewsOf(api, this.#site, [...(told.entry?.tracklets ?? []), ...(told.exit?.tracklets ?? []), ...tracklets], moment, signal);
    return [told, { lines, due, views, tracklets }];
  }

  async #showPlate(session, button) {
    try {
      const { plate, author } = await this.#api.plate(this.#site, session, this.#moment.moment);
      button.replaceWith(html("span", { id: "plate" }, `${plate}, set by ${author}`));
    } catch (error) {
      button.replaceWith(html("span", { class: "problem" }, error.message));
    }
  }
}

const began = ({ entry_at: entry, exit_at: exit }) => entry ?? exit ?? "";

const isInDoubt = ({ status, flags }) => flags.length > 0 || status === "orphan";

/** Whether a stay fulfils the conditions. */
function fits({ status, vehicle, from, until }) {
  const [fromMs, untilMs] = [milliseconds(from), milliseconds(until)];
  return (stay) => {
    const [entryMs, exitMs] = [milliseconds(stay.entry_at ?? stay.exit_at), milliseconds(stay.exit_at)];
    if (stay.status === "void" ? status !== "void" : status === "doubt" ? !isInDoubt(stay) : status && stay.status !== status) return false;
    if (vehicle && !stay.vehicle.toLowerCase().includes(vehicle.toLowerCase())) return false;
    if (fromMs !== null && exitMs !== null && exitMs < fromMs) return false;
    return untilMs === null || entryMs <= untilMs;
  };
}

openSheet("Sessions", (api, site) => new SessionsPage(api, site));
