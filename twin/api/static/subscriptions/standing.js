/** How a subscription or webhook stands, in words. Knows nothing of the page. */

import { plural } from "../format.js";

export const BEHIND_S = 60;

/** Both lists as one, by name: each has its `kind`. */
export const feedsOf = ({ standings }, { webhooks }) => [...standings.map((one) => ({ ...one, kind: "subscriptions" })), ...webhooks.map((one) => ({ ...one, kind: "webhooks" }))].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Its states, what keeps facts from being delivered first. */
export function statesOf(one) {
  const found = [];
  if (one.state === "paused" || one.state === "disabled") found.push(one.state);
  if (one.held_until && Date.parse(one.held_until) > Date.now()) found.push("held");
  if (one.is_full) found.push("full");
  if (one.n_parked > 0) found.push("parked");
  if (isBehind(one)) found.push("behind");
  if (found.length === 0) found.push(one.n_leased > 0 ? "delivering" : "up to date");
  return found;
}

/** Whether the oldest waits too long; null is longer than what is kept. */
const isBehind = ({ lag_s }) => lag_s === null || lag_s > BEHIND_S;

export const kindInWords = (kind) => (kind === "webhooks" ? "Webhook" : "Subscription");

/** Which facts it takes. */
export function filterInWords({ types, zones, subjects }) {
  const told = [types.length ? types.join(", ") : "all types", zones.length ? `in ${zones.join(", ")}` : null, subjects.length ? `about ${subjects.join(", ")}` : null];
  return told.filter(Boolean).join("; ");
}

/** What its state means, and what helps. */
export function adviceOf(one) {
  if (one.state === "disabled") return `Disabled: ${one.reason || "its endpoint answered 410"}. Nothing is lost; resume it when the endpoint is back.`;
  if (one.state === "paused") return `Paused by a person: what fits waits. Resume it to ${one.kind === "webhooks" ? "send" : "hand it out"} again.`;
  if (one.is_full) return "So much stands behind parked events that nothing more is read: retry them or give them up.";
  if (one.n_parked > 0) return `${plural(one.n_parked, "event")} failed too often. What is behind each waits with it; all else goes on.`;
  if (isBehind(one)) return one.kind === "webhooks" ? "Its endpoint is slower than facts come, or does not answer: see its deliveries." : "Its consumer does not ask, or is slower than facts come.";
  return one.replays_to ? `Delivering again up to position ${one.replays_to}.` : "";
}

/** What a key may do here; the service decides at each request. */
export function rightsInWords({ name, may }, site) {
  const may_not = [may("operate", site) ? null : "replay, pause, retry, give up and delete (operate)", may("admin", site) ? null : "make, change, pause, test or delete webhooks, and see their whole addresses (admin)"].filter(Boolean);
  if (may_not.length === 0) return "";
  return `The key “${name}” may look. It may not ${may_not.join(", nor ")}: those are refused, 403.`;
}
