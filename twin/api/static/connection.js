/** The badge that says whether what is shown is live. */

import { put, say } from "./elements.js";
import { duration } from "./format.js";

const WORDS = { connecting: "Connecting", live: "Connected", stale: "No news" };

export class Connection {
  #button;
  #untilMs = 0;
  #countdown = 0;

  /** @param {HTMLButtonElement} button a click on it retries at once */
  constructor(button, retryNow) {
    this.#button = button;
    button.addEventListener("click", retryNow);
  }

  show(status, wait_ms) {
    clearInterval(this.#countdown);
    put(this.#button, "data-status", status);
    put(this.#button, "title", status === "reconnecting" ? "Try again now" : null);
    if (status !== "reconnecting") {
      this.#say(WORDS[status]);
      return;
    }
    this.#untilMs = performance.now() + wait_ms;
    this.#countdown = setInterval(() => this.#count(), 1000);
    this.#count();
  }

  #count() {
    const left_s = Math.max(0, Math.ceil((this.#untilMs - performance.now()) / 1000));
    this.#say(left_s > 0 ? `Reconnecting in ${duration(left_s)}` : "Reconnecting");
  }

  #say(text) {
    say(this.#button.querySelector("[role=status]"), text);
  }
}
