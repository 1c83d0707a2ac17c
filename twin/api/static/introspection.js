/** The pages under `/-/`: each shows what its `.json` says, as tables; read again every few seconds while it is looked at. */

import { html } from "./elements.js";
import { logIn } from "./session.js";
import { startTheme } from "./theme.js";

const EVERY_MS = 5000;
const FIRST = ["site", "camera", "name", "state"]; // what a row is about comes first: JSON has its keys sorted
const told = document.getElementById("told");
const part = location.pathname.replace(/\/+$/, "").split("/")[2] || "cameras";

startTheme(document.getElementById("theme"));
document.title = `${part} · Inside · Spatial twin`;
for (const link of document.querySelectorAll(".parts a")) {
  if (link.pathname === `/-/${part}`) link.setAttribute("aria-current", "page");
}
let shown = "";
read();

async function read() {
  if (!document.hidden) show(await answerOf(`/-/${part}.json`));
  setTimeout(read, EVERY_MS);
}

async function answerOf(address) {
  try {
    const answer = await fetch(address, { headers: { accept: "application/json" } });
    if (answer.status === 401) logIn();
    const body = await answer.json();
    return answer.ok ? body : { problem: body.detail ?? answer.statusText };
  } catch {
    return { problem: "The service cannot be reached. Check that it runs." };
  }
}

function show(answer) {
  const text = JSON.stringify(answer);
  if (text === shown) return; // nothing changed: nothing is read out again
  shown = text;
  if (answer.problem) {
    told.replaceChildren(html("p", { class: "trouble", role: "alert" }, answer.problem));
    return;
  }
  const tables = Object.entries(answer).map(([name, value]) => table(name, value));
  told.replaceChildren(...tables, html("p", { class: "also" }, html("a", { href: `/-/${part}.json` }, "The same as JSON")));
}

/** A list of objects is a table with a column for each name; all else is a table of names and values. */
function table(name, value) {
  const caption = html("caption", {}, words(name));
  if (Array.isArray(value) && value.length === 0) return html("table", {}, caption, html("tbody", {}, row(["none"])));
  if (Array.isArray(value) && typeof value[0] === "object") {
    const columns = [...FIRST.filter((one) => one in value[0]), ...Object.keys(value[0]).filter((one) => !FIRST.includes(one))];
    const head = html("tr", {}, columns.map((column) => html("th", { scope: "col" }, words(column))));
    const rows = value.map((one) => row(columns.map((column) => cell(one[column]))));
    return html("div", { class: "wide" }, html("table", {}, caption, html("thead", {}, head), html("tbody", {}, rows)));
  }
  const pairs = value !== null && typeof value === "object" ? Object.entries(value) : [[name, value]];
  const rows = pairs.map(([key, one]) => html("tr", {}, html("th", { scope: "row" }, key), html("td", {}, cell(one))));
  return html("table", { class: "pairs" }, caption, html("tbody", {}, rows));
}

const row = (values) => html("tr", {}, values.map((value) => html("td", {}, value)));
const words = (name) => name.replaceAll("_", " ");

function cell(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.length ? value.map(cell).join(", ") : "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
