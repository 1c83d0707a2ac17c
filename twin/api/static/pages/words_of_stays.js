/** What stays, doubts about them and their bills are called. */

import { milliseconds, timeOfDay, words } from "../format.js";

const CAUSES = {
  no_entry: "Its exit was seen, its entry was not",
  no_exit: "Its exit was not seen",
  camera_gap: "A camera was silent while it could have been seen",
  ambiguous_identity: "It is not sure that both ends are of one vehicle",
  unverified: "A crossing is not sure",
};

const REASONS = {
  identities_merged: "two names were found to be one vehicle",
  identities_split: "a person said that it is two vehicles",
  operator: "a person decided",
  late_data: "what came late was taken in",
  payment: "it was paid",
};

const KINDS = { charge: "Charge", reversal: "Reversal", payment: "Payment", transfer: "Transfer", unassigned: "For no stay" };

const REFUSALS = {
  unknown_session: "there is no such stay any more",
  unknown_vehicle: "there is no such vehicle any more",
  no_stay: "it is no stay: an orphan, or void",
  not_merged: "these two were not merged",
  exit_before_entry: "the exit would be before the entry",
  already_so: "it is so already",
  no_plate: "there is no plate in it",
};

export const causeInWords = (cause) => CAUSES[cause] ?? words(cause);
export const reasonInWords = (reason) => REASONS[reason] ?? words(reason).toLowerCase();
export const lineInWords = ({ kind, version }) => `${KINDS[kind] ?? words(kind)}${version ? ` of version ${version}` : ""}`;
export const refusalInWords = (reason) => REFUSALS[reason] ?? words(reason).toLowerCase();

/** "2.50 EUR"; "–" where nothing is billed. */
export function money(minor, currency) {
  if (minor === null || minor === undefined) return "–";
  if (!currency) return String(minor);
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency, currencyDisplay: "code" });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export const confidenceInWords = (confidence) => (typeof confidence === "number" ? `${Math.round(confidence * 100)} % sure` : "claims nothing");

/** A time of a fact; "not seen" where there is none. */
export const whenOr = (at, otherwise = "not seen") => (at ? timeOfDay(milliseconds(at)) : otherwise);
