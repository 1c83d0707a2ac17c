/** A JSON Schema as a list of properties that opens where there is more. */

import { html } from "/static/elements.js";
import { inline, paragraphs } from "/static/docs/words.js";

const MOST_WORDS = 12;

/** What a reference leads to, and its name. */
export function resolved(schema, document) {
  if (!schema?.$ref) return { schema: schema ?? {}, name: schema?.title ?? "" };
  const steps = schema.$ref.slice(2).split("/");
  const found = steps.reduce((one, step) => one?.[step], document) ?? {};
  const { $ref, ...beside } = schema;
  return { schema: { ...found, ...beside }, name: steps.at(-1) };
}

/** A schema, opened one level; what it refers to is made when it is opened. */
export function schemaOf(given, document) {
  const { schema, name } = resolved(given, document);
  const variants = schema.oneOf ?? schema.anyOf;
  const parts = [];
  if (schema.description) parts.push(paragraphs(schema.description));
  if (schema.properties && Object.keys(schema.properties).length > 0) parts.push(properties(schema, document));
  if (schema.items && typeof schema.items === "object") parts.push(html("p", { class: "type" }, "each:"), schemaOf(schema.items, document));
  if (variants && !schema.properties) parts.push(html("ul", { class: "variants" }, variants.map((one) => html("li", {}, nested(typeOf(one, document), one, document)))));
  if (parts.length === 0) parts.push(html("p", {}, typeOf(given, document)));
  return html("div", { class: "schema", "data-name": name }, parts);
}

/** A schema's type in a few words. */
export function typeOf(given, document) {
  const { schema, name } = resolved(given, document);
  if (given?.$ref) return name;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return words(schema.enum);
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants && !schema.type) return variants.map((one) => typeOf(one, document)).slice(0, MOST_WORDS).join(" or ");
  if (schema.type === "array") return schema.prefixItems ? `${schema.prefixItems.length} × ${typeOf(schema.prefixItems[0], document)}` : `list of ${typeOf(schema.items ?? {}, document)}`;
  const limits = ["minimum", "maximum", "minLength", "maxLength"].filter((one) => schema[one] !== undefined && Math.abs(schema[one]) < 2 ** 53);
  return [schema.title && schema.type === "object" ? schema.title : schema.type ?? "anything", schema.format && `(${schema.format})`, ...limits.map((one) => `${one} ${schema[one]}`)].filter(Boolean).join(" ");
}

function words(all) {
  const shown = all.slice(0, MOST_WORDS).map((one) => JSON.stringify(one)).join(" | ");
  return all.length > MOST_WORDS ? `${shown} | … ${all.length - MOST_WORDS} more` : shown;
}

function properties(schema, document) {
  const required = new Set(schema.required ?? []);
  return html("dl", {}, Object.entries(schema.properties).map(([name, one]) => [
    html("dt", {}, html("code", {}, name), required.has(name) ? html("span", { class: "required" }, "required") : null),
    html("dd", {}, hasMore(one, document) ? nested(typeOf(one, document), one, document) : html("span", { class: "type" }, typeOf(one, document)),
      one.description ? html("p", {}, inline(one.description)) : null),
  ]));
}

function hasMore(given, document) {
  const { schema } = resolved(given, document);
  if (schema.properties) return true;
  const inner = [...(schema.anyOf ?? schema.oneOf ?? []), ...(schema.items && typeof schema.items === "object" ? [schema.items] : [])];
  return inner.some((one) => hasMore(one, document));
}

/** Made when it is opened, so that a schema that holds itself ends. */
function nested(label, given, document) {
  const details = html("details", { class: "nested" }, html("summary", {}, label));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(schemaOf(given, document));
  });
  return details;
}
