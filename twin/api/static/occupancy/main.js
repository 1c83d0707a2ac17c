/** The Occupancy page: how full zones were, how they were used, and how long vehicles stayed; the same as CSV files. */

import { html, put } from "../elements.js";
import { duration, localTime, milliseconds, plural, rfc3339, roundedUp, timeOfDay, words } from "../format.js";
import { timeGiven } from "../pages/moment_form.js";
import { Asking, openSheet, readQuery, tell, writeQuery } from "../pages/sheet.js";
import { barChart, numbersOf, timeChart } from "./charts.js";
import { binsOf, flowOf, spread, within } from "./figures.js";
import { askedOf, pointsOf, stepOf } from "./series.js";

const DAY_MS = 86_400_000;
const MOST_STAYS = 20_000;
const FILES = ["series", "turnover", "lengths", "stays"];
const TIMES = ["from", "until", "known_at"];
const part = (id) => document.getElementById(id);

class OccupancyPage {
  #api;
  #site;
  #asking = new Asking();
  #shown = null;

  constructor(api, site) {
    this.#api = api;
    this.#site = site;
    const form = part("range").elements;
    form.zone.append(...this.#zones.map((zone) => html("option", { value: zone }, words(zone))));
    part("range").addEventListener("input", ({ target }) => delete target.dataset.exact);
    part("range").addEventListener("change", ({ target }) => this.#choose(target.name));
    part("range").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#choose();
    });
    part("range").addEventListener("reset", (event) => {
      event.preventDefault();
      writeQuery({ from: null, until: null, known_at: null, zone: null });
      this.#load();
    });
    addEventListener("popstate", () => this.#load());
    this.#load();
  }

  get #zones() {
    return [...new Set(this.#site.stalls.map(({ zone }) => zone))].filter(Boolean).sort();
  }

  #choose(name = "") {
    const form = part("range").elements;
    if (name === "zone" && this.#shown) {
      writeQuery({ zone: form.zone.value });
      this.#show(this.#shown); // all zones are there already
      return;
    }
    const [from, until, knownAt] = TIMES.map((one) => timeGiven(form[one]));
    if (from && until && milliseconds(until) <= milliseconds(from)) {
      tell("“Until” must be after “From”.", true);
      return;
    }
    writeQuery({ from, until, known_at: knownAt, zone: form.zone.value });
    this.#load();
  }

  #load() {
    for (const name of FILES) part(`${name}-csv`).hidden = true;
    const { name } = this.#site;
    this.#asking.ask(async (signal) => {
      const { at, position } = await this.#api.occupancy(name, { known_at: readQuery(["known_at"]).known_at }, signal);
      const { sessions } = await this.#api.sessions(name, { known_at: position, limit: MOST_STAYS }, signal);
      const range = this.#range(sessions, milliseconds(at));
      this.#showRange(range);
      const asked = askedOf(range, position);
      const [series, turnover] = await Promise.all([this.#api.occupancySeries(name, { ...asked, step_s: stepOf(range) }, signal), this.#api.turnover(name, asked, signal)]);
      return { range, position, stays: within(sessions, range), series: pointsOf(series), turnover, isAll: sessions.length < MOST_STAYS };
    }, (found) => this.#show(found));
  }

  /** The period asked for; else the last day, or the day that ended with the last stay where nothing has happened since. */
  #range(sessions, latestMs) {
    const asked = readQuery(["from", "until"]);
    const times = sessions.flatMap(({ entry_at: entry, exit_at: exit }) => [entry, exit]).filter(Boolean).map(milliseconds);
    const last = times.reduce((a, b) => Math.max(a, b), -Infinity);
    const isQuiet = Number.isFinite(last) && last < latestMs - DAY_MS;
    const untilMs = milliseconds(asked.until) ?? (isQuiet ? last : latestMs);
    const first = times.filter((ms) => ms >= untilMs - DAY_MS).reduce((a, b) => Math.min(a, b), untilMs - 60_000);
    return { fromMs: milliseconds(asked.from) ?? Math.max(first, untilMs - DAY_MS), untilMs };
  }

  #showRange({ fromMs, untilMs }) {
    const form = part("range").elements;
    const asked = readQuery([...TIMES, "zone"]);
    for (const [name, at] of [["from", rfc3339(fromMs)], ["until", rfc3339(untilMs)], ["known_at", asked.known_at]]) {
      form[name].value = localTime(at);
      if (asked[name]) form[name].dataset.exact = asked[name];
      else delete form[name].dataset.exact;
    }
    form.zone.value = asked.zone ?? "";
  }

  #show(found) {
    const { range, position, stays, series, turnover, isAll } = found;
    const { zone } = readQuery(["zone"]);
    const zones = this.#zones.filter((one) => !zone || one === zone);
    const used = turnover.zones.filter((one) => zones.includes(one.zone));
    this.#shown = found;
    part("zones").replaceChildren(...(zones.length > 0 ? zones.map((one) => zoneChart(one, series)) : [html("p", { class: "note" }, this.#emptyInWords(zone))]));
    this.#showTurnover(range, stays, series, turnover.stays);
    part("by-zone").replaceChildren(...(used.length > 0 ? [zoneTable(used)] : []));
    part("lengths").replaceChildren(lengthChart("Stays on the site", turnover.stays.lengths, "stay", "stayed"), ...used.map((one) => lengthChart(words(one.zone), one.parkings, "parking", "stood there", one.n_unmeasured)));
    this.#link(range, position, zone);
    put(part("content"), "data-shown", "true");
    tell(`${timeOfDay(range.fromMs)} to ${timeOfDay(range.untilMs)}, every ${duration(stepOf(range))}: ${plural(series.length, "moment")}; ${plural(stays.length, "stay")}.${isAll ? "" : ` Entries and exits are of the newest ${MOST_STAYS} stays alone.`}`);
  }

  /** Why there is no zone to show. */
  #emptyInWords(zone) {
    if (this.#zones.length === 0) return "This site has no stalls, so none is taken or free. Stalls are drawn in Edit. Entries, exits and stays are counted all the same.";
    const isThere = this.#site.zones.some(({ id }) => id === zone);
    return isThere ? `Zone ${words(zone)} has no stalls, so none is taken or free in it: choose another zone above.` : `This site has no zone “${zone}”: choose another one above.`;
  }

  #showTurnover(range, stays, series, { n_entries: entries, n_exits: exits, lengths }) {
    const most = fullest(series, ({ inside }) => inside);
    const figures = [
      ["Entries", entries], ["Exits", exits],
      ["Half stayed less than", lengths.median_s === null ? "–" : roundedUp(lengths.median_s)], [most ? `Most inside at a moment shown, ${timeOfDay(most.atMs, range.untilMs)}` : "Most inside at a moment shown", most?.inside ?? "–"],
    ];
    part("turnover").replaceChildren(...figures.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, String(value)))));
    const { stepMs, steps } = flowOf(stays, range);
    const groups = steps.map(({ atMs, entries: came, exits: went }) => ({ name: timeOfDay(atMs, range.untilMs).replace(/:\d\d$/, ""), values: [{ kind: "entries", value: came }, { kind: "exits", value: went }] }));
    const sum = (name) => steps.reduce((all, step) => all + step[name], 0);
    part("flow").replaceChildren(html("div", {},
      barChart("Entries and exits", `${sum("entries")} in and ${sum("exits")} out, in steps of ${duration(stepMs / 1000)}.`, groups),
      html("p", { class: "key", "aria-hidden": "true" }, html("span", { "data-kind": "entries" }, "Entries"), html("span", { "data-kind": "exits" }, "Exits")),
      numbersOf(["From", "Entries", "Exits"], steps.map(({ atMs, entries: came, exits: went }) => [timeOfDay(atMs), came, went])),
    ));
  }

  /** The files are of what is shown: the same times, as known at the same position. */
  #link(range, position, zone) {
    const asked = askedOf(range, position, zone);
    const given = { series: { ...asked, step_s: stepOf(range) }, turnover: asked, lengths: asked, stays: askedOf(range, position) };
    for (const name of FILES) {
      part(`${name}-csv`).href = this.#api.occupancyCsvUrl(this.#site.name, name, given[name]);
      part(`${name}-csv`).hidden = false;
    }
  }
}

function zoneChart(zone, series) {
  const points = series.map(({ atMs, zones }) => ({ atMs, value: zones.get(zone).occupied, unknown: zones.get(zone).unknown }));
  const { occupied, stalls } = series.at(-1).zones.get(zone);
  const most = fullest(points, ({ value }) => value);
  const unsure = Math.max(...points.map(({ unknown }) => unknown));
  const summary = `${occupied} of ${plural(stalls, "stall")} taken at the end; of the moments shown, ${most.value} at most${most.value > 0 ? `, at ${timeOfDay(most.atMs, points.at(-1).atMs)}` : ""}.${unsure ? ` Up to ${unsure} unknown: neither free nor taken.` : ""}`;
  return html("div", { "data-zone": zone }, timeChart(words(zone), summary, points, stalls), numbersOf(["At", "Taken", "Unknown", "Free"], series.map(({ atMs, zones }) => [timeOfDay(atMs), zones.get(zone).occupied, zones.get(zone).unknown, zones.get(zone).free])));
}

/** The first of the samples at which a number is the largest: between them it may be larger. */
const fullest = (samples, numberOf) => samples.reduce((best, one) => (best && numberOf(best) >= numberOf(one) ? best : one), null);

const share = (of, all) => (all > 0 ? `${Math.round((100 * of) / all)} %` : "–");

function zoneTable(zones) {
  const columns = ["Zone", "Stalls", "Arrivals", "Per stall and hour", "Taken", "Time unknown", "Half stood less than", "95 % less than"];
  const length = (seconds) => (seconds === null ? "–" : roundedUp(seconds));
  const rows = zones.map((one) => [
    one.n_stalls, one.n_arrivals, one.turnover_per_stall_h === null ? "–" : one.turnover_per_stall_h.toFixed(2),
    one.occupied_share === null ? "–" : share(one.occupied_share, 1), share(one.unknown_s, one.occupied_s + one.free_s + one.unknown_s), length(one.parkings.median_s), length(one.parkings.p95_s),
  ]);
  return html("table", { id: "zone-table" },
    html("caption", {}, "Of the time in which it was known what stalls hold: a stall that only a lost camera looks at is not free."),
    html("thead", {}, html("tr", {}, columns.map((one, i) => html("th", { scope: "col", class: i ? "number" : null }, one)))),
    html("tbody", {}, zones.map(({ zone }, i) => html("tr", { "data-zone": zone }, html("th", { scope: "row" }, words(zone)), rows[i].map((one) => html("td", { class: "number" }, String(one)))))),
  );
}

function lengthChart(title, lengths, noun, verb, nUnmeasured = 0) {
  const bins = binsOf(lengths.histogram);
  const unmeasured = nUnmeasured ? ` Of ${nUnmeasured} more the beginning or the end was not seen.` : "";
  if (bins.length === 0) return html("div", {}, html("p", {}, html("strong", {}, title), ` No ${noun} has ended in this period.${unmeasured}`));
  const summary = `${plural(lengths.n, noun)} that ended. ${spread(lengths, verb)}${unmeasured}`;
  return html("div", {}, barChart(title, summary, bins.map(({ name, n }) => ({ name, values: [{ kind: "entries", value: n }] }))), numbersOf(["Length", "Number"], bins.map(({ name, n }) => [name, n])));
}

openSheet("Occupancy", (api, site) => new OccupancyPage(api, site));
