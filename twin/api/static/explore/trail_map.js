/** A small map of the site with one vehicle's trail and its sightings, numbered in time's order. */

import { put, svg } from "../elements.js";
import { words } from "../format.js";
import { linePath, planPoint } from "../geometry.js";
import { CameraLayer } from "../map/cameras.js";
import { drawLanes, drawObstacles, ZoneLayer } from "../map/ground.js";
import { PortalLayer } from "../map/portals.js";
import { StallLayer } from "../map/stalls.js";
import { MapView } from "../map/view.js";
import { marksOf } from "./trail.js";

export class TrailMap {
  #site;
  #surface;
  #world;
  #view;

  constructor(surface, site) {
    this.#site = site;
    this.#surface = surface;
    this.#world = surface.querySelector("#world");
    this.#view = new MapView(surface, site.extent_m);
    put(surface, "aria-label", `Map of ${words(site.name)} with the vehicle's way`);
  }

  /**
   * @param {string} level the level that is drawn
   * @param trail, passages see trail.js
   */
  show(level, trail, passages) {
    const here = trail.filter((place) => place.level === level);
    const marks = marksOf(passages).filter(({ place }) => place.level === level);
    this.#world.replaceChildren(this.#plan(level), svg("g", { class: "way" },
      here.length > 1 ? svg("path", { class: "way-line", d: linePath(here.map(({ point_m }) => point_m)) }) : null,
      marks.map(drawnMark),
    ));
    put(this.#surface, "data-trail", here.length);
    this.#view.fit();
  }

  #plan(level) {
    const onLevel = (all) => all.filter((one) => one.level === level);
    const { zones, lanes, stalls, portals, cameras, obstacles } = this.#site;
    const [ground, seen] = [new ZoneLayer(onLevel(zones)), new CameraLayer(onLevel(cameras))];
    const parking = new StallLayer(onLevel(stalls), () => {});
    const layers = [ground.element, drawLanes(onLevel(lanes)), parking.element, drawObstacles(onLevel(obstacles)), new PortalLayer(onLevel(portals)).element, seen.element];
    return svg("g", { "aria-hidden": "true" }, layers); // a plan without a state: no stall is told to be free or not
  }
}

function drawnMark({ place, first, last }) {
  const [x, y] = planPoint(place.point_m);
  const name = first === last ? String(first) : `${first}–${last}`;
  const half = 5 + 3.5 * name.length;
  return svg("g", { class: "way-mark", transform: `translate(${x} ${y})` },
    svg("g", { class: "fixed" },
      svg("rect", { x: -half, y: -9, width: 2 * half, height: 18, rx: 9 }),
      svg("text", { "text-anchor": "middle", y: 4 }, name),
    ),
  );
}
