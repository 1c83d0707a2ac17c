/** The page that renders /openapi.json and /asyncapi.json. */

import { html, say } from "/static/elements.js";
import { startTheme } from "/static/theme.js";
import { channel } from "/static/docs/events.js";
import { operation } from "/static/docs/operation.js";
import { linked, paragraphs } from "/static/docs/words.js";

const METHODS = ["get", "put", "post", "delete", "patch"];

async function start() {
  startTheme(document.querySelector("#theme"));
  const main = document.querySelector("#interface");
  try {
    const [api, events] = await Promise.all(["/openapi.json", "/asyncapi.json"].map(read));
    main.replaceChildren(...about(api), ...groups(api), ...channels(events));
    fillContents(main);
    document.querySelector("#find").addEventListener("input", (event) => filter(main, event.target.value));
    document.querySelector(location.hash ? CSS.escape(location.hash).replace("\\#", "#") : "#none")?.scrollIntoView();
  } catch (error) {
    main.replaceChildren(html("p", { class: "note", role: "alert" }, `The description could not be read: ${error.message}. Reload the page.`));
  }
  main.removeAttribute("aria-busy");
}

async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return answer.json();
}

function about(api) {
  return [
    html("section", { class: "about" },
      html("h2", {}, `${api.info.title} ${api.info.version}`),
      paragraphs(api.info.description),
      html("p", {}, html("a", { href: "/openapi.json" }, "openapi.json"), " · ", html("a", { href: "/asyncapi.json" }, "asyncapi.json"))),
  ];
}

function groups(api) {
  const all = Object.entries(api.paths).flatMap(([path, one]) =>
    METHODS.filter((method) => one[method]).map((method) => ({ path, method, told: one[method] })));
  return api.tags.map((tag) => section(tag.name, tag.description,
    all.filter((one) => one.told.tags[0] === tag.name).map((one) => operation(one, api))));
}

function channels(events) {
  return [section("Events", events.info.description,
    Object.entries(events.channels).map(([name, told]) => channel(name, told, events)))];
}

function section(name, words, parts) {
  const id = linked(name);
  return html("section", { class: "group", "aria-labelledby": id }, html("h2", { id }, name), paragraphs(words), parts);
}

function fillContents(main) {
  const items = [...main.querySelectorAll(".group")].map((group) => {
    const heading = group.querySelector("h2");
    return html("li", {}, html("a", { href: `#${heading.id}` }, heading.textContent), " ",
      html("span", { class: "count" }, String(group.querySelectorAll(".operation, .channel").length)));
  });
  document.querySelector("#contents").replaceChildren(html("ul", {}, items));
}

function filter(main, text) {
  const wanted = text.trim().toLowerCase();
  for (const group of main.querySelectorAll(".group")) {
    let shown = 0;
    for (const one of group.querySelectorAll(".operation, .channel")) {
      one.hidden = wanted !== "" && !one.dataset.words.includes(wanted);
      shown += one.hidden ? 0 : 1;
    }
    group.hidden = shown === 0;
  }
  const n = main.querySelectorAll(".group:not([hidden]) :is(.operation, .channel):not([hidden])").length;
  let told = main.querySelector("#n-found");
  if (!told) main.prepend((told = html("p", { id: "n-found", class: "note", role: "status" })));
  told.hidden = wanted === "";
  say(told, n === 0 ? `Nothing here has “${text.trim()}” in it.` : `${n} found`);
}

start();
