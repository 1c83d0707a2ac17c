/** One operation: what it takes and answers, how to ask for it, and, where it only reads, a button that does. */

import { html } from "/static/elements.js";
import { schemaOf, typeOf } from "/static/docs/schema.js";
import { copyable, inline, linked } from "/static/docs/words.js";

const MOST_SHOWN = 20_000; // characters of an answer

export function operation({ path, method, told }, api) {
  const id = linked(told.operationId);
  const words = `${method} ${path} ${told.operationId} ${told.summary}`.toLowerCase();
  const details = html("details", { class: "operation", id, "data-words": words, "data-operation": told.operationId },
    html("summary", {}, html("span", { class: `method ${method}` }, method.toUpperCase()), " ", html("code", { class: "path" }, path), html("span", { class: "summary" }, told.summary)));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(body({ path, method, told }, api));
  });
  return details;
}

function body({ path, method, told }, api) {
  const form = new Form(path, method, told, api);
  const scope = told["x-scope"];
  return html("div", { class: "body" },
    scope ? html("p", { class: "note" }, "Scope ", html("code", {}, scope)) : null,
    form.element,
    told.requestBody ? [html("h4", {}, told.requestBody.required ? "Body" : "Body, may be left out"), contents(told.requestBody.content, api)] : null,
    html("h4", {}, "Answers"),
    html("ul", { class: "answers" }, Object.entries(told.responses).map(([status, one]) => answer(status, one, api))));
}

function answer(status, one, api) {
  const isProblem = Number(status) >= 400;
  return html("li", {}, html("code", {}, status), ` ${one.description} `, isProblem || !one.content ? null : contents(one.content, api));
}

function contents(content, api) {
  return Object.entries(content).map(([media, one]) => html("div", { class: "media" },
    html("p", { class: "type" }, media),
    one.example === undefined ? null : copyable(JSON.stringify(one.example, null, 2), "example"),
    one.schema ? schemaOf(one.schema, api) : null));
}

/** The parameters as fields, the request as a line for a shell, and the answer of a request that only reads. */
class Form {
  #path; #method; #told; #fields = new Map(); #line = html("div", {}); #answer = html("output", { class: "answer", hidden: "" });

  constructor(path, method, told, api) {
    [this.#path, this.#method, this.#told] = [path, method, told];
    const rows = (told.parameters ?? []).map((one) => this.#row(one, api));
    const canTry = method === "get";
    this.element = html("form", { novalidate: "", onsubmit: (event) => this.#try(event), oninput: () => this.#say() },
      rows.length > 0 ? [html("h4", {}, "Parameters"), html("div", { class: "parameters" }, rows)] : null,
      this.#line,
      canTry ? html("button", { type: "submit", class: "main-button" }, "Try") : null,
      this.#answer);
    this.#say();
  }

  #row(one, api) {
    const names = one.schema.enum;
    const isRequired = one.required && one.in === "path";
    const field = names && names.length <= 100
      ? html("select", {}, isRequired ? null : html("option", { value: "" }, "–"), names.map((name) => html("option", {}, name)))
      : html("input", { type: "text", spellcheck: "false", placeholder: one.schema.examples?.[0] ?? "" });
    this.#fields.set(one.name, { field, where: one.in });
    return html("label", {}, html("span", { class: "name" }, html("code", {}, one.name), one.required ? html("span", { class: "required" }, "required") : null),
      field, html("span", { class: "type" }, typeOf(one.schema, api)), html("span", { class: "words" }, inline(one.description ?? "")));
  }

  /** Path and query as the fields say. */
  get #target() {
    const query = new URLSearchParams();
    let path = this.#path;
    for (const [name, { field, where }] of this.#fields) {
      if (where === "path") path = path.replace(`{${name}}`, field.value === "" ? `{${name}}` : encodeURIComponent(field.value));
      else if (field.value !== "") query.set(name, field.value);
    }
    const text = query.toString();
    return text === "" ? path : `${path}?${text}`;
  }

  #say() {
    const content = Object.entries(this.#told.requestBody?.content ?? {});
    const [media, one] = content.find(([, each]) => each.example !== undefined) ?? content[0] ?? [];
    const flags = [this.#method === "get" ? "" : ` -X ${this.#method.toUpperCase()}`];
    if (media?.startsWith("multipart/")) flags.push(" -F image=@car.jpg");
    else if (media) flags.push(` -H 'content-type: ${media}'`, one.example === undefined ? (media.startsWith("image/") ? " --data-binary @car.jpg" : " -d '{}'") : ` -d '${JSON.stringify(one.example).replaceAll("'", "'\\''")}'`);
    this.#line.replaceChildren(copyable(`curl${flags.join("")} '${location.origin}${this.#target}'`, "command"));
  }

  async #try(event) {
    event.preventDefault();
    if (this.#method !== "get") return;
    this.#show("…");
    try {
      const answer = await fetch(this.#target);
      const type = answer.headers.get("content-type") ?? "";
      const text = type.startsWith("image/") ? `${type}, ${(await answer.blob()).size} bytes` : await answer.text();
      this.#show(`${answer.status} ${answer.statusText}\n\n${type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text}`);
    } catch (error) {
      this.#show(`The service could not be reached: ${error.message}`);
    }
  }

  #show(text) {
    this.#answer.hidden = false;
    const cut = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}\n… ${text.length - MOST_SHOWN} more characters` : text;
    this.#answer.replaceChildren(html("pre", { tabindex: "0" }, cut));
  }
}
