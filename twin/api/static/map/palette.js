/** Colours of the style sheet for what is drawn on a canvas: as computed, so that light, dark and a chosen theme hold. */

const NAMES = ["moving", "parked", "glass", "surface", "accent", "past", "ink", "halo", "shown"];

export class Palette {
  #probe;
  #colours = null;

  /**
   * @param {HTMLElement} root whose colours they are
   * @param changed called when they are others
   */
  constructor(root, changed) {
    this.#probe = document.createElement("span");
    this.#probe.hidden = true;
    root.append(this.#probe);
    const forget = () => {
      this.#colours = null;
      changed();
    };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget);
    new MutationObserver(forget).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** {moving, parked, …} as the canvas takes them. */
  get colours() {
    this.#colours ??= Object.fromEntries(NAMES.map((name) => [name, this.#resolved(name)]));
    return this.#colours;
  }

  #resolved(name) {
    this.#probe.style.color = `var(--${name})`;
    return getComputedStyle(this.#probe).color;
  }
}
