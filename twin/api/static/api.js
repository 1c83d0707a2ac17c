/** The public HTTP API, read as any other client reads it. */

import { logIn } from "./session.js";

/** A refusal by the API, with the problem's own words (application/problem+json). */
export class Problem extends Error {
  constructor(status, title, detail, type = "") {
    super(detail || title);
    this.type = type;
    this.status = status;
    this.title = title;
  }
}

export class Api {
  /** @param {string} origin where the service answers, without a slash at the end; "" is the page's own origin */
  constructor(origin = "") {
    this.origin = origin;
  }

  sites(signal) {
    return this.#get("/v1/sites", {}, signal);
  }

  site(site, signal) {
    return this.#get(siteRoot(site), {}, signal);
  }

  /** @param moment {at, known_at}: RFC 3339 or absent for "everything known" */
  state(site, moment, signal) {
    return this.#get(`${siteRoot(site)}/state`, moment, signal);
  }

  sessions(site, moment, signal) {
    return this.#get(`${siteRoot(site)}/sessions`, moment, signal);
  }

  vehicle(site, vehicle, moment, signal) {
    return this.#get(`${siteRoot(site)}/vehicles/${encodeURIComponent(vehicle)}`, moment, signal);
  }

  /** One stay with what it rests on and every version of it. */
  session(site, session, moment, signal) {
    return this.#get(`${siteRoot(site)}/sessions/${encodeURIComponent(session)}`, moment, signal);
  }

  /** Stays in doubt, with what both of their ends rest on. */
  review(site, moment, signal) {
    return this.#get(`${siteRoot(site)}/review`, moment, signal);
  }

  /** @param parameters {session, known_at, limit} */
  ledger(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/ledger`, parameters, signal);
  }

  /** What a stay costs if it ended at `moment.at`. */
  due(site, session, moment, signal) {
    return this.#get(`${siteRoot(site)}/sessions/${encodeURIComponent(session)}/due`, moment, signal);
  }

  /** The number plate that a person set: personal, so ask only when a person wants to see it. */
  plate(site, session, moment, signal) {
    return this.#get(`${siteRoot(site)}/sessions/${encodeURIComponent(session)}/plate`, moment, signal);
  }

  /** Where the past came to be known otherwise. @param parameters {from, until, known_at, after, limit} */
  corrections(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/corrections`, parameters, signal);
  }

  /** What differs between what was known at two positions. @param parameters {from_known_at, to_known_at, at, limit} */
  changes(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/changes`, parameters, signal);
  }

  /** Stays with a number plate; asks for the right to decide, and is recorded. */
  plates(site, plate, moment, signal) {
    return this.#get(`${siteRoot(site)}/plates`, { plate, ...moment }, signal);
  }

  occupancy(site, moment, signal) {
    return this.#get(`${siteRoot(site)}/occupancy`, moment, signal);
  }

  /** Zones with their stalls at equal steps. @param parameters {from, until, step_s, zone, known_at} */
  occupancySeries(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/occupancy/series`, parameters, signal);
  }

  /** Turnover, stall time and lengths. @param parameters {from, until, zone, known_at} */
  turnover(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/occupancy/turnover`, parameters, signal);
  }

  /** Where a file of the same is: `name` is series, turnover, lengths or stays. */
  occupancyCsvUrl(site, name, parameters) {
    return `${this.origin}${siteRoot(site)}/occupancy/${name}.csv?${queryOf(parameters)}`;
  }

  /** The best view of each of these tracklets (100 at most), those without one left out. */
  views(site, tracklets, moment, signal) {
    const named = new URLSearchParams(tracklets.map((tracklet) => ["tracklet", tracklet]));
    return this.#ask(`${siteRoot(site)}/search/views?${named}`, moment, { signal });
  }

  /** A person's decision; see billing.md. @returns the receipt */
  decide(site, decision, signal) {
    const headers = { "content-type": "application/json" };
    return this.#ask(`${siteRoot(site)}/decisions`, {}, { method: "POST", headers, body: JSON.stringify(decision), signal });
  }

  /** @param parameters {after, limit, wait_for, wait_s}: once an observation is folded, where `wait_for` is its position */
  facts(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/facts`, parameters, signal);
  }

  cropUrl(site, crop) {
    return `${this.origin}${siteRoot(site)}/crops/${encodeURIComponent(crop)}`;
  }

  /** The live feed's address; with `resume` ({epoch, seq}) the service continues there if it still can. */
  liveUrl(site, resume = null) {
    const url = new URL(`${this.origin}${siteRoot(site)}/live`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (resume) {
      url.searchParams.set("epoch", resume.epoch);
      url.searchParams.set("seq", resume.seq);
    }
    return url.href;
  }

  /**
   * Vehicles that look like pictures of one vehicle.
   *
   * @param {Blob[]} pictures as the person gave them, unchanged
   */
  searchByPictures(site, pictures, parameters, signal) {
    return this.#ask(`${siteRoot(site)}/search`, parameters, { ...sent(pictures), signal });
  }

  /** Vehicles that look like a sighting; `parameters.tracklet` says which. */
  searchByTracklet(site, parameters, signal) {
    return this.#get(`${siteRoot(site)}/search`, parameters, signal);
  }

  /** The next page of an answer: its `next`, with the pictures once more if there were any. */
  follow(next, pictures, signal) {
    return this.#ask(next, {}, pictures.length > 0 ? { ...sent(pictures), signal } : { signal });
  }

  /** What marked points say of a camera; keeps nothing. */
  tryCalibration(site, camera, marks, signal) {
    return this.#ask(`${cameraRoot(site, camera)}/calibration/try`, {}, { ...asJson(marks), signal });
  }

  /** The same, kept as an event; sent again with the same `id` and content it is the same event. */
  saveCalibration(site, camera, calibration, signal) {
    return this.#ask(`${cameraRoot(site, camera)}/calibration`, {}, { ...asJson(calibration), signal });
  }

  /** A camera's latest picture, {blob, takenAt}; null where none was sent since the service started. */
  async picture(site, camera, signal) {
    const answer = await this.#fetch(`${cameraRoot(site, camera)}/picture`, {}, { signal });
    return answer.status === 204 ? null : { blob: await answer.blob(), takenAt: answer.headers.get("x-taken-at") };
  }

  /** What latest pictures show, with the vehicles that the twin has for their boxes; of one camera, or of all (null). */
  pictures(site, camera, signal) {
    return this.#get(`${siteRoot(site)}/pictures`, { camera }, signal);
  }

  /** The plan as it appears in a camera's pictures, by its newest calibration. */
  planInPicture(site, camera, signal) {
    return this.#get(`${cameraRoot(site, camera)}/plan`, {}, signal);
  }

  /** What a camera's pixels are placed by: {level, elevation_m, frame_px, geometry, range_m, since_at, …}; `moment.at`: then. */
  calibration(site, camera, moment, signal) {
    return this.#get(`${cameraRoot(site, camera)}/calibration`, moment, signal);
  }

  /** Every fault that a site would have with other zones, stalls, lanes and portals, and what differs from now. */
  checkModel(site, features, signal) {
    return this.#ask(`${siteRoot(site)}/model/check`, {}, { ...asJson(features), signal });
  }

  /** The same, kept as a new version beside the one that is served. */
  saveModel(site, edition, signal) {
    return this.#ask(`${siteRoot(site)}/model/versions`, {}, { ...asJson(edition), signal });
  }

  /** How far each is. @param kind "subscriptions" or "webhooks" */
  feeds(site, kind, signal) {
    return this.#get(`${siteRoot(site)}/${kind}`, {}, signal);
  }

  /** How far one is, with what it has parked. */
  feed(site, kind, name, signal) {
    return this.#get(feedRoot(site, kind, name), {}, signal);
  }

  /** The last requests to a webhook's endpoint, the newest first. */
  deliveries(site, name, parameters, signal) {
    return this.#get(`${feedRoot(site, "webhooks", name)}/deliveries`, parameters, signal);
  }

  /** Make one, or change it; of a webhook that is made, the answer has its secret. */
  putFeed(site, kind, name, wanted) {
    return this.#ask(feedRoot(site, kind, name), {}, { ...asJson(wanted), method: "PUT" });
  }

  /** @param action "pause", "resume", "test", "secret", "replay", or "parked/POSITION/retry" @returns the answer, or null */
  async changeFeed(site, kind, name, action, body = null) {
    const answer = await this.#fetch(`${feedRoot(site, kind, name)}/${action}`, {}, body === null ? { method: "POST" } : asJson(body));
    return answer.status === 204 ? null : answer.json();
  }

  /** Forget one; with `position`, only what it has parked there. */
  async forgetFeed(site, kind, name, position = null) {
    await this.#fetch(`${feedRoot(site, kind, name)}${position === null ? "" : `/parked/${position}`}`, {}, { method: "DELETE" });
  }

  /** Versions of the map that were saved, and which of them is in force. */
  editions(site, signal) {
    return this.#get(`${siteRoot(site)}/model/versions`, {}, signal);
  }

  #get(path, parameters, signal) {
    return this.#ask(path, parameters, { signal });
  }

  async #ask(path, parameters, request) {
    const headers = { accept: "application/json", ...request.headers };
    return (await this.#fetch(path, parameters, { ...request, headers })).json();
  }

  /** The answer, which is none of a refusal. */
  async #fetch(path, parameters, request) {
    const given = queryOf(parameters);
    const query = given ? `${path.includes("?") ? "&" : "?"}${given}` : "";
    const answer = await fetch(`${this.origin}${path}${query}`, request).catch(unreachable);
    if (answer.status === 401) logIn();
    if (!answer.ok) throw await problemOf(answer);
    return answer;
  }
}

/** One picture is the body as it is, several are a form's parts. */
function sent(pictures) {
  const [first] = pictures;
  if (pictures.length === 1) return { method: "POST", headers: { "content-type": first.type || "application/octet-stream" }, body: first };
  const form = new FormData();
  for (const picture of pictures) form.append("image", picture);
  return { method: "POST", body: form };
}

const asJson = (body) => ({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const queryOf = (parameters) => new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined)).toString();

const cameraRoot = (site, camera) => `${siteRoot(site)}/cameras/${encodeURIComponent(camera)}`;

const feedRoot = (site, kind, name) => `${siteRoot(site)}/${kind}/${encodeURIComponent(name)}`;

const siteRoot = (site) => `/v1/sites/${encodeURIComponent(site)}`;

/** Browsers report every failure below HTTP as one TypeError, in words that help nobody. */
function unreachable(error) {
  if (isAbort(error)) throw error;
  throw new Problem(0, "Unreachable", "The service cannot be reached. Check that it runs, then try again.");
}

async function problemOf(answer) {
  const isProblem = (answer.headers.get("content-type") ?? "").includes("json");
  const body = isProblem ? await answer.json() : {};
  return new Problem(answer.status, body.title ?? answer.statusText, body.detail ?? `The service answered ${answer.status}.`, body.type);
}

/** Whether an error only says that a newer request replaced this one. */
export const isAbort = (error) => error.name === "AbortError";
