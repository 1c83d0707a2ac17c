/** The plan that ground points are marked on: one level of the site, and the corners that a click snaps to. */

import { distance, planPoint, linePath } from "../geometry.js";
import { svg } from "../elements.js";
import { CameraLayer } from "../map/cameras.js";
import { drawLandmarks, drawLanes, drawObstacles, ZoneLayer } from "../map/ground.js";
import { PortalLayer } from "../map/portals.js";
import { StallLayer } from "../map/stalls.js";

const SNAP_PX = 10;

/** The site with the features of one level alone. */
export function levelOf(site, level) {
  const on = (features) => features.filter((one) => one.level === level);
  return { ...site, zones: on(site.zones), stalls: on(site.stalls), lanes: on(site.lanes), portals: on(site.portals), landmarks: on(site.landmarks), obstacles: on(site.obstacles) };
}

/** Its drawing, with one camera and what that sees by the site model. */
export function drawPlan(site, camera) {
  const zones = new ZoneLayer(site.zones);
  const cameras = new CameraLayer([camera]);
  return svg("g", {}, zones.element, drawLanes(site.lanes), new StallLayer(site.stalls, () => {}).element, cameras.footprints, drawObstacles(site.obstacles), new PortalLayer(site.portals).element, drawLandmarks(site.landmarks), zones.names, cameras.element);
}

/** Every corner and end of what is drawn. */
export function cornersOf(site) {
  const rings = [...site.zones, ...site.stalls].flatMap(({ ring_m }) => ring_m);
  const lines = [...site.lanes, ...site.portals].flatMap(({ line_m }) => line_m);
  return [...rings, ...lines, ...site.landmarks.map(({ point_m }) => point_m), ...site.obstacles.flatMap(({ outline_m }) => outline_m)];
}

/** The corner near a place, else the place itself. `scale`: metres a screen pixel. */
export function snapped(place, corners, scale) {
  const near = corners.reduce((best, corner) => (best && distance(best, place) <= distance(corner, place) ? best : corner), null);
  return near && distance(near, place) <= SNAP_PX * scale ? near : place;
}

/** What a camera and its plan need to be seen: the camera's footprint, else the whole site. */
export function extentOf(site, camera) {
  const ring = camera.footprint_m ?? [];
  if (ring.length < 3) return site.extent_m;
  const points = camera.position_m ? [...ring, camera.position_m] : ring;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

export const onGround = {
  step: 0.1,
  digits: 3,
  drawn: planPoint,
  told: ([x, y]) => [x, -y],
  say: ([x, y]) => `on the plan at ${x.toFixed(2)} m east, ${y.toFixed(2)} m north`,
};

/** Pixels in SVG's own coordinates. */
export const inPicture = {
  step: 1,
  digits: 2,
  drawn: (point) => point,
  told: (point) => point,
  say: ([x, y]) => `in the picture at ${x.toFixed(1)}, ${y.toFixed(1)}`,
};

/** Path data through pixels. */
export const pixelPath = (points) => linePath(points.map(([x, y]) => [x, -y]));
