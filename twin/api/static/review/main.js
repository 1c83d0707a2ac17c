/** The Review page: stays in doubt, the evidence of both ends side by side, and what a person decides about them. */

import { html, put } from "../elements.js";
import { duration, plural, words } from "../format.js";
import { betweenEnds, endCard, stayUrl, vehicleUrl, viewsOf } from "../pages/evidence_cards.js";
import { MomentForm } from "../pages/moment_form.js";
import { addressOf, Asking, openSheet, readQuery, tell, writeQuery } from "../pages/sheet.js";
import { causeInWords, confidenceInWords, money, whenOr } from "../pages/words_of_stays.js";
import { signed } from "../session.js";
import { decisionForms, opposite } from "./decisions.js";
import { decided, keptBy, outcomeContents, refusalOf } from "./outcome.js";

const CAUSES = ["no_entry", "no_exit", "camera_gap", "ambiguous_identity", "unverified"];
const part = (id) => document.getElementById(id);

class ReviewPage {
  #api;
  #site;
  #moment;
  #asking = new Asking();
  #one = new Asking();
  #cases = [];
  #counts = {};
  #isSending = false;

  constructor(api, site) {
    this.#api = api;
    this.#site = site.name;
    this.#moment = new MomentForm(part("moment"), () => this.#load());
    const form = part("filters").elements;
    form.cause.append(...CAUSES.map((cause) => html("option", { value: cause }, causeInWords(cause))));
    signed(form.author);
    part("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["cause", "decided"]) form[name].addEventListener("change", () => this.#choose());
    part("cases").addEventListener("click", (event) => this.#follow(event));
    addEventListener("popstate", () => {
      this.#moment.follow();
      this.#load();
    });
    this.#load();
  }

  #load() {
    const { cause, decided: which } = readQuery(["cause", "decided"]);
    part("filters").elements.cause.value = cause ?? "";
    part("filters").elements.decided.value = which ?? "";
    return this.#asking.ask((signal) => this.#api.review(this.#site, this.#moment.moment, signal), ({ cases, ...counts }) => {
      [this.#cases, this.#counts] = [cases, counts];
      this.#render();
    }, (error) => {
      this.#cases = [];
      part("cases").replaceChildren();
      part("case").hidden = true;
      tell(error.message, true);
    });
  }

  #choose() {
    const form = part("filters").elements;
    writeQuery({ cause: form.cause.value, decided: form.decided.value });
    this.#render();
  }

  get #wanted() {
    const { cause, decided: which } = readQuery(["cause", "decided"]);
    return this.#cases.filter((one) => (!cause || one.causes.includes(cause)) && (which === "all" || one.is_decided === (which === "yes")));
  }

  /** Show the queue, and the case that the address names; without one, the first. */
  #render() {
    const wanted = this.#wanted;
    const { session } = readQuery(["session"]);
    const isOther = session !== null && this.#cases.every((one) => one.session.session !== session);
    const chosen = this.#cases.find((one) => one.session.session === session) ?? (isOther ? null : wanted[0] ?? null);
    part("cases").replaceChildren(...wanted.map((one) => this.#row(one, one === chosen)));
    const { n_waiting: nWaiting = 0, n_decided: nDecided = 0 } = this.#counts;
    const left = nWaiting + nDecided > this.#cases.length ? ` The first ${this.#cases.length} are listed.` : "";
    tell(`${plural(nWaiting, "stay")} wait${nWaiting === 1 ? "s" : ""} for a person, ${nDecided} decided about; ${wanted.length} shown.${left}`);
    part("case").hidden = chosen === null;
    if (chosen) this.#show(chosen);
    else if (isOther) this.#showOther(session);
  }

  /** A stay that nobody doubts can be decided about as well. */
  #showOther(session) {
    this.#one.ask((signal) => this.#api.session(this.#site, session, this.#moment.moment, signal), (told) => {
      part("case").hidden = false;
      this.#show({ ...told, causes: [], candidates: [], is_decided: false });
    }, (error) => tell(error.message, true));
  }

  #row({ session, causes, is_decided: isDecided }, isChosen) {
    const query = { ...Object.fromEntries(new URLSearchParams(location.search)), session: session.session };
    return html("li", { "data-case": session.session },
      html("a", { href: addressOf(location.pathname, query), "aria-current": isChosen ? "true" : null },
        html("span", { class: "row-name" }, session.vehicle),
        html("span", { class: "note" }, `${whenOr(session.entry_at)} to ${whenOr(session.exit_at, session.status === "open" ? "inside" : "not seen")}`),
        html("span", {}, causes.map(causeInWords).join("; ")),
        html("span", { class: "tags" }, html("span", { class: "chip", "data-state": session.status }, words(session.status)), isDecided ? html("span", { class: "chip" }, "Decided") : null),
      ),
    );
  }

  #follow(event) {
    const row = event.target.closest("[data-case]");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    writeQuery({ session: row.dataset.case }, { isNewEntry: true });
    part("outcome").hidden = true;
    this.#render();
    part("case").focus();
  }

  #show(told) {
    const moment = this.#moment.moment;
    const { entry, exit, candidates } = told;
    const ends = [entry, exit, ...candidates.map(({ crossing }) => crossing)].filter(Boolean);
    put(part("case"), "data-session", null);
    this.#one.ask((signal) => viewsOf(this.#api, this.#site, ends.flatMap(({ tracklets }) => tracklets), moment, signal), (views) => {
      const cropUrl = (crop) => this.#api.cropUrl(this.#site, crop);
      part("case").replaceChildren(...this.#contents(told, { site: this.#site, moment, views, cropUrl }));
      put(part("case"), "data-session", told.session.session);
    });
  }

  #contents(told, shown) {
    const { session, entry, exit, names, candidates, causes } = told;
    const missing = { entry: "No entry was seen. Which of the stays below is it the exit of?", exit: session.status === "open" ? "No exit was seen yet." : "A person said that it ended." };
    const forms = this.#moment.isPast ? [] : decisionForms(told, (decision, about) => this.#send(decision, about));
    return [
      html("h2", {}, `Stay of ${session.vehicle}`),
      causes.length === 0 ? html("p", { class: "note" }, "Nothing about it is in doubt.") : html("ul", { class: "causes" }, causes.map((cause) => html("li", { "data-cause": cause }, causeInWords(cause)))),
      html("p", { class: "note" }, [`${words(session.status)}, ${confidenceInWords(session.confidence)}`, session.amount_minor === null ? null : `costs ${money(session.amount_minor, session.currency)}`].filter(Boolean).join(", "), ". ",
        html("a", { href: stayUrl(this.#site, session.session, this.#moment.moment) }, "Evidence and bill")),
      html("h3", {}, "Both ends"),
      html("p", { class: "between" }, betweenEnds(entry, exit)),
      html("div", { class: "ends" }, endCard("Entry", entry, missing.entry, shown), endCard("Exit", exit, missing.exit, shown)),
      names.length ? html("ul", { class: "names" }, names.map((one) => html("li", {}, html("a", { href: vehicleUrl(this.#site, one.merged, this.#moment.moment) }, one.merged), ` was taken for ${one.vehicle} at ${whenOr(one.at)}: ${one.decision ? "a person said so" : "the twin found out"}.`))) : null,
      candidates.length ? html("h3", {}, session.status === "orphan" ? "Stays that have no exit yet" : "Exits without an entry") : null,
      candidates.length ? html("div", { class: "ends candidates" }, candidates.map(({ vehicle, crossing, end, stay_s: stay }) => html("div", { "data-candidate": vehicle },
        endCard(words(end), crossing, "That end was not seen.", shown), html("p", { class: "between" }, `${duration(stay)} if they are one.`)))) : null,
      html("h3", {}, "Decide"),
      forms.length ? html("p", { class: "note" }, "Each is stored as the decision of the person named above, with the reason, and holds whatever is observed later.")
        : html("p", { class: "note" }, "This is the past. Go back to now to decide."),
      ...forms,
    ].filter(Boolean);
  }

  async #send(decision, { exitAt = null } = {}) {
    const author = part("filters").elements.author;
    if (!author.value.trim()) {
      tell("Say who decides: write your name first.", true);
      author.focus();
      return;
    }
    if (this.#isSending) return;
    this.#isSending = true;
    put(part("case"), "aria-busy", "true");
    const now = new Date().toISOString();
    const sent = { id: newId(), author: author.value.trim(), at: now, ...decision };
    try {
      this.#showOutcome(sent, await decided(this.#api, this.#site, sent), exitAt);
      await this.#load();
    } catch (error) {
      part("outcome").hidden = false;
      part("outcome").replaceChildren(html("h2", { id: "outcome-title" }, "It was not stored"), html("p", { class: "problem" }, error.message));
      part("outcome").focus();
    } finally {
      this.#isSending = false;
      put(part("case"), "aria-busy", null);
    }
  }

  #showOutcome(sent, came, exitAt) {
    const undo = refusalOf(came.facts) ? null : opposite(sent, { kept: keptBy(came.facts), exitAt });
    part("outcome").hidden = false;
    part("outcome").replaceChildren(...outcomeContents(this.#site, sent, came, undo, () => this.#send(undo, {})));
    put(part("outcome"), "data-decision", sent.decision);
    part("outcome").focus();
  }
}

/** Random enough to be one's own; `randomUUID` is missing where a page is served without TLS. */
function newId() {
  return `review-${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

openSheet("Review", (api, site) => new ReviewPage(api, site));
