/** Corrections of the past as the API lists them, read page by page and kept up to date; bounded. */

import { isAbort } from "../api.js";

const PAGE = 1_000;
const LOOKED_THROUGH = 1_000_000; // facts, the newest: older corrections are found by the API alone
const MOST = 5_000;
const REFRESH_EVERY_MS = 5_000;
const MOST_PAGES = 60;

export class Corrections {
  all = []; // in the order in which they were learned
  #ask;
  #changed;
  #place = null; // the fact position up to which all are known
  #isReading = false;
  #waiting = 0;
  #head = 0;

  /**
   * @param ask ({after, known_at, limit}) => promise of a page of corrections
   * @param changed called when there are more
   */
  constructor(ask, changed) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** The fact log has reached a position: soon look for what was corrected since. */
  reach(position) {
    this.#head = Math.max(this.#head, Number(position));
    if (this.#isReading || this.#waiting || this.#head === this.#place) return;
    this.#waiting = setTimeout(() => this.#read(), this.#place === null ? 0 : REFRESH_EVERY_MS);
  }

  async #read() {
    this.#waiting = 0;
    this.#isReading = true;
    this.#place ??= Math.max(0, this.#head - LOOKED_THROUGH);
    try {
      for (let n = 0; n < MOST_PAGES && this.#place < this.#head; n += 1) await this.#readPage();
    } catch (error) {
      if (!isAbort(error)) this.#head = this.#place; // the connection badge tells why; the next position tries again
    } finally {
      this.#isReading = false;
    }
  }

  async #readPage() {
    const { corrections, next, position } = await this.#ask({ after: this.#place, limit: PAGE });
    this.#place = Number(next ?? position);
    if (next === undefined) this.#head = Math.max(this.#head, this.#place);
    if (corrections.length === 0) return;
    this.all = [...this.all, ...corrections].slice(-MOST);
    this.#changed();
  }
}
