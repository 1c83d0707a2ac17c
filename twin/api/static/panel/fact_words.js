/** Facts as sentences for the timeline of a vehicle. */

import { words } from "../format.js";

const SAYINGS = {
  "vehicle.confirmed.v1": ({ kind, zone }) => `${words(kind)} first seen${inZone(zone)}`,
  "vehicle.parked.v1": ({ stall, zone, is_double_parked: isDouble }) =>
    (stall ? `Parked in stall ${stall}` : `Stopped${inZone(zone)}`) + (isDouble ? ", double-parked" : ""),
  "vehicle.hidden.v1": ({ zone }) => `Out of every camera's sight${inZone(zone)}`,
  "vehicle.left.v1": ({ portal }) => `Left the site through ${portal}`,
  "vehicle.dismissed.v1": ({ n_detections }) => `Seen ${n_detections} times only: no vehicle`,
  "portal.crossed.v1": ({ portal, direction, speed_mps }) => `Crossed ${portal} ${direction}wards at ${(speed_mps * 3.6).toFixed(0)} km/h`,
  "tracklet.assigned.v1": ({ camera }) => `Seen by camera ${camera}`,
  "stall.changed.v1": ({ stall, state }) => `Stall ${stall} became ${state}`,
  "session.opened.v1": ({ portal, flags }) => `Session opened${portal ? ` at ${portal}` : ""}${doubts(flags)}`,
  "session.closed.v1": ({ portal, flags }) => `Session closed${portal ? ` at ${portal}` : ""}${doubts(flags)}`,
  "identities.merged.v1": ({ vehicle, merged }) => `${merged} was ${vehicle}`,
  "identities.split.v1": ({ vehicle, split }) => `${split} is not ${vehicle} after all`,
  "session.amended.v1": ({ status, reason, flags }) => `Session amended: ${status}, ${words(reason).toLowerCase()}${doubts(flags)}`,
  "payment.booked.v1": ({ amount_minor, currency, fate }) => `${money(amount_minor, currency)} received: ${words(fate).toLowerCase()}`,
  "gate.decided.v1": ({ portal, answer, reasons }) => `Gate ${portal}: ${answer} (${reasons.map((one) => words(one).toLowerCase()).join(", ")})`,
  "gate.changed.v1": ({ portal, state, by, author }) =>
    `Gate ${portal} is ${words(state).toLowerCase()}${by ? `, decided by ${by === "attendant" ? author : words(by).toLowerCase()}` : ""}`,
  "session.orphaned.v1": ({ portal }) => `Exit at ${portal} without an entry`,
};

/**
 * What a fact says, or null for one that only moves a vehicle on: the map shows those.
 *
 * @param event a fact as CloudEvents JSON
 */
export function sentence({ type, data }) {
  if (type === "vehicle.moved.v1") return null;
  const saying = SAYINGS[type];
  return saying ? saying(data) : words(type.replace(/\.v\d+$/, "").replaceAll(".", " "));
}

const money = (minor, currency) => `${minor} minor units of ${currency}`;
const inZone = (zone) => (zone ? ` in ${words(zone).toLowerCase()}` : "");
const doubts = (flags) => (flags?.length ? ` (${flags.map((flag) => words(flag).toLowerCase()).join(", ")})` : "");
