/** Tabs as the ARIA practices describe them: arrows move, one tab stop, panels named by their tabs. */

import { put } from "../elements.js";

/** @param {HTMLElement} root holds [role=tab] buttons whose aria-controls name the panels */
export class Tabs {
  #tabs;

  constructor(root) {
    this.#tabs = [...root.querySelectorAll("[role=tab]")];
    for (const tab of this.#tabs) tab.addEventListener("click", () => this.choose(tab.id));
    root.addEventListener("keydown", (event) => this.#key(event));
    this.choose(this.#tabs[0].id);
  }

  choose(id) {
    for (const tab of this.#tabs) {
      const isChosen = tab.id === id;
      put(tab, "aria-selected", String(isChosen));
      put(tab, "tabindex", isChosen ? 0 : -1);
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
    }
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const now = this.#tabs.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
    const next = this.#tabs[(now + step + this.#tabs.length) % this.#tabs.length];
    this.choose(next.id);
    next.focus();
    event.preventDefault();
  }
}
