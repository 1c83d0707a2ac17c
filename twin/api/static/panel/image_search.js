/** Search by picture: drop, choose or paste one, and see which vehicles looked like it, where and when. */

import { isAbort } from "../api.js";
import { html, put, say } from "../elements.js";
import { milliseconds, plural, timeOfDay } from "../format.js";

const LARGEST_BYTES = 20 * 1024 * 1024;
const SHOWN_HITS = 12;

export class ImageSearch {
  #root;
  #ask;
  #actions;
  #request = null;
  #preview = null;

  /**
   * @param {HTMLElement} root the tab's panel
   * @param ask (picture, limit, signal) => promise of an answer of /search
   * @param actions {open(hit), cropUrl(crop)}
   */
  constructor(root, ask, actions) {
    this.#root = root;
    this.#ask = ask;
    this.#actions = actions;
    const input = root.querySelector("input[type=file]");
    input.addEventListener("change", () => {
      this.search(input.files[0]);
      input.value = ""; // the same file may be chosen again
    });
    this.#acceptDrops(root.querySelector(".drop"));
  }

  async search(picture) {
    if (!picture) return;
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    this.#showPreview(picture);
    const refusal = refusalOf(picture);
    if (refusal) {
      this.#tell("problem", refusal, []);
      return;
    }
    this.#tell("asking", "Searching…", []);
    try {
      const { hits } = await this.#ask(picture, SHOWN_HITS, request.signal);
      this.#tell("done", hits.length ? `${plural(hits.length, "vehicle")}, best first` : "No vehicle seen here looks like this picture.", hits);
    } catch (error) {
      if (!isAbort(error)) this.#tell("problem", `The picture could not be searched: ${error.message}`, []);
    }
  }

  #acceptDrops(area) {
    // Without this a picture dropped beside the area would replace the page.
    for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
    area.addEventListener("dragover", () => put(area, "data-over", "true"));
    for (const name of ["dragleave", "drop"]) area.addEventListener(name, () => put(area, "data-over", null));
    area.addEventListener("drop", (event) => this.search(event.dataTransfer.files[0]));
    document.addEventListener("paste", (event) => this.search([...event.clipboardData.files][0]));
  }

  #showPreview(picture) {
    if (this.#preview) URL.revokeObjectURL(this.#preview);
    this.#preview = picture.type.startsWith("image/") ? URL.createObjectURL(picture) : null;
    const image = this.#root.querySelector(".preview");
    image.hidden = this.#preview === null;
    if (this.#preview) image.src = this.#preview;
  }

  #tell(status, text, hits) {
    const told = this.#root.querySelector("[role=status]");
    put(this.#root, "data-search", status);
    put(told, "class", status === "problem" ? "problem" : "note");
    say(told, text);
    this.#root.querySelector("ol").replaceChildren(...hits.map((hit) => this.#hit(hit)));
  }

  #hit(hit) {
    const { vehicle, score, look, context, reasons, sighting } = hit;
    const time = timeOfDay(milliseconds(sighting.at));
    const picture = sighting.crop
      ? html("img", { src: this.#actions.cropUrl(sighting.crop), alt: `Picture of ${vehicle} by ${sighting.camera}`, loading: "lazy" })
      : html("span", { class: "no-crop", "aria-hidden": "true" });
    const open = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab opens the link itself
      event.preventDefault();
      this.#actions.open(hit);
    };
    return html("li", { class: "hit", "data-hit": vehicle, "data-score": score },
      picture,
      html("div", {},
        html("a", { href: hit.links.moment, class: "hit-name", onclick: open }, vehicle),
        html("p", { class: "note" }, `${sighting.camera} at ${time}`),
        meter("Look", look),
        meter("Time and place", context),
        html("ul", { class: "reasons" }, reasons.map((reason) => html("li", {}, reason))),
      ),
      html("span", { class: "hit-score", title: "Score" }, percent(score)),
    );
  }
}

/** Why a file is not worth sending, or null. */
function refusalOf({ size, type, name }) {
  if (size === 0) return `${name || "The file"} is empty (0 bytes). Give a JPEG or PNG picture of the vehicle.`;
  if (size > LARGEST_BYTES) return `${name || "The file"} has ${(size / 1048576).toFixed(0)} MiB; give a picture under ${LARGEST_BYTES / 1048576} MiB.`;
  if (type && !type.startsWith("image/")) return `${name || "The file"} is ${type}, not a picture. Give a JPEG or PNG picture of the vehicle.`;
  return null;
}

function meter(name, share) {
  const bar = html("span", { class: "meter-bar" });
  bar.style.setProperty("--share", Math.min(1, Math.max(0, share)));
  return html("p", { class: "meter" }, html("span", {}, name), html("span", { class: "meter-track", "aria-hidden": "true" }, bar), html("span", {}, percent(share)));
}

const percent = (share) => `${Math.round(share * 100)} %`;
