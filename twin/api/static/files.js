/** Files that a page gives to the person. */

import { html } from "./elements.js";

const KEPT_MS = 60_000; // a browser may begin to read it some time after the click

/** Save a text under a name. */
export function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  html("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}
