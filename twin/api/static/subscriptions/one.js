/** One subscription or webhook, opened: how it stands, what may be done, what is parked, and its deliveries. */

import { html } from "../elements.js";
import { milliseconds, plural, shortId, timeOfDay } from "../format.js";
import { pair } from "../pages/evidence_cards.js";
import { adviceOf, filterInWords, kindInWords, statesOf } from "./standing.js";

const time = (at) => (at === null ? "–" : timeOfDay(milliseconds(at)));

/** The parts that stay while it is open: forms keep what is written in them. */
export function frameOf(one, rights) {
  const isWebhook = one.kind === "webhooks";
  return [
    html("h2", { id: "one-title", tabindex: "-1" }, `${kindInWords(one.kind)} ${one.name}`),
    html("div", { id: "one-facts" }),
    html("p", { id: "outcome", role: "status" }),
    html("div", { class: "buttons", id: "one-actions" }),
    html("h3", {}, "Parked events"),
    html("div", { id: "one-parked" }),
    html("h3", {}, "Replay"),
    replayForm(isWebhook, rights),
    html("h3", {}, isWebhook ? "Deliveries" : "Consumers"),
    html("div", { id: "one-deliveries" }),
  ];
}

/** @param {(one) => Node} lag what tells for how long the oldest waits, and goes on counting */
export function factsOf(one, lag) {
  const advice = adviceOf(one);
  return [
    html("p", { class: "tags" }, statesOf(one).map((state) => html("span", { class: "chip", "data-state": state }, state))),
    advice ? html("p", { class: "note" }, advice) : null,
    html("dl", { class: "pairs" },
      one.kind === "webhooks" ? pair("Address", one.url) : null,
      pair("Takes", filterInWords(one)),
      pair("Made", `${time(one.created_at)}${one.owner ? ` by ${one.owner}` : ""}`),
      pair("Done up to", `${one.acknowledged_to} of ${one.head}: ${plural(one.lag, "position")} behind`),
      pair("Oldest waits", lag(one)),
      pair("Now", `${one.n_waiting} waiting, of which ${one.n_blocked} behind another; ${one.n_leased} being delivered`),
      pair("So far", `${one.n_acknowledged} done, ${one.n_discarded} given up`),
      one.next_try_at ? pair("Next try", time(one.next_try_at)) : null,
      one.held_until ? pair("Nothing before", `${time(one.held_until)}: its endpoint asked for that`) : null,
      one.old_secrets_until?.length ? pair("Older secrets sign until", one.old_secrets_until.map(time).join(", ")) : null,
      one.paused_at ? pair("Paused since", time(one.paused_at)) : null,
      one.most_attempts ? pair("Parked after", plural(one.most_attempts, "attempt")) : null,
    ),
  ].filter(Boolean);
}

/** Buttons of what can be done now: what a key may not is offered as well, and says what it needs. */
export function actionsOf(one, rights) {
  const button = (name, action, scope, look = "quiet") => html("button", { type: "button", class: look, "data-action": action }, name, needs(scope, rights));
  const scope = one.kind === "webhooks" ? "admin" : "operate";
  const pause = one.state === "active" ? button("Pause", "pause", scope) : button("Resume", "resume", scope);
  if (one.kind === "subscriptions") return [pause, button("Delete", "delete", "operate", "quiet grave")];
  return [
    pause,
    button("Send a test", "test", "admin"), button("New secret", "secret", "admin"), button("Delete", "delete", "admin", "quiet grave"),
  ];
}

export function parkedOf(one, rights) {
  if (one.parked.length === 0) return html("p", { class: "note" }, "None: nothing failed too often.");
  const row = (parked) => html("tr", { "data-position": parked.position },
    html("th", { scope: "row", "data-name": "Event" }, html("span", {}, parked.type ? `${parked.type} of ${parked.subject ?? "the site"}` : `Position ${parked.position}`, html("span", { class: "kind" }, `position ${parked.position}${parked.at ? `, ${time(parked.at)}` : ", which retention took"}`))),
    cell("Why", parked.reason || "–"),
    cell("Attempts", String(parked.n_attempts), "number"),
    cell("Behind it", String(parked.n_behind), "number"),
    cell("What to do", html("span", { class: "tags" }, html("button", { type: "button", class: "quiet", "data-action": "retry", "data-position": parked.position, "aria-label": `Retry position ${parked.position}` }, "Retry", needs("operate", rights)),
      html("button", { type: "button", class: "quiet grave", "data-action": "drop", "data-position": parked.position, "aria-label": `Give up position ${parked.position}` }, "Give up", needs("operate", rights)))),
  );
  return table(["Event", "Why", "Attempts", "Behind it", "What to do"], one.parked.map(row));
}

/** What dropping means, before it is done. */
export function dropInWords(one, { position, order, n_behind: nBehind, type, subject }) {
  const what = type ? `${type} of ${subject ?? "the site"}` : "The event";
  const behind = nBehind === 0 ? "Nothing waits behind it." : `${plural(nBehind, "event")} of ${order} behind it ${nBehind === 1 ? "is" : "are"} delivered next, without it.`;
  return `${what}, position ${position}, is not delivered to ${one.name}. ${behind} The fact itself stays in the log, and a replay of its position delivers it after all.`;
}

export function deliveriesOf(deliveries) {
  if (deliveries.length === 0) return html("p", { class: "note" }, "Nothing was sent yet.");
  const row = (one) => html("tr", {},
    html("th", { scope: "row", "data-name": "Sent" }, time(one.at)),
    cell("Event", html("span", { title: one.subject ?? "" }, one.position === null ? "test" : (one.type ?? "a fact"), one.position === null ? null : html("span", { class: "kind" }, `${one.subject ? `${shortId(one.subject)}, ` : ""}position ${one.position}`))),
    cell("Attempt", String(one.n_attempts), "number"),
    cell("Outcome", html("span", { class: "tags" }, html("span", { class: "chip", "data-state": one.outcome === "delivered" ? "up to date" : "parked" }, one.outcome))),
    cell("Answer", one.error || String(one.status), "text"),
    cell("Took", `${Math.round(one.duration_s * 1000)} ms`, "number"),
    cell("Next try", time(one.next_at)),
  );
  return table(["Sent", "Event", "Attempt", "Outcome", "Answer", "Took", "Next try"], deliveries.map(row));
}

export function consumersOf({ holders, n_leased: nLeased }) {
  if (nLeased === 0) return html("p", { class: "note" }, "Nobody holds facts of it now.");
  return html("p", {}, `${plural(nLeased, "fact")} handed out${holders.length ? ` to ${holders.join(", ")}` : ""}, not done yet.`);
}

/** The secret of a webhook: shown this once, and kept nowhere on the page. */
export function secretBox(webhook, secret, done) {
  return html("div", { class: "secret", "data-webhook": webhook, tabindex: "-1" },
    html("p", {}, "The secret that requests to ", html("strong", {}, webhook), " are signed with. It is shown this once: keep it where its receiver reads it."),
    html("code", {}, secret),
    html("button", { type: "button", class: "quiet", onclick: done }, "I have kept it"),
  );
}

function replayForm(isWebhook, rights) {
  const field = (name, text, type, placeholder) => html("label", { class: "field", "data-by": type === "text" ? "positions" : "times", hidden: type === "text" ? null : "" }, text, " ", html("input", type === "text" ? { name, inputmode: "numeric", pattern: "[0-9]*", placeholder } : { name, type, step: "1" }));
  return html("form", { id: "replay", class: "filters", "aria-label": "Replay", autocomplete: "off" },
    isWebhook ? html("label", { class: "field" }, "By ", html("select", { name: "by" }, html("option", { value: "positions" }, "positions"), html("option", { value: "times" }, "time of recording"))) : null,
    field("after", "After position", "text", "0: from the first"), field("until", "Until position", "text", "all that was read"),
    isWebhook ? [field("from_at", "From", "datetime-local"), field("until_at", "Until", "datetime-local")] : [],
    html("button", { type: "submit", class: "quiet" }, "Replay", needs("operate", rights)),
  );
}

const cell = (name, value, look = null) => html("td", { "data-name": name, class: look }, value);

function table(columns, rows) {
  const isNumber = (name) => ["Attempts", "Behind it", "Attempt", "Took"].includes(name);
  return html("div", { class: "wide" }, html("table", { class: "cards" },
    html("thead", {}, html("tr", {}, columns.map((name) => html("th", { scope: "col", class: isNumber(name) ? "number" : null }, name)))),
    html("tbody", {}, rows),
  ));
}

const needs = (scope, rights) => (rights.may(scope) ? null : html("span", { class: "needs" }, `needs ${scope}`));
