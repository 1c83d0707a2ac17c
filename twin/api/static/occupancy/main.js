/** The Occupancy page: how full zones were, how many came and went, and how long they stayed; what is shown as CSV. */

import { html, put } from "../elements.js";
import { saveFile } from "../files.js";
import { duration, localTime, milliseconds, plural, rfc3339, timeOfDay, words } from "../format.js";
import { timeGiven } from "../pages/moment_form.js";
import { Asking, openSheet, readQuery, tell, writeQuery } from "../pages/sheet.js";
import { barChart, numbersOf, timeChart } from "./charts.js";
import { csvOf, flowOf, lengthsOf, medianOf, turnoverOf, within } from "./figures.js";
import { seriesOf } from "./series.js";

const DAY_MS = 86_400_000;
const MOST_STAYS = 20_000;
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
    part("range").addEventListener("change", () => this.#choose());
    part("range").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#choose();
    });
    part("range").addEventListener("reset", (event) => {
      event.preventDefault();
      writeQuery({ from: null, until: null, zone: null });
      this.#load();
    });
    part("series-csv").addEventListener("click", () => this.#saveSeries());
    part("stays-csv").addEventListener("click", () => this.#saveStays());
    addEventListener("popstate", () => this.#load());
    this.#load();
  }

  get #zones() {
    return [...new Set(this.#site.stalls.map(({ zone }) => zone))].filter(Boolean).sort();
  }

  #choose() {
    const form = part("range").elements;
    const [from, until] = [timeGiven(form.from), timeGiven(form.until)];
    if (from && until && milliseconds(until) <= milliseconds(from)) {
      tell("“Until” must be after “From”.", true);
      return;
    }
    writeQuery({ from, until, zone: form.zone.value });
    this.#load();
  }

  #load() {
    for (const id of ["series-csv", "stays-csv"]) part(id).disabled = true;
    this.#asking.ask(async (signal) => {
      const { sessions } = await this.#api.sessions(this.#site.name, { limit: MOST_STAYS }, signal);
      const range = await this.#range(sessions, signal);
      this.#showRange(range);
      const told = (share) => tell(`Asking for the state at each moment: ${25 * Math.floor(share * 4)} %`); // read out four times, not 48
      return { range, stays: within(sessions, range), series: await seriesOf(this.#api, this.#site, range, told, signal), isAll: sessions.length < MOST_STAYS };
    }, (found) => this.#show(found));
  }

  /** The period asked for; else the last day, or the day that ended with the last stay where nothing has happened since. */
  async #range(sessions, signal) {
    const asked = readQuery(["from", "until"]);
    const latestMs = milliseconds((await this.#api.occupancy(this.#site.name, {}, signal)).at);
    const times = sessions.flatMap(({ entry_at: entry, exit_at: exit }) => [entry, exit]).filter(Boolean).map(milliseconds);
    const last = times.reduce((a, b) => Math.max(a, b), -Infinity);
    const isQuiet = Number.isFinite(last) && last < latestMs - DAY_MS;
    const untilMs = milliseconds(asked.until) ?? (isQuiet ? last : latestMs);
    const first = times.filter((ms) => ms >= untilMs - DAY_MS).reduce((a, b) => Math.min(a, b), untilMs - 60_000);
    return { fromMs: milliseconds(asked.from) ?? Math.max(first, untilMs - DAY_MS), untilMs };
  }

  #showRange({ fromMs, untilMs }) {
    const form = part("range").elements;
    const asked = readQuery(["from", "until", "zone"]);
    for (const [name, ms] of [["from", fromMs], ["until", untilMs]]) {
      form[name].value = localTime(rfc3339(ms));
      if (asked[name]) form[name].dataset.exact = asked[name];
      else delete form[name].dataset.exact;
    }
    form.zone.value = asked.zone ?? "";
  }

  #show({ range, stays, series, isAll }) {
    const { zone } = readQuery(["zone"]);
    const zones = this.#zones.filter((one) => !zone || one === zone);
    this.#shown = { zones, series, stays };
    part("zones").replaceChildren(...zones.map((one) => zoneChart(one, series)));
    this.#showTurnover(range, stays, series);
    this.#showLengths(stays);
    for (const id of ["series-csv", "stays-csv"]) part(id).disabled = false;
    put(part("content"), "data-shown", "true");
    tell(`${timeOfDay(range.fromMs)} to ${timeOfDay(range.untilMs)}, at ${plural(series.length, "moment")}; ${plural(stays.length, "stay")}.${isAll ? "" : ` Only the newest ${MOST_STAYS} stays were looked through.`}`);
  }

  #showTurnover(range, stays, series) {
    const { ended, perStall } = turnoverOf(stays, this.#site.stalls.length, range);
    const median = medianOf(stays);
    const most = Math.max(0, ...series.map(({ inside }) => inside));
    const figures = [
      ["Stays that ended", ended], ["For each stall", perStall === null ? "–" : perStall.toFixed(1)],
      ["Half stayed less than", median === null ? "–" : duration(median)], ["Most inside at once", most],
    ];
    part("turnover").replaceChildren(...figures.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, String(value)))));
    const { stepMs, steps } = flowOf(stays, range);
    const groups = steps.map(({ atMs, entries, exits }) => ({ name: timeOfDay(atMs, range.untilMs).replace(/:\d\d$/, ""), values: [{ kind: "entries", value: entries }, { kind: "exits", value: exits }] }));
    const sum = (name) => steps.reduce((all, step) => all + step[name], 0);
    part("flow").replaceChildren(html("div", {},
      barChart("Entries and exits", `${sum("entries")} in and ${sum("exits")} out, in steps of ${duration(stepMs / 1000)}.`, groups),
      html("p", { class: "key", "aria-hidden": "true" }, html("span", { "data-kind": "entries" }, "Entries"), html("span", { "data-kind": "exits" }, "Exits")),
      numbersOf(["From", "Entries", "Exits"], steps.map(({ atMs, entries, exits }) => [timeOfDay(atMs), entries, exits])),
    ));
  }

  #showLengths(stays) {
    const lengths = lengthsOf(stays);
    if (lengths.length === 0) {
      part("lengths").replaceChildren(html("p", { class: "note" }, "No stay has ended in this period."));
      return;
    }
    const groups = lengths.map(({ name, n }) => ({ name, values: [{ kind: "entries", value: n }] }));
    const sum = lengths.reduce((all, { n }) => all + n, 0);
    part("lengths").replaceChildren(html("div", {}, barChart("Length of stays", `${plural(sum, "stay")} that have ended.`, groups), numbersOf(["Length", "Stays"], lengths.map(({ name, n }) => [name, n]))));
  }

  #saveSeries() {
    const { zones, series } = this.#shown;
    const rows = series.flatMap(({ at, zones: told }) => zones.map((zone) => {
      const { occupied, free, unknown, vehicles } = told.get(zone);
      return [at, zone, occupied, free, unknown, vehicles];
    }));
    save(`${this.#site.name}-occupancy.csv`, csvOf(["at", "zone", "n_occupied", "n_free", "n_unknown", "n_vehicles"], rows));
  }

  #saveStays() {
    const columns = ["session", "vehicle", "status", "entry_at", "exit_at", "duration_s", "confidence", "amount_minor", "currency"];
    save(`${this.#site.name}-stays.csv`, csvOf([...columns, "flags"], this.#shown.stays.map((stay) => [...columns.map((name) => stay[name]), stay.flags.join(" ")])));
  }
}

function zoneChart(zone, series) {
  const points = series.map(({ atMs, zones }) => ({ atMs, value: zones.get(zone).occupied, isKnown: zones.get(zone).unknown === 0 }));
  const { occupied, free, unknown } = series.at(-1).zones.get(zone);
  const stalls = occupied + free + unknown;
  const unsure = points.some(({ isKnown }) => !isKnown) ? " Where it is shaded, stalls are unknown, and are not counted." : "";
  const summary = `${occupied} of ${plural(stalls, "stall")} taken at the end, ${Math.max(...points.map(({ value }) => value))} at most.${unsure}`;
  return html("div", { "data-zone": zone }, timeChart(words(zone), summary, points, stalls), numbersOf(["At", "Taken", "Unknown"], series.map(({ atMs, zones }) => [timeOfDay(atMs), zones.get(zone).occupied, zones.get(zone).unknown])));
}

const save = (name, text) => saveFile(name, text, "text/csv;charset=utf-8");

openSheet("Occupancy", (api, site) => new OccupancyPage(api, site));
