/** How times, durations, distances and identifiers are written for people. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** Milliseconds since 1970 of an RFC 3339 time; null stays null. */
export const milliseconds = (at) => (at === null || at === undefined ? null : Date.parse(at));

/** RFC 3339 in UTC, as the API takes it. */
export const rfc3339 = (ms) => new Date(ms).toISOString();

/** An RFC 3339 time as a time field takes it: local, to the second; "" where it is none. */
export function localTime(at) {
  const ms = at ? milliseconds(at) : NaN;
  if (Number.isNaN(ms)) return "";
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** "14:03:20", with the day in front where it is not the day of `nowMs`. */
export function timeOfDay(ms, nowMs = Date.now()) {
  const time = clock.format(ms);
  return new Date(ms).toDateString() === new Date(nowMs).toDateString() ? time : `${day.format(ms)} ${time}`;
}

/** "42 s", "3 min", "2 h 05 min", "3 d 4 h": two units at most. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The shortest duration that can be written and is no shorter: for what is said to be "less than". */
export function roundedUp(seconds) {
  const unit_s = seconds < 60 ? 1 : seconds < 86_400 ? 60 : 3_600;
  return duration(Math.ceil(seconds / unit_s) * unit_s);
}

/** Speed in km/h, which drivers read; standing still has no direction and no decimals. */
export function speed([vx, vy]) {
  const kmh = Math.hypot(vx, vy) * 3.6;
  return kmh < 0.5 ? "standing" : `${kmh.toFixed(kmh < 10 ? 1 : 0)} km/h`;
}

/** "±0.4 m": the larger semi-axis of the 95 % ellipse. */
export const plusMinus = (radius_m) => `±${radius_m < 10 ? radius_m.toFixed(1) : Math.round(radius_m)} m`;

/** A name short enough for the map: long ids keep their end, which is what tells them apart. */
export const shortId = (id) => (id.length <= 9 ? id : `…${id.slice(-6)}`);

/** "1 vehicle", "3 vehicles". */
export const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** "stall_b" as "Stall b". */
export function words(name) {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
