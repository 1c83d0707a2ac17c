/** The bar of time: a slider over everything known with marks of corrections, play, speed, "as known", and the way back to live. */

import { html, put, say } from "./elements.js";
import { duration, timeOfDay } from "./format.js";
import { KnownChoice } from "./time/known.js";
import { Marks } from "./time/marks.js";
import { SPEEDS } from "./timeline.js";

const ARROW_S = 5;
const PAGE_S = 60;
const TICK_STEPS_S = [5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400];
const TICK_ROOM_PX = 96;
const TICK_HALF_PX = 28;

export class Timebar {
  #timeline;
  #root;
  #slider;
  #ticks = "";
  #marks;
  #known;
  #corrections = [];

  /**
   * @param {HTMLElement} root the bar's element in the page, with its controls inside
   * @param onMark (corrections) => void: those of a mark that was chosen
   */
  constructor(root, timeline, onMark) {
    this.#timeline = timeline;
    this.#root = root;
    this.#slider = root.querySelector("#time");
    this.#slider.addEventListener("input", () => timeline.goTo(this.#pointed(), { isDragged: true }));
    this.#slider.addEventListener("keydown", (event) => this.#step(event));
    this.#button("play").addEventListener("click", () => this.#togglePlay());
    this.#button("live").addEventListener("click", () => timeline.goLive());
    this.#marks = new Marks(root.querySelector("#marks"), onMark);
    this.#known = new KnownChoice(root, timeline);
    root.querySelector("#speeds").append(...SPEEDS.map((speed) => this.#speedButton(speed)));
    this.render();
  }

  render() {
    const { mode, isPlaying, speed, atMs, latestMs } = this.#timeline;
    const isLive = mode === "live";
    put(this.#root, "data-mode", mode);
    this.#renderSlider();
    say(this.#root.querySelector("#shown-mode"), isLive ? "Live" : "Past:");
    say(this.#root.querySelector("#shown-time"), atMs === null ? "–" : timeOfDay(atMs, latestMs ?? atMs));
    say(this.#root.querySelector("#shown-ago"), isLive || latestMs === null ? "" : `${duration((latestMs - atMs) / 1000)} ago`);
    put(this.#button("play"), "aria-label", playName(isLive, isPlaying));
    put(this.#button("play"), "data-playing", isPlaying);
    put(this.#button("live"), "aria-pressed", String(isLive));
    this.#known.render(this.#corrections);
    for (const button of this.#root.querySelectorAll("[data-speed]")) {
      put(button, "aria-pressed", String(Number(button.dataset.speed) === speed));
    }
  }

  /** Corrections to be marked; the ones of before count no more. */
  mark(corrections) {
    this.#corrections = corrections;
    this.render();
  }

  /** Put the keyboard's focus on the mark that had it last; where there is none, on the slider. */
  focus() {
    if (!this.#marks.focus()) this.#slider.focus();
  }

  #renderSlider() {
    const { firstMs, latestMs, atMs, mode } = this.#timeline;
    put(this.#slider, "disabled", firstMs === null ? "" : null);
    if (firstMs === null) return;
    const length_s = Math.max(1, Math.round((latestMs - firstMs) / 1000));
    const at_s = mode === "live" ? length_s : Math.round((atMs - firstMs) / 1000);
    put(this.#slider, "max", length_s);
    if (Number(this.#slider.value) !== at_s) this.#slider.value = at_s;
    this.#slider.style.setProperty("--share", Math.min(1, Math.max(0, at_s / length_s)));
    const time = timeOfDay(atMs, latestMs);
    put(this.#slider, "aria-valuetext", mode === "live" ? `Live, ${time}` : `Past, ${time}`);
    this.#renderTicks(firstMs, latestMs);
    this.#marks.render(this.#corrections, firstMs, latestMs);
  }

  /** Round times under the slider, as many as fit. */
  #renderTicks(firstMs, latestMs) {
    const line = this.#root.querySelector("#ticks");
    const room = Math.max(2, Math.floor(line.clientWidth / TICK_ROOM_PX));
    const length_s = (latestMs - firstMs) / 1000;
    const step_ms = 1000 * (TICK_STEPS_S.find((step) => length_s / step <= room) ?? Math.ceil(length_s / room));
    const first = Math.ceil(firstMs / step_ms) * step_ms;
    const key = `${first} ${step_ms} ${room} ${Math.floor(length_s / 2)}`;
    if (key === this.#ticks || length_s < 2) return;
    this.#ticks = key;
    const marks = [];
    const edge_ms = (TICK_HALF_PX / Math.max(1, line.clientWidth)) * (latestMs - firstMs); // nearer the ends a label would be cut
    for (let at = first; at < latestMs - edge_ms; at += step_ms) {
      if (at > firstMs + edge_ms) marks.push(tick(at, (at - firstMs) / (latestMs - firstMs), latestMs));
    }
    line.replaceChildren(...marks);
  }

  #pointed() {
    return this.#timeline.firstMs + Number(this.#slider.value) * 1000;
  }

  /** A second is too small a step for a day and a tenth of a day too large: the keys move by 5 s and by a minute. */
  #step(event) {
    const steps_s = { ArrowLeft: -ARROW_S, ArrowDown: -ARROW_S, ArrowRight: ARROW_S, ArrowUp: ARROW_S, PageDown: -PAGE_S, PageUp: PAGE_S };
    const { firstMs, latestMs, atMs } = this.#timeline;
    if (firstMs === null) return;
    if (event.key === "Home") this.#timeline.goTo(firstMs, { isDragged: true });
    else if (event.key === "End") this.#timeline.goLive();
    else if (event.key === " ") this.#togglePlay();
    else if (event.key in steps_s) this.#stepTo(atMs + steps_s[event.key] * 1000, latestMs);
    else return;
    event.preventDefault();
  }

  #stepTo(ms, latestMs) {
    if (ms >= latestMs) this.#timeline.goLive();
    else this.#timeline.goTo(ms, { isDragged: true });
  }

  /** Playing needs a past: from live it starts a minute back. */
  #togglePlay() {
    const timeline = this.#timeline;
    if (timeline.isPlaying) {
      timeline.pause();
      return;
    }
    if (timeline.firstMs === null) return;
    if (timeline.mode === "live") timeline.goTo(timeline.latestMs - PAGE_S * 1000);
    timeline.play();
  }

  #speedButton(speed) {
    const listener = () => this.#timeline.setSpeed(speed);
    return html("button", { type: "button", "data-speed": speed, "aria-label": `Play at ${speed} times`, onclick: listener }, `${speed}×`);
  }

  #button(id) {
    return this.#root.querySelector(`#${id}`);
  }
}

function playName(isLive, isPlaying) {
  if (isPlaying) return "Pause";
  return isLive ? "Replay the last minute" : "Play from here";
}

function tick(at, share, latestMs) {
  const mark = html("span", { class: "tick" }, timeOfDay(at, latestMs));
  mark.style.setProperty("--share", share);
  return mark;
}
