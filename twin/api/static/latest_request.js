/** One request at a time: a newer wish aborts an older one, whose answer nobody waits for any more. */

import { isAbort } from "./api.js";

export class LatestRequest {
  #current = null;

  /** Whether an answer is waited for. */
  get isAsking() {
    return this.#current !== null;
  }

  /**
   * @param send (signal) => promise
   * @param take what to do with the answer
   * @param fail with an error that is not only that a newer wish came
   */
  async ask(send, take, fail) {
    this.abort();
    const request = new AbortController();
    this.#current = request;
    try {
      const answer = await send(request.signal);
      if (!request.signal.aborted) await take(answer);
    } catch (error) {
      if (!isAbort(error) && !request.signal.aborted) fail(error);
    } finally {
      if (this.#current === request) this.#current = null;
    }
  }

  /** Nobody waits any more. */
  abort() {
    this.#current?.abort();
    this.#current = null;
  }
}
