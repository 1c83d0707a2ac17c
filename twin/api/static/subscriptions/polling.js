/** Asking again and again, politely: only while the page is looked at, and less often while the service does not answer. */

export const EVERY_MS = 5_000;
const MOST_MS = 60_000;

export class Polling {
  #ask;
  #fail;
  #timer = null;
  #request = null;
  #waitMs = EVERY_MS;

  /** @param ask (signal) => promise  @param fail with an error */
  constructor(ask, fail) {
    this.#ask = ask;
    this.#fail = fail;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stop() : this.now()));
  }

  /** Ask at once; a request that is on its way is given up for it. */
  async now() {
    this.#stop();
    const request = new AbortController();
    this.#request = request;
    try {
      await this.#ask(request.signal);
      this.#waitMs = EVERY_MS;
    } catch (error) {
      if (request.signal.aborted) return;
      this.#waitMs = Math.min(2 * this.#waitMs, MOST_MS);
      this.#fail(error);
    }
    if (!request.signal.aborted && !document.hidden) this.#timer = setTimeout(() => this.now(), this.#waitMs);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#request?.abort();
  }
}
