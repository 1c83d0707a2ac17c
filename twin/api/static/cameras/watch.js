/**
 * Asks for pictures while somebody looks: a round a second at most, one request at a time, and none while the page is hidden.
 *
 * A round asks what there is, then for the pictures that are new: the chosen camera's first, and as many others as fit, by turns.
 */

import { isAbort } from "../api.js";

const ROUND_MS = 1000;
const LONGEST_WAIT_MS = 15_000;
const MOST_OTHERS = 5;

export class PictureWatch {
  #ask;
  #listener;
  #keys = new Map();
  #request = null;
  #turn = 0;
  #failures = 0;

  /**
   * @param {{pictures(camera, signal), picture(camera, signal)}} ask
   * @param {{chosen(): string, told(answer), picture(told, blob), problem(error | null)}} listener
   */
  constructor(ask, listener) {
    this.#ask = ask;
    this.#listener = listener;
    document.addEventListener("visibilitychange", () => document.hidden && this.#request?.abort());
  }

  async start() {
    for (;;) {
      await visible();
      const began = performance.now();
      await this.#round();
      const wait = Math.min(LONGEST_WAIT_MS, ROUND_MS * 2 ** this.#failures);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait - (performance.now() - began))));
    }
  }

  async #round() {
    const request = new AbortController();
    this.#request = request;
    try {
      const answer = await this.#ask.pictures(null, request.signal);
      this.#listener.told(answer);
      for (const told of this.#due(answer.pictures)) await this.#take(told, request.signal);
      this.#failures = 0;
      this.#listener.problem(null);
    } catch (error) {
      if (isAbort(error)) return;
      this.#failures = Math.min(this.#failures + 1, 4);
      this.#listener.problem(error);
    }
  }

  #due(pictures) {
    const fresh = pictures.filter((told) => told.taken_at !== null && keyOf(told) !== this.#keys.get(told.camera));
    const chosen = fresh.filter(({ camera }) => camera === this.#listener.chosen());
    const others = fresh.filter(({ camera }) => camera !== this.#listener.chosen());
    const from = others.length > MOST_OTHERS ? this.#turn % others.length : 0;
    this.#turn = from + MOST_OTHERS; // the next round goes on where this one ends
    return [...chosen, ...[...others.slice(from), ...others.slice(0, from)].slice(0, MOST_OTHERS)];
  }

  /** Boxes and picture are of one frame, or neither is shown: a newer picture may have come between the two answers. */
  async #take(told, signal) {
    const picture = await this.#ask.picture(told.camera, signal);
    if (!picture) return;
    let fitting = told;
    if (picture.takenAt !== told.taken_at) {
      const answer = await this.#ask.pictures(told.camera, signal);
      fitting = answer.pictures[0];
      if (picture.takenAt !== fitting.taken_at) return;
    }
    this.#keys.set(told.camera, keyOf(fitting));
    await this.#listener.picture(fitting, picture.blob);
  }
}

/** What tells one picture from the next. */
export const keyOf = ({ taken_at, received_at }) => `${taken_at} ${received_at}`;

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}
