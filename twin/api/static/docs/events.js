/** One channel of events: where it is, and the messages that go through it. */

import { html } from "/static/elements.js";
import { resolved, schemaOf } from "/static/docs/schema.js";
import { linked, paragraphs } from "/static/docs/words.js";

export function channel(name, told, events) {
  const messages = Object.entries(told.messages);
  const words = `${name} ${told.title} ${told.address ?? ""} ${messages.map(([one]) => one).join(" ")}`.toLowerCase();
  const details = html("details", { class: "channel", id: linked(`channel ${name}`), "data-words": words, "data-channel": name },
    html("summary", {}, html("span", { class: "method event" }, action(name, events)), " ", html("code", { class: "path" }, told.address ?? "your address"), html("span", { class: "summary" }, told.title)));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(body(told, messages, events));
  });
  return details;
}

function action(name, events) {
  const own = Object.values(events.operations).find((one) => one.channel.$ref === `#/channels/${name}`);
  return own?.action === "receive" ? "TAKES" : "SENDS";
}

function body(told, messages, events) {
  return html("div", { class: "body" }, paragraphs(told.description),
    html("h4", {}, `Messages (${messages.length})`),
    html("ul", { class: "messages" }, messages.map(([name, one]) => html("li", {}, message(name, resolved(one, events).schema, events)))));
}

function message(name, told, events) {
  const details = html("details", { class: "nested" }, html("summary", {}, html("code", {}, name), ` ${told.summary ?? ""}`));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(schemaOf(told.payload, events));
  });
  return details;
}
