/**
 * Draws vehicles on two canvases over the plan: trails, which change when a report comes, and vehicles, which change every frame.
 *
 * All trails are one path; vehicles and their ellipses are small pictures, see `Sprites`.
 */

import { shortId } from "../format.js";
import { Palette } from "./palette.js";
import { Sprites } from "./sprites.js";
import { Surface } from "./surface.js";
import { sizeOf } from "./vehicle_shape.js";

const MARGIN_PX = 60;
const LABEL_FONT = "650 12px system-ui, sans-serif";
const LABEL_UP_PX = 16;
const RAMP_ALPHA = 0.45;
const TOUCH_PX = 14;
const TRAIL_SHARE = 0.7; // of a vehicle's width
const TRAIL_STEP_PX = 4; // nearer points bend a trail by less than is seen

export class Painter {
  trails = new Surface("trails");
  vehicles = new Surface("vehicles");
  options = { hasTrails: true, hasUncertainty: true, hasNames: false, isPast: false };
  #palette;
  #sprites = new Sprites();
  #labels = new Map(); // id -> picture
  #labelled = null; // the colours and the ratio that they were made with

  /** @param {HTMLElement} root the map's section @param changed called when all must be drawn again */
  constructor(root, changed) {
    this.#palette = new Palette(root, changed);
  }

  follow(view) {
    this.trails.follow(view);
    this.vehicles.follow(view);
  }

  drawTrails(shown) {
    const { context } = this.trails;
    this.trails.clear();
    if (!this.options.hasTrails) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    for (const { trail_m, vehicle } of shown) ribbon(this.trails, trail_m, sizeOf(vehicle.kind)[1] * TRAIL_SHARE);
    context.fillStyle = this.options.isPast ? this.#palette.colours.past : this.#palette.colours.moving;
    context.globalAlpha = 0.22;
    context.fill();
    context.globalAlpha = 1;
  }

  /**
   * @param shown the vehicles of the level
   * @param ramps vehicles of another level that are on their way to this one
   * @param marked {selected, hovered, focused}: ids, or null; `seen`: a set of ids, of those in a picture beside the map
   */
  drawVehicles(shown, ramps, marked) {
    const surface = this.vehicles;
    const { context } = surface;
    this.#sprites.suit(surface.scale, surface.ratio, this.#palette.colours);
    surface.clear();
    const seen = [...shown].filter(({ point_m }) => surface.isNear(surface.x(point_m[0]), surface.y(point_m[1]), MARGIN_PX * surface.ratio));
    if (this.options.hasUncertainty) this.#drawEllipses(seen);
    context.globalAlpha = RAMP_ALPHA;
    for (const one of ramps) this.#drawBody(one, "hidden");
    context.globalAlpha = 1;
    const last = [];
    for (const one of seen) {
      const id = one.vehicle.vehicle;
      if (id === marked.selected || id === marked.focused || marked.seen.has(id)) last.push(one);
      else this.#drawBody(one, one.vehicle.state);
    }
    for (const one of last) this.#drawMarked(one, marked);
    this.#drawNames(seen, marked);
  }

  forgetName(id) {
    this.#labels.delete(id);
  }

  #drawBody({ vehicle, point_m, heading_deg }, state) {
    const { context } = this.vehicles;
    this.#sprites.draw(context, vehicle.kind, state, this.vehicles.x(point_m[0]), this.vehicles.y(point_m[1]), heading_deg);
  }

  #drawMarked(one, { selected, focused, seen }) {
    const { vehicle } = one.vehicle;
    const colours = this.#palette.colours;
    if (seen.has(vehicle)) this.#drawEdge(one, colours.shown, 1);
    if (vehicle === selected || vehicle === focused) this.#drawEdge(one, colours.accent, vehicle === focused ? 1 : 0.55);
    this.#drawBody(one, vehicle === selected ? "chosen" : one.vehicle.state);
  }

  #drawEdge({ vehicle, point_m, heading_deg }, colour, alpha) {
    const { context, scale, ratio } = this.vehicles;
    context.setTransform(1, 0, 0, 1, this.vehicles.x(point_m[0]), this.vehicles.y(point_m[1]));
    context.rotate((-heading_deg * Math.PI) / 180);
    context.scale(scale, scale);
    context.lineJoin = "round";
    context.lineWidth = (9 * ratio) / scale;
    context.strokeStyle = colour;
    context.globalAlpha = alpha;
    context.stroke(Sprites.hullOf(vehicle.kind));
    context.globalAlpha = 1;
  }

  #drawEllipses(seen) {
    const surface = this.vehicles;
    for (const { vehicle, point_m, ellipse } of seen) {
      if (ellipse) this.#sprites.drawEllipse(surface.context, vehicle.state, ellipse, surface.x(point_m[0]), surface.y(point_m[1]));
    }
  }

  #drawNames(seen, { selected, hovered, focused }) {
    const isSaid = ({ vehicle: { vehicle } }) => this.options.hasNames || vehicle === selected || vehicle === hovered || vehicle === focused;
    const { context, ratio } = this.vehicles;
    const key = `${ratio} ${this.#palette.colours.ink} ${this.#palette.colours.halo}`;
    if (key !== this.#labelled) this.#labels.clear();
    this.#labelled = key;
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const one of seen) {
      if (!isSaid(one)) continue;
      const label = this.#label(one.vehicle.vehicle);
      const [x, y] = [this.vehicles.x(one.point_m[0]), this.vehicles.y(one.point_m[1])];
      context.drawImage(label, Math.round(x - label.width / 2), Math.round(y - LABEL_UP_PX * ratio - label.height));
    }
  }

  #label(id) {
    let picture = this.#labels.get(id);
    if (picture) return picture;
    picture = document.createElement("canvas");
    const context = picture.getContext("2d");
    context.font = LABEL_FONT;
    const text = shortId(id);
    const { ratio } = this.vehicles;
    [picture.width, picture.height] = [Math.ceil((context.measureText(text).width + 6) * ratio), 18 * ratio];
    context.scale(ratio, ratio);
    context.font = LABEL_FONT;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = this.#palette.colours.halo;
    context.strokeText(text, 3, 9);
    context.fillStyle = this.#palette.colours.ink;
    context.fillText(text, 3, 9);
    this.#labels.set(id, picture);
    return picture;
  }

  /** The vehicle at a place in device pixels, or null: the nearest whose outline, or a finger's breadth, is there. */
  at(shown, x, y) {
    const surface = this.vehicles;
    let best = null;
    let nearest = Infinity;
    for (const one of shown) {
      const away = Math.hypot(surface.x(one.point_m[0]) - x, surface.y(one.point_m[1]) - y);
      const reach = Math.max(TOUCH_PX * surface.ratio, (sizeOf(one.vehicle.kind)[1] / 2) * surface.scale);
      if (away < nearest && (away <= reach || this.#covers(one, x, y))) [best, nearest] = [one, away];
    }
    return best;
  }

  #covers({ vehicle, point_m, heading_deg }, x, y) {
    const { scale } = this.vehicles;
    const [dx, dy] = [x - this.vehicles.x(point_m[0]), y - this.vehicles.y(point_m[1])];
    const angle = (heading_deg * Math.PI) / 180;
    const [along, across] = [dx * Math.cos(angle) - dy * Math.sin(angle), dx * Math.sin(angle) + dy * Math.cos(angle)];
    const [length, width] = sizeOf(vehicle.kind);
    return Math.abs(along) <= (length / 2) * scale && Math.abs(across) <= (width / 2) * scale;
  }
}

/** Add a ribbon to the path: from nothing at a trail's oldest point to its width at the newest. */
function ribbon(surface, trail_m, width_m) {
  if (!trail_m || trail_m.length < 2) return;
  const points = thinned(surface, trail_m);
  const n = points.length;
  if (n < 2) return;
  const { context } = surface;
  const half = (width_m * surface.scale) / 2;
  const edge = (i, side) => {
    const [[ax, ay], [bx, by]] = [points[Math.max(0, i - 1)], points[Math.min(n - 1, i + 1)]];
    const reach = (half * (i / (n - 1)) * side) / (Math.hypot(bx - ax, by - ay) || 1);
    return [points[i][0] - (by - ay) * reach, points[i][1] + (bx - ax) * reach];
  };
  context.moveTo(...points[0]);
  for (let i = 1; i < n; i += 1) context.lineTo(...edge(i, 1));
  for (let i = n - 1; i > 0; i -= 1) context.lineTo(...edge(i, -1));
}

/** A trail's points in device pixels, without those that lie near the one before; the newest stays. */
function thinned(surface, trail_m) {
  const points = [];
  let last = null;
  trail_m.forEach(([x_m, y_m], i) => {
    const point = [surface.x(x_m), surface.y(y_m)];
    if (last && i < trail_m.length - 1 && Math.abs(point[0] - last[0]) + Math.abs(point[1] - last[1]) < TRAIL_STEP_PX * surface.ratio) return;
    points.push(point);
    last = point;
  });
  return points;
}
