/**
 * Which moment is shown: live, or a past one asked from /state.
 *
 * One request at a time: a newer wish aborts an older one, so answers never arrive out of order.
 */

import { isAbort } from "./api.js";
import { milliseconds, rfc3339 } from "./format.js";

const SETTLE_MS = 70; // a dragged slider asks once it rests this long
const PLAY_EVERY_MS = 200;

export const SPEEDS = [1, 4, 16];

export class Timeline {
  mode = "live";
  at = null; // RFC 3339 of the past moment shown or asked for; null when live
  knownAt = null; // null: everything known now; "then": what was known at that moment; or a fixed time or position
  speed = 1;
  isPlaying = false;
  firstMs = null; // the range of moments that can be asked
  latestMs = null;

  #ask;
  #listener;
  #request = null;
  #settling = 0;
  #playing = 0;

  /**
   * @param ask (moment, signal) => promise of a state
   * @param listener {changed(), state(state, {isJump}), problem(error)}
   */
  constructor(ask, listener) {
    this.#ask = ask;
    this.#listener = listener;
  }

  get atMs() {
    return this.mode === "live" ? this.latestMs : milliseconds(this.at);
  }

  /** What the API is asked with; empty when live. */
  get moment() {
    if (this.mode === "live") return {};
    return { at: this.at, known_at: this.knownAt === "then" ? this.at : this.knownAt };
  }

  /** The newest moment the service has told of. */
  extend(ms) {
    if (ms === null || (this.latestMs !== null && ms <= this.latestMs)) return;
    this.latestMs = ms;
    if (this.firstMs === null || this.firstMs > ms) this.firstMs = ms;
    this.#listener.changed();
  }

  beginAt(ms) {
    this.firstMs = ms;
    this.#listener.changed();
  }

  /** Show a moment: RFC 3339 is asked as it stands, milliseconds are kept inside the range. */
  goTo(at, { isDragged = false } = {}) {
    this.pause();
    this.#enterPast(typeof at === "number" ? rfc3339(this.#inRange(at)) : at);
    clearTimeout(this.#settling);
    if (isDragged) this.#settling = setTimeout(() => this.#load(true), SETTLE_MS);
    else this.#load(true);
  }

  goLive() {
    this.pause();
    this.#cancel();
    this.mode = "live";
    this.at = null;
    this.knownAt = null;
    this.#listener.changed();
  }

  /** Show a moment as known at a position or time (null: now), in one step. */
  goToAsKnown(at, knownAt) {
    this.knownAt = knownAt;
    this.goTo(at);
  }

  knowAsOf(knownAt) {
    this.knownAt = knownAt;
    this.#listener.changed();
    if (this.mode === "past") this.#load(true);
  }

  play() {
    if (this.isPlaying || this.mode === "live") return;
    this.isPlaying = true;
    let before = performance.now();
    this.#playing = setInterval(() => {
      const now = performance.now();
      this.#advance((now - before) * this.speed);
      before = now;
    }, PLAY_EVERY_MS);
    this.#listener.changed();
  }

  pause() {
    if (!this.isPlaying) return;
    clearInterval(this.#playing);
    this.isPlaying = false;
    this.#listener.changed();
  }

  setSpeed(speed) {
    this.speed = speed;
    this.#listener.changed();
  }

  #advance(step_ms) {
    const next = this.atMs + step_ms;
    if (this.latestMs !== null && next >= this.latestMs) {
      this.goLive();
      return;
    }
    this.#enterPast(rfc3339(next));
    if (!this.#request) this.#load(false); // a slow service gives fewer pictures, never a queue of them
  }

  #enterPast(at) {
    this.mode = "past";
    this.at = at;
    this.#listener.changed();
  }

  async #load(isJump) {
    this.#cancel();
    const request = new AbortController();
    this.#request = request;
    try {
      const state = await this.#ask(this.moment, request.signal);
      if (request.signal.aborted) return;
      this.#listener.state(state, { isJump });
    } catch (error) {
      if (isAbort(error)) return;
      this.pause();
      this.#listener.problem(error);
    } finally {
      if (this.#request === request) this.#request = null;
    }
  }

  #cancel() {
    clearTimeout(this.#settling);
    this.#request?.abort();
    this.#request = null;
  }

  #inRange(ms) {
    return Math.min(Math.max(ms, this.firstMs ?? ms), this.latestMs ?? ms);
  }
}
