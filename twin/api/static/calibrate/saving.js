/** The form that saves a calibration: from when, by whom and why. */

import { put, say } from "../elements.js";
import { localTime, rfc3339 } from "../format.js";
import { signed } from "../session.js";

export class Saving {
  #form;
  #button;
  #told;
  #send;
  #id = null; // of what was sent: sent again after a lost answer it is the same event

  /** @param {(given: {id, at, author, reason}) => Promise<{outcome, position}>} send */
  constructor(form, send) {
    this.#form = form;
    this.#button = form.querySelector("[type=submit]");
    this.#told = form.querySelector("[role=status]");
    this.#send = send;
    form.elements.at.value = localTime(rfc3339(Date.now()));
    signed(form.elements.author);
    form.addEventListener("submit", (event) => this.#submit(event));
    form.addEventListener("input", () => this.forget());
  }

  /** Something changed: what is sent next is another calibration. */
  forget() {
    this.#id = null;
    say(this.#told, "");
  }

  /** Whether there is anything to save. */
  offer(isThere) {
    put(this.#button, "disabled", isThere ? null : "");
  }

  async #submit(event) {
    event.preventDefault();
    const { at, author, reason } = Object.fromEntries(new FormData(this.#form));
    if (!at || !author.trim() || !reason.trim()) {
      this.#tell("problem", "Say from when it holds, who you are, and why.");
      return;
    }
    this.#id ??= `page-${Date.now()}-${Math.random().toString(36).slice(2)}`;
    this.offer(false);
    try {
      const given = { id: this.#id, at: new Date(at).toISOString(), author: author.trim(), reason: reason.trim() };
      const { outcome, position } = await this.#send(given);
      this.#tell("note", outcome === "duplicate" ? `It was saved before, as observation ${position}.` : `Saved${position ? ` as observation ${position}` : ""}: it holds from ${new Date(at).toLocaleString()}.`);
    } catch (error) {
      this.#tell("problem", error.message);
    }
    this.offer(true);
  }

  #tell(kind, text) {
    put(this.#told, "class", kind);
    say(this.#told, text);
  }
}
