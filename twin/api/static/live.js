/**
 * The live feed: one WebSocket, kept open, that never shows a state it cannot vouch for.
 *
 * The service sends a snapshot, then deltas that each name the sequence number they build on (`prev`).
 * A delta that does not fit is a gap: the feed forgets its place and asks for a fresh snapshot. After a
 * broken connection it resumes at {epoch, seq}, and takes a snapshot where the service no longer can.
 */

import { logIn } from "./session.js";

const STALE_AFTER_MS = 20_000; // the service pings more often than this
const GIVE_UP_AFTER_MS = 40_000; // silent this long, the connection is dead even if TCP has not noticed
const WATCH_EVERY_MS = 2_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const NOT_ALLOWED = 1008; // the session has ended, or its key was revoked

export class LiveFeed {
  #addressOf;
  #listener;
  #socket = null;
  #place = null; // {epoch, seq} of the last message applied
  #attempts = 0;
  #heardAt = 0;
  #retry = 0;

  /**
   * @param {(resume: {epoch, seq} | null) => string} addressOf the WebSocket's address
   * @param {{snapshot, delta, status}} listener `status(name, waitMs)`: connecting, live, stale or reconnecting
   */
  constructor(addressOf, listener) {
    this.#addressOf = addressOf;
    this.#listener = listener;
  }

  start() {
    setInterval(() => this.#watchSilence(), WATCH_EVERY_MS);
    addEventListener("online", this.retryNow);
    this.#listener.status("connecting", 0);
    this.#connect();
  }

  /** Do not wait for the back-off: the network came back, or the person asks. */
  retryNow = () => {
    if (this.#socket) return;
    clearTimeout(this.#retry);
    this.#attempts = 0;
    this.#connect();
  };

  #connect() {
    const socket = new WebSocket(this.#addressOf(this.#place));
    this.#socket = socket;
    this.#heardAt = performance.now();
    // A resumed connection may have nothing to say for a while; a fresh one begins with its snapshot.
    socket.addEventListener("open", () => socket === this.#socket && this.#place && this.#isHeard());
    socket.addEventListener("message", (message) => {
      if (socket === this.#socket) this.#take(JSON.parse(message.data));
    });
    socket.addEventListener("close", ({ code }) => {
      if (socket === this.#socket && code === NOT_ALLOWED) logIn();
      if (socket === this.#socket) this.#reconnect();
    });
  }

  #take(message) {
    this.#heardAt = performance.now();
    if (message.type === "snapshot") this.#accept(message, this.#listener.snapshot);
    else if (message.type === "delta") this.#takeDelta(message);
    else this.#isHeard();
  }

  #takeDelta(delta) {
    const { epoch, seq } = this.#place ?? {};
    if (delta.epoch === epoch && delta.prev === seq) this.#accept(delta, this.#listener.delta);
    else this.#askAfresh();
  }

  #accept(message, listener) {
    this.#place = { epoch: message.epoch, seq: message.seq };
    listener(message);
    this.#isHeard();
  }

  #isHeard() {
    this.#attempts = 0;
    this.#listener.status("live", 0);
  }

  #askAfresh() {
    this.#place = null;
    this.#hangUp();
    this.#connect();
  }

  /** Waits double from half a second to fifteen; the jitter keeps many pages from returning at once. */
  #reconnect() {
    this.#socket = null;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempts);
    const wait = longest * (0.5 + Math.random() / 2);
    // A second refusal in a row may be about the place asked for, so the next try asks for a snapshot.
    if (this.#attempts > 0) this.#place = null;
    this.#attempts += 1;
    this.#listener.status("reconnecting", wait);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #watchSilence() {
    if (!this.#socket) return;
    const silence = performance.now() - this.#heardAt;
    if (silence > GIVE_UP_AFTER_MS) {
      this.#hangUp();
      this.#reconnect();
    } else if (silence > STALE_AFTER_MS) {
      this.#listener.status("stale", 0);
    }
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
