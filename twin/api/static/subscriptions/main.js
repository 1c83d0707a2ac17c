/** The Subscriptions page: who takes facts and how far each is; one opened, with what can be done about it. */

import { html, put, say } from "../elements.js";
import { duration, plural } from "../format.js";
import { timeGiven } from "../pages/moment_form.js";
import { addressOf, openSheet, readQuery, tell, writeQuery } from "../pages/sheet.js";
import { rights } from "../session.js";
import { actionsOf, consumersOf, deliveriesOf, dropInWords, factsOf, frameOf, parkedOf, secretBox } from "./one.js";
import { Polling } from "./polling.js";
import { feedsOf, filterInWords, kindInWords, rightsInWords, statesOf } from "./standing.js";

const N_DELIVERIES = 50;
const OVERLAP_S = 86_400;
const part = (id) => document.getElementById(id);
const listed = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

class SubscriptionsPage {
  #api;
  #site;
  #rights;
  #polling = new Polling((signal) => this.#read(signal), (error) => tell(error.message, true));
  #opened = null; // {kind, name} of what the frame is of
  #one = null;
  #feeds = []; // as told last
  #shown = {}; // what each part was drawn from, so that what did not change is let be
  #readMs = 0;

  constructor(api, site, mine) {
    this.#api = api;
    this.#site = site.name;
    this.#rights = { ...mine, may: (scope) => mine.may(scope, site.name) };
    say(part("rights"), rightsInWords(mine, site.name));
    part("list").addEventListener("click", (event) => this.#follow(event));
    part("one").addEventListener("click", (event) => this.#press(event));
    part("one").addEventListener("submit", (event) => this.#replay(event));
    part("one").addEventListener("change", ({ target }) => target.name === "by" && this.#chooseRange(target.value));
    part("make").addEventListener("submit", (event) => this.#make(event));
    part("make").elements.kind.addEventListener("change", ({ target }) => this.#chooseKind(target.value));
    part("make").addEventListener("change", ({ target }) => ["kind", "name"].includes(target.name) && this.#prefill());
    addEventListener("popstate", () => this.#polling.now());
    setInterval(() => !document.hidden && this.#tick(), 1_000);
    this.#polling.now();
  }

  async #read(signal) {
    const { kind, name } = readQuery(["kind", "name"]);
    const [subscriptions, webhooks, one, log] = await Promise.all([
      this.#api.feeds(this.#site, "subscriptions", signal), this.#api.feeds(this.#site, "webhooks", signal),
      name ? this.#asked(kind, name, signal) : null, name && kind === "webhooks" ? this.#asked(kind, name, signal, "deliveries") : null,
    ]);
    this.#readMs = performance.now();
    this.#list(feedsOf(subscriptions, webhooks));
    this.#open(kind, name, one, log?.deliveries ?? []);
  }

  /** What is opened may be gone: then the answer is the error. */
  #asked(kind, name, signal, what = "") {
    const asked = what === "deliveries" ? this.#api.deliveries(this.#site, name, { limit: N_DELIVERIES }, signal) : this.#api.feed(this.#site, kind === "webhooks" ? kind : "subscriptions", name, signal);
    return asked.catch((error) => {
      if (error.status === 404) return { problem: error.message };
      throw error;
    });
  }

  #list(feeds) {
    this.#feeds = feeds;
    const { kind, name } = readQuery(["kind", "name"]);
    this.#draw("list", [feeds, kind, name], part("list").tBodies[0], () => feeds.map((one) => this.#row(one, one.kind === kind && one.name === name)));
    part("list").parentElement.hidden = feeds.length === 0;
    const nBad = feeds.filter((one) => !["up to date", "delivering"].includes(statesOf(one)[0])).length;
    tell(feeds.length === 0 ? "Nobody takes facts of this site yet." : `${plural(feeds.length, "taker")} of facts; ${nBad === 0 ? "all are up to date" : `${nBad} ${nBad === 1 ? "needs" : "need"} a look`}.`);
    put(part("content"), "data-shown", "true");
    this.#tick();
  }

  #row(one, isOpened) {
    const href = addressOf(location.pathname, { site: this.#site, kind: one.kind, name: one.name });
    const cell = (name, value, attributes = {}) => html("td", { "data-name": name, ...attributes }, value);
    return html("tr", { "data-kind": one.kind, "data-feed": one.name, "aria-current": isOpened ? "true" : null },
      html("th", { scope: "row", "data-name": "Name" }, html("span", {}, html("a", { href, "data-key": `${one.kind}/${one.name}` }, one.name), html("span", { class: "kind" }, kindInWords(one.kind)))),
      cell("State", html("span", { class: "tags" }, statesOf(one).map((state) => html("span", { class: "chip", "data-state": state }, state)))),
      cell("Behind", String(one.lag), { class: "number" }),
      cell("Oldest waits", lagOf(one, "–"), { class: "number" }),
      cell("Parked", String(one.n_parked), { class: "number" }),
      cell("Made by", one.owner || "–"),
    );
  }

  #open(kind, name, one, deliveries) {
    part("one").hidden = !name;
    if (!name || one.problem) {
      this.#opened = this.#one = null;
      if (name) part("one").replaceChildren(html("h2", { id: "one-title", tabindex: "-1" }, name), html("p", { class: "problem" }, one.problem));
      return;
    }
    this.#one = { ...one, kind: kind === "webhooks" ? kind : "subscriptions" };
    if (this.#opened?.kind !== kind || this.#opened.name !== name) {
      this.#opened = { kind, name };
      this.#shown = { list: this.#shown.list };
      part("one").replaceChildren(...frameOf(this.#one, this.#rights));
    }
    this.#draw("facts", this.#one, part("one-facts"), () => factsOf(this.#one, lagOf));
    this.#draw("actions", [this.#one.state], part("one-actions"), () => actionsOf(this.#one, this.#rights));
    this.#draw("parked", this.#one.parked, part("one-parked"), () => [parkedOf(this.#one, this.#rights)]);
    this.#draw("deliveries", [deliveries, one.holders, one.n_leased], part("one-deliveries"), () => [kind === "webhooks" ? deliveriesOf(deliveries) : consumersOf(one)]);
    put(part("one"), "data-opened", name);
    this.#tick();
  }

  /** Draw a part anew where what it is of has changed; the focus stays on the same thing. What only grows older is no change. */
  #draw(name, of, element, contents) {
    const lags = name === "list" ? of[0] : [of].flat().filter((one) => one?.lag_s !== undefined);
    const text = JSON.stringify([of, lags.map(statesOf)], (key, value) => (key === "lag_s" ? value === null || value > 0 : value));
    if (text === this.#shown[name]) {
      for (const one of lags) for (const told of element.querySelectorAll(`[data-lag="${one.kind}/${one.name}"]`)) told.dataset.lagS = one.lag_s ?? Infinity;
      return;
    }
    this.#shown[name] = text;
    const focus = element.contains(document.activeElement) ? document.activeElement : null;
    const at = pressed(element).indexOf(focus);
    element.replaceChildren(...contents());
    if (focus) focusAgain(element, focus, at);
  }

  /** Ages go on between two answers. */
  #tick() {
    const since_s = (performance.now() - this.#readMs) / 1_000;
    for (const one of document.querySelectorAll("[data-lag-s]")) {
      const lag_s = Number(one.dataset.lagS);
      if (lag_s === Infinity) say(one, "longer than what is kept");
      else say(one, lag_s > 0 ? duration(lag_s + since_s) : one.dataset.none);
    }
  }

  #follow(event) {
    const row = event.target.closest("tr[data-feed]");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#go(row.dataset.kind, row.dataset.feed);
  }

  async #go(kind, name) {
    writeQuery({ kind, name }, { isNewEntry: true });
    await this.#polling.now();
    part("one-title")?.focus();
  }

  #press(event) {
    const { action, position } = event.target.closest("button[data-action]")?.dataset ?? {};
    if (!action) return;
    const one = this.#one;
    const steps = {
      pause: () => this.#change(one, "pause", `Paused: nothing is ${one.kind === "webhooks" ? "sent" : "handed out"} until it is resumed.`),
      resume: () => this.#change(one, "resume", `Resumed: what waits is ${one.kind === "webhooks" ? "sent" : "handed out"} now.`),
      test: () => this.#test(one),
      secret: () => this.#rotate(one),
      delete: () => this.#delete(one),
      retry: () => this.#change(one, `parked/${position}/retry`, `Position ${position} is delivered again.`),
      drop: () => this.#drop(one, position),
    };
    this.#doing(steps[action]);
  }

  async #change(one, action, done, body = null) {
    const answer = await this.#api.changeFeed(this.#site, one.kind, one.name, action, body);
    this.#outcome(done);
    return answer;
  }

  async #test(one) {
    this.#outcome("Sending…");
    const { outcome, status, error, duration_s: took } = await this.#api.changeFeed(this.#site, one.kind, one.name, "test");
    this.#outcome(`The test was ${outcome}: ${error || `the endpoint answered ${status}`}, after ${Math.round(took * 1000)} ms.`, outcome !== "delivered");
  }

  async #rotate(one) {
    if (!(await confirmed("A new secret?", `Requests to ${one.name} are signed with a new secret, and for a day with the one so far as well. The new one is shown once.`, "Make a new secret"))) return;
    const { secret } = await this.#change(one, "secret", "There is a new secret.", { overlap_s: OVERLAP_S });
    this.#showSecret(one.name, secret);
  }

  async #delete(one) {
    const lost = one.kind === "webhooks" ? "its secrets and what it had not delivered" : "its place in the log and what was not acknowledged";
    if (!(await confirmed(`Delete ${one.name}?`, `The ${kindInWords(one.kind).toLowerCase()} is forgotten, with ${lost}. Facts stay in the log. It cannot be taken back.`, "Delete it"))) return;
    await this.#api.forgetFeed(this.#site, one.kind, one.name);
    if (one.kind === "webhooks") this.#secretOf(one.name)?.remove();
    writeQuery({ kind: null, name: null });
    part("list-title").focus();
  }

  async #drop(one, position) {
    const parked = one.parked.find((each) => each.position === position);
    if (!(await confirmed(`Give up position ${position}?`, dropInWords(one, parked), "Give it up"))) return;
    await this.#api.forgetFeed(this.#site, one.kind, one.name, position);
    this.#outcome(`Position ${position} is given up.`);
  }

  #replay(event) {
    event.preventDefault();
    const [one, form] = [this.#one, event.target.elements];
    const range = form.by?.value === "times" ? { from_at: timeGiven(form.from_at), until_at: timeGiven(form.until_at) } : { after: form.after.value || null, until: form.until.value || null };
    const given = Object.fromEntries(Object.entries(range).filter(([, value]) => value !== null));
    if (!given.after && !given.from_at) {
      this.#outcome("Say where the replay begins.", true);
      return;
    }
    this.#doing(async () => {
      if (!(await confirmed(`Deliver again to ${one.name}?`, "All that fits in this range is delivered again, in order and under the ids that it had; then it goes on. A receiver that does not look at ids does its work twice.", "Replay"))) return;
      await this.#change(one, "replay", "The range is delivered again.", given);
    });
  }

  #make(event) {
    event.preventDefault();
    const form = event.target.elements;
    const [kind, name] = [form.kind.value, form.name.value.trim()];
    const wanted = { types: listed(form.types.value), zones: listed(form.zones.value), subjects: listed(form.subjects.value), after: form.after.value.trim() || null };
    const there = this.#feedOf(kind, name);
    if (kind === "webhooks") wanted.url = form.url.value.trim();
    else if (there) wanted.most_attempts = there.most_attempts;
    this.#doing(async () => {
      if (there && !(await confirmed(`Change ${name}?`, `This ${kindInWords(kind).toLowerCase()} is there already. From now on it takes ${filterInWords(wanted)}; its place in the log stays.`, "Change it"))) return;
      const made = await this.#api.putFeed(this.#site, kind, name, wanted);
      if (made.secret) this.#showSecret(name, made.secret);
      part("making").open = false;
      part("make").reset();
      this.#chooseKind("subscriptions");
      this.#prefill();
      await this.#go(kind, name);
      this.#outcome(made.secret ? "It is made." : "It stands as you said.");
      if (made.secret) this.#secretOf(name)?.focus();
    }, "made");
  }

  #feedOf(kind, name) {
    return this.#feeds.find((one) => one.kind === kind && one.name === name);
  }

  /** The form says what one takes that is there already: sent as it stands, it changes nothing. */
  #prefill() {
    const form = part("make").elements;
    const there = this.#feedOf(form.kind.value, form.name.value.trim());
    say(part("make-it"), there ? "Change it" : "Make it");
    if (!there) return;
    for (const name of ["types", "zones", "subjects"]) form[name].value = there[name].join(", ");
    if (there.url && !there.url.endsWith("/…")) form.url.value = there.url;
  }

  #secretOf(webhook) {
    return part("secrets").querySelector(`[data-webhook="${CSS.escape(webhook)}"]`);
  }

  /** In a place of its own until a person has kept it: whatever is opened or asked meanwhile, it is the only time that it is told. */
  #showSecret(webhook, secret) {
    this.#secretOf(webhook)?.remove();
    const box = secretBox(webhook, secret, () => {
      box.remove();
      (part("one-title")?.checkVisibility() ? part("one-title") : part("list-title")).focus();
    });
    part("secrets").append(box);
    box.scrollIntoView({ block: "nearest" });
  }

  /** Do what a person asked for; a refusal is told where it was asked, and then all is read again. */
  async #doing(step, line = "outcome") {
    this.#outcome("", false, line);
    try {
      await step();
    } catch (error) {
      this.#outcome(error.status === 403 ? `Not allowed (403): ${error.message}` : error.message, true, line);
      return;
    }
    await this.#polling.now();
  }

  #outcome(text, isProblem = false, line = "outcome") {
    const told = part(line);
    if (!told) return;
    put(told, "class", isProblem ? "problem" : "note");
    say(told, text);
  }

  #chooseKind(kind) {
    for (const field of part("make").querySelectorAll("[data-of]")) field.hidden = field.dataset.of !== kind;
    part("make").elements.url.required = kind === "webhooks";
  }

  #chooseRange(by) {
    for (const field of part("replay").querySelectorAll("[data-by]")) field.hidden = field.dataset.by !== by;
  }
}

const pressed = (element) => [...element.querySelectorAll("a, button")];

/** Focus what stands for the same; where that is gone, what took its place; else the part's title. */
function focusAgain(element, focus, at) {
  const key = ["key", "action", "position"].map((one) => (focus.dataset[one] ? `[data-${one}="${focus.dataset[one]}"]` : "")).join("");
  const next = (key && element.querySelector(key)) || pressed(element).at(Math.min(at, pressed(element).length - 1)) || part("one-title");
  next?.focus();
}

/** How long the oldest waits; it is written by the page's clock. */
const lagOf = (one, none = "nothing waits") => html("span", { "data-lag": `${one.kind}/${one.name}`, "data-lag-s": one.lag_s ?? Infinity, "data-none": none });

/** Whether a person says yes to what it means. */
function confirmed(title, text, yes) {
  say(part("confirm-title"), title);
  say(part("confirm-text"), text);
  say(part("confirm-yes"), yes);
  part("confirm").returnValue = "no";
  part("confirm").showModal();
  return new Promise((resolve) => part("confirm").addEventListener("close", () => resolve(part("confirm").returnValue === "yes"), { once: true }));
}

openSheet("Subscriptions", async (api, site) => new SubscriptionsPage(api, site, await rights()));
