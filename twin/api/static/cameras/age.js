/** How old a picture is, and what is said of it. Pure. */

import { duration, milliseconds, timeOfDay } from "../format.js";

export const STALE_AFTER_S = 5;
const CLOCK_OFF_MS = 10_000; // no picture is on its way for so long: the camera's clock differs from the service's

/**
 * @param told a picture as the API tells it, {taken_at, received_at}
 * @param {number} nowMs by the service's clock
 * @returns {{status: "none" | "fresh" | "stale", age_s: number | null, isClockOff: boolean}}
 */
export function ageOf({ taken_at, received_at }, nowMs) {
  if (taken_at === null) return { status: "none", age_s: null, isClockOff: false };
  const [taken, received] = [milliseconds(taken_at), milliseconds(received_at)];
  const isClockOff = Math.abs(received - taken) > CLOCK_OFF_MS;
  const age_s = Math.max(0, nowMs - (isClockOff ? received : taken)) / 1000;
  return { status: age_s > STALE_AFTER_S ? "stale" : "fresh", age_s, isClockOff };
}

/** "As of 12:03:04, 3 s ago". */
export function inWords(told, nowMs) {
  const { status, age_s, isClockOff } = ageOf(told, nowMs);
  if (status === "none") return "No picture yet";
  const time = timeOfDay(milliseconds(told.taken_at), nowMs);
  return isClockOff ? `As of ${time} by the camera’s clock, arrived ${duration(age_s)} ago` : `As of ${time}, ${duration(age_s)} ago`;
}

/** What is the matter with a picture, for a person who looks at it; "" where nothing is. It changes seldom, so it is read out. */
export function warningOf(told, nowMs, cameraState) {
  const { status } = ageOf(told, nowMs);
  if (status === "none") return "No picture of this camera came since the service started. Its worker sends them where it is run with --pictures.";
  if (status === "stale" && cameraState === "idle") return "The camera is silent: this is the last picture that came.";
  if (status === "stale") return "No newer picture comes: this is not what is there now.";
  if (told.boxes === null) return "This picture came without boxes, so nothing is marked in it.";
  return "";
}
