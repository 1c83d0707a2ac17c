/** The difference that a correction made at the moment shown: in words beside the map, and drawn on it. */

import { isAbort } from "../api.js";
import { html, put } from "../elements.js";
import { milliseconds, plural } from "../format.js";
import { linesOf } from "./lines.js";
import { atTime, byWhom, whatChanged, whenLearned } from "./words.js";

const SIDES = [["before", "Before"], ["both", "Both"], ["after", "After"]];
const MOST_LINES = 200;
const LISTED = 100;

/** What changed, as a title. */
function title(correction) {
  const text = whatChanged(correction);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export class Difference {
  #root;
  #ask;
  #actions;
  #listed = []; // corrections of the mark that was pressed
  #correction = null;
  #side = "both";
  #request = null;
  #shownFor = "";
  #drawn = null; // the state's differences as last told

  /**
   * @param {HTMLElement} root a section of the panel
   * @param ask ({from_known_at, to_known_at, at}, signal) => promise of an answer of /changes
   * @param actions {open(correction), know(position), draw(state | null), pick(chosen), goTo(at), closed(hadFocus)}
   */
  constructor(root, ask, actions) {
    this.#root = root;
    this.#ask = ask;
    this.#actions = actions;
    root.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  get isOpen() {
    return this.#correction !== null;
  }

  /** The positions on both sides of what is open: "before-after", or null. */
  get name() {
    return this.#correction ? `${this.#correction.before}-${this.#correction.after}` : null;
  }

  /** Offer what a mark stands for; of a single one, the difference at once. */
  choose(corrections, nowMs) {
    this.#listed = corrections;
    if (corrections.length === 1) this.open(corrections[0]);
    else {
      this.#leave();
      this.#showList(nowMs);
    }
    this.#root.querySelector("h2").focus();
  }

  /** Show what a correction changed, at its own time unless the moment stays. @param {{staysAt?: boolean}} options */
  open(correction, { staysAt = false } = {}) {
    this.#leave();
    this.#correction = correction;
    this.#side = "both";
    this.#fill([this.#heading(title(correction)), html("p", { class: "note", role: "status" }, "Asking what it changed…")]);
    this.#actions.open(correction, staysAt);
  }

  close() {
    const hadFocus = this.#root.contains(document.activeElement);
    this.#leave();
    this.#root.hidden = true;
    this.#actions.closed(hadFocus);
  }

  /** Nothing of the correction that is open stays: neither what is asked nor what is drawn. */
  #leave() {
    this.#request?.abort();
    this.#correction = null;
    this.#shownFor = "";
    this.#undraw();
  }

  #undraw() {
    this.#drawn = null;
    this.#actions.draw(null);
  }

  /** Another moment is shown: what differs at it? */
  async show(at, nowMs) {
    const { before, after } = this.#correction;
    const key = `${before} ${after} ${at}`;
    if (key === this.#shownFor) return;
    this.#shownFor = key;
    this.#undraw(); // it was of another moment
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    try {
      const { state } = await this.#ask({ from_known_at: before, to_known_at: after, at, limit: MOST_LINES }, request.signal);
      if (!request.signal.aborted) this.#render(state, at, nowMs);
    } catch (error) {
      if (isAbort(error)) return;
      this.#shownFor = "";
      this.#undraw();
      this.#fill([this.#heading("What it changed"), html("p", { class: "problem", role: "status" }, error.message)]);
    }
  }

  #showList(nowMs) {
    const entries = this.#listed.slice(-LISTED).map((one) => html("li", {},
      html("button", { type: "button", class: "row", onclick: () => this.open(one) },
        html("span", { class: "row-name" }, title(one)),
        html("span", { class: "row-place" }, `${byWhom(one)}, ${whenLearned(one, nowMs)}`),
        html("span", { class: "row-time" }, atTime(one, nowMs)),
      ),
    ));
    const cut = this.#listed.length > LISTED ? html("p", { class: "note" }, `The last ${LISTED} are listed.`) : null;
    this.#fill([this.#heading(plural(this.#listed.length, "correction")), html("ul", { class: "rows" }, entries), cut]);
  }

  #render(state, at, nowMs) {
    const lines = linesOf(state, nowMs);
    const correction = this.#correction;
    const focused = document.activeElement?.dataset?.side;
    this.#fill([
      this.#heading(title(correction)),
      html("p", { class: "note" }, `${byWhom(correction)}, ${whenLearned(correction, nowMs)}`),
      html("div", { class: "sides", role: "group", "aria-label": "Which belief is drawn" }, SIDES.map(([side, name]) => this.#sideButton(side, name))),
      html("p", { role: "status", class: "note" }, lines.length === 0 ? "Nothing differs at this moment." : `${plural(lines.length, "difference")} at this moment${state.is_whole ? "" : ", more are not listed"}:`),
      html("ul", { class: "differences" }, lines.map((line) => this.#line(line))),
      this.#elsewhere(at),
      this.#listed.length > 1 ? html("button", { type: "button", class: "link", onclick: () => this.#back(nowMs) }, `All ${this.#listed.length} of this mark`) : null,
    ]);
    put(this.#root, "data-correction", this.name);
    put(this.#root, "data-at", at);
    if (focused) this.#root.querySelector(`[data-side=${focused}]`)?.focus();
    this.#draw(state);
  }

  #draw(state) {
    this.#drawn = state;
    this.#actions.draw(this.#side === "both" ? state : null);
  }

  #back(nowMs) {
    this.#leave();
    this.#showList(nowMs);
    this.#root.querySelector("h2").focus();
  }

  /** A correction often matters more at its end than at its first fact. */
  #elsewhere(at) {
    const { at: first, until_at: last } = this.#correction;
    const isLast = milliseconds(last) === milliseconds(at);
    if (milliseconds(first) === milliseconds(last)) return null;
    const go = () => this.#actions.goTo(isLast ? first : last);
    return html("p", {}, html("button", { type: "button", class: "link", onclick: go }, `Look at the ${isLast ? "first" : "last"} moment that it touches`));
  }

  #sideButton(side, name) {
    return html("button", { type: "button", "data-side": side, "aria-pressed": String(side === this.#side), onclick: () => this.#takeSide(side) }, name);
  }

  #takeSide(side) {
    this.#side = side;
    for (const button of this.#root.querySelectorAll("[data-side]")) put(button, "aria-pressed", String(button.dataset.side === side));
    this.#actions.know(side === "before" ? this.#correction.before : this.#correction.after);
    if (this.#drawn) this.#draw(this.#drawn);
  }

  #line({ kind, text, vehicle, stall }) {
    const pick = vehicle ? () => this.#actions.pick({ vehicle }) : stall ? () => this.#actions.pick({ stall }) : null;
    return html("li", { "data-difference": kind }, pick ? html("button", { type: "button", class: "link", onclick: pick }, text) : text);
  }

  #heading(text) {
    const close = html("button", { type: "button", class: "back icon", "aria-label": "Close the difference", onclick: () => this.close() }, "×");
    return html("header", {}, html("h2", { tabindex: "-1" }, text), close);
  }

  #fill(content) {
    const isNew = this.#root.hidden;
    const hadFocus = this.#root.contains(document.activeElement);
    this.#root.replaceChildren(...content.filter(Boolean));
    this.#root.hidden = false;
    if (hadFocus) this.#root.querySelector("h2").focus({ preventScroll: true });
    if (isNew) this.#root.scrollIntoView({ block: "nearest" });
  }
}
