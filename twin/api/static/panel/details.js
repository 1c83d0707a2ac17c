/** What is selected: a vehicle with its timeline and sightings, or a stall. */

import { html, put } from "../elements.js";
import { duration, milliseconds, plusMinus, speed, timeOfDay, words } from "../format.js";
import { ellipse95 } from "../geometry.js";
import { sentence } from "./fact_words.js";
import { placeName } from "./lists.js";

const SHOWN_FACTS = 60;
const SHOWN_SIGHTINGS = 12;

export class Details {
  #root;
  #actions;

  /** @param actions {pick(chosen), goTo(at), likeUrl(sighting), vehicleUrl(vehicle), zoneOf(stall)} */
  constructor(root, actions) {
    this.#root = root;
    this.#actions = actions;
    root.addEventListener("keydown", (event) => event.key === "Escape" && actions.pick(null));
  }

  hide() {
    this.#root.hidden = true;
    put(this.#root, "data-details", null);
  }

  /** @param told an answer of /vehicles/{id}  @param session its session, if any  @param nowMs the moment shown */
  showVehicle(told, session, nowMs) {
    const { vehicle, kind, state } = told;
    this.#show(`vehicle:${vehicle}`, [
      this.#heading(vehicle, html("span", { class: "chip", "data-state": state ?? "left" }, words(state ?? "left"))),
      facts([
        ["Kind", words(kind ?? "vehicle")],
        ["Where", state ? placeName(told) : "not on the site at this moment"],
        ["Seen here", told.is_inferred ? "by no camera: worked out once it was found again" : null],
        ["Double-parked", told.is_double_parked ? told.takes?.map(words).join(", ") || "on the lane" : null],
        ["Speed", state === "moving" && told.velocity_mps ? speed(told.velocity_mps) : null],
        ["Position", told.position_m ? positionOf(told) : null],
        ["Entered", session?.entry_at ? timeOfDay(milliseconds(session.entry_at), nowMs) : null],
        ["Left", session?.exit_at ? timeOfDay(milliseconds(session.exit_at), nowMs) : null],
        ["Stay", stayOf(session, nowMs)],
        ["Session", session ? `${words(session.status)}${sure(session.confidence)}` : null],
        ["In doubt", session?.flags?.length ? session.flags.map(words).join(", ") : null],
      ]),
      this.#actions.vehicleUrl ? html("p", {}, html("a", { class: "like", href: this.#actions.vehicleUrl(vehicle) }, "All about this vehicle")) : null,
      this.#seenBy(told.sightings ?? []),
      this.#timeline(told.history ?? [], nowMs),
    ]);
  }

  showStall(stall, nowMs) {
    const zone = this.#actions.zoneOf(stall.stall);
    const sinceMs = milliseconds(stall.since_at);
    const pickVehicle = () => this.#actions.pick({ vehicle: stall.vehicle });
    this.#show(`stall:${stall.stall}`, [
      this.#heading(`Stall ${stall.stall}`, html("span", { class: "chip", "data-state": stall.state }, words(stall.state))),
      facts([
        ["Zone", zone ? words(zone) : null],
        ["How sure", typeof stall.certainty === "number" ? `${Math.round(stall.certainty * 100)} %` : null],
        ["Since", sinceMs ? `${timeOfDay(sinceMs, nowMs)} (${duration((nowMs - sinceMs) / 1000)})` : "no camera has told yet"],
        ["Vehicle", stall.vehicle ? html("button", { type: "button", class: "link", onclick: pickVehicle }, stall.vehicle) : null],
      ]),
    ]);
  }

  showProblem(name, error) {
    this.#show(`problem:${name}`, [this.#heading(name, null), html("p", { class: "problem", role: "status" }, error.message)]);
  }

  #show(key, content) {
    renew(this.#root, content.filter(Boolean));
    this.#root.hidden = false;
    if (this.#root.dataset.details !== key) this.#root.scrollTop = 0;
    put(this.#root, "data-details", key);
  }

  #heading(name, chip) {
    const close = html("button", { type: "button", class: "back icon", "aria-label": "Close details", onclick: () => this.#actions.pick(null) }, "×");
    return html("header", {}, html("h2", {}, name), chip, close);
  }

  #seenBy(sightings) {
    if (sightings.length === 0) return null;
    return html("section", {},
      html("h3", {}, "Seen by"),
      html("p", { class: "tags" }, sightings.slice(-SHOWN_SIGHTINGS).map((sighting) => html("a", {
        class: "tag", href: this.#actions.likeUrl(sighting), title: `What looks like ${sighting.tracklet}`,
      }, sighting.camera))),
    );
  }

  #timeline(history, nowMs) {
    const told = history.map((event) => [event, sentence(event)]).filter(([, text]) => text !== null);
    if (told.length === 0) return null;
    const entries = told.slice(-SHOWN_FACTS).reverse().map(([event, text]) => this.#entry(event, text, nowMs));
    return html("section", {}, html("h3", {}, "Timeline"), html("ol", { class: "facts" }, entries));
  }

  #entry(event, text, nowMs) {
    const time = timeOfDay(milliseconds(event.time), nowMs);
    const go = () => this.#actions.goTo(event.time);
    return html("li", { "data-fact": event.type },
      html("button", { type: "button", class: "moment", "aria-label": `Go to ${time}`, onclick: go }, time),
      html("span", {}, text, event.supersedes ? html("span", { class: "tag" }, "correction") : null),
    );
  }
}

/** Replace only what differs: a button that stays keeps its focus, and a click on it is not lost in between. */
function renew(parent, fresh) {
  const old = [...parent.children];
  fresh.forEach((element, i) => {
    if (!old[i]) parent.append(element);
    else if (old[i].isEqualNode(element)) return;
    else if (element.tagName === "DL" && old[i].tagName === "DL") renew(old[i], [...element.children]);
    else old[i].replaceWith(element);
  });
  for (const surplus of old.slice(fresh.length)) surplus.remove();
}

function facts(pairs) {
  const told = pairs.filter(([, value]) => value !== null);
  return html("dl", { class: "pairs" }, told.map(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));
}

function positionOf({ position_m: [x, y], covariance_m2 }) {
  const error = covariance_m2 ? ` ${plusMinus(ellipse95(covariance_m2).major_m)}` : "";
  return `${x.toFixed(1)}, ${y.toFixed(1)} m${error}`;
}

function stayOf(session, nowMs) {
  if (!session?.entry_at) return null;
  const end = session.exit_at ? milliseconds(session.exit_at) : nowMs;
  return duration((end - milliseconds(session.entry_at)) / 1000);
}

const sure = (confidence) => (typeof confidence === "number" ? `, ${Math.round(confidence * 100)} % sure` : "");
