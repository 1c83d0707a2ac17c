/** Words of a description: paragraphs, code between backquotes, links; text is always set as text. */

import { html } from "/static/elements.js";

const PARTS = /`([^`]+)`|\[([^\]]+)\]\((\/[^)\s]*)\)/g;

/** An id to link to, from a name. */
export function linked(name) {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}

/** Paragraphs of a description, an empty line between them. */
export function paragraphs(text) {
  return (text ?? "").split(/\n\s*\n/).filter((one) => one.trim()).map((one) => html("p", {}, inline(one)));
}

/** A line of a description. */
export function inline(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(PARTS)) {
    parts.push(text.slice(end, found.index));
    parts.push(found[1] !== undefined ? html("code", {}, found[1]) : html("a", { href: found[3] }, found[2]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

/** Code with a button that copies it. */
export function copyable(text, name) {
  const button = html("button", { type: "button", class: "copy", "aria-label": `Copy ${name}`, onclick: copy }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // without leave to write, the person copies what is selected
      button.textContent = "Selected";
    }
  }
  const code = html("pre", { tabindex: "0" }, text);
  return html("div", { class: "copyable" }, code, button);
}
