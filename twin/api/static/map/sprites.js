/**
 * Vehicles as small pictures, drawn once for each kind, state and direction, and then only copied.
 *
 * A copied picture costs a tenth of a path filled and stroked anew. Directions are rounded to a 128th of a turn,
 * which moves a car's nose by less than 6 cm. What would be large is drawn as a path instead: then few are in view.
 */

import { shapeOf, sizeOf } from "./vehicle_shape.js";

const TURNS = 128;
const EDGE_PX = 2;
const LARGEST_PX = 96;
const ELLIPSE_TURNS = 24; // of half a turn
const MOST_PICTURES = 4_000;
const ELLIPSES = { moving: { colour: "moving", fill: 0.1, stroke: 0.55 }, parked: { colour: "parked", fill: 0, stroke: 0.35 } };

const shapes = new Map(); // kind -> {hull, glass} as Path2D

export class Sprites {
  #pictures = new Map();
  #key = "";
  #scale = 1;
  #ratio = 1;
  #colours = null;

  /** Forget all pictures where they would look different. @param scale device pixels a metre @param ratio device pixels a CSS pixel */
  suit(scale, ratio, colours) {
    const key = `${scale.toFixed(4)} ${ratio}`;
    if (key === this.#key && colours === this.#colours) return;
    [this.#key, this.#scale, this.#ratio, this.#colours] = [key, scale, ratio, colours];
    this.#pictures.clear();
  }

  /** Draw one at (x, y) in device pixels, with `heading_deg` counter-clockwise from the right. */
  draw(context, kind, state, x, y, heading_deg) {
    const turn = ((Math.round((heading_deg * TURNS) / 360) % TURNS) + TURNS) % TURNS;
    const side = Math.ceil(Math.hypot(...sizeOf(kind)) * this.#scale) + 2 * EDGE_PX;
    if (side > LARGEST_PX * this.#ratio) {
      this.#paint(context, kind, state, x, y, heading_deg);
      return;
    }
    const key = `${kind} ${state} ${turn}`;
    const picture = this.#pictures.get(key) ?? this.#make(key, kind, state, side, (turn * 360) / TURNS);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(picture, Math.round(x - side / 2), Math.round(y - side / 2));
  }

  /** Draw a 95 % ellipse around (x, y) in device pixels; radii are rounded to half a pixel. */
  drawEllipse(context, state, { major_m, minor_m, angle }, x, y) {
    const [rx, ry] = [major_m, minor_m].map((radius_m) => Math.max(0.5, Math.round(radius_m * this.#scale * 2) / 2));
    const step = Math.PI / ELLIPSE_TURNS;
    const turn = ((Math.round(angle / step) % ELLIPSE_TURNS) + ELLIPSE_TURNS) % ELLIPSE_TURNS;
    const style = ELLIPSES[state] ?? ELLIPSES.moving;
    const side = 2 * (Math.ceil(rx) + EDGE_PX);
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (side > LARGEST_PX * this.#ratio) {
      this.#paintEllipse(context, style, x, y, rx, ry, angle);
      return;
    }
    const key = `${style.colour} ${rx} ${ry} ${turn}`;
    let picture = this.#pictures.get(key);
    if (!picture) {
      picture = this.#keep(key, side);
      this.#paintEllipse(picture.getContext("2d"), style, side / 2, side / 2, rx, ry, turn * step);
    }
    context.drawImage(picture, Math.round(x - side / 2), Math.round(y - side / 2));
  }

  /** The outline of a kind, in metres around its centre. */
  static hullOf(kind) {
    return shapeFor(kind).hull;
  }

  #make(key, kind, state, side, heading_deg) {
    const picture = this.#keep(key, side);
    this.#paint(picture.getContext("2d"), kind, state, side / 2, side / 2, heading_deg);
    return picture;
  }

  #keep(key, side) {
    if (this.#pictures.size >= MOST_PICTURES) this.#pictures.clear();
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = [side, side];
    this.#pictures.set(key, picture);
    return picture;
  }

  #paintEllipse(context, { colour, fill, stroke }, x, y, rx, ry, angle) {
    context.beginPath();
    context.ellipse(x, y, rx, ry, angle, 0, 2 * Math.PI);
    context.fillStyle = this.#colours[colour];
    context.globalAlpha = fill;
    if (fill > 0) context.fill();
    context.strokeStyle = this.#colours[colour];
    context.globalAlpha = stroke;
    context.lineWidth = this.#ratio;
    context.stroke();
    context.globalAlpha = 1;
  }

  #paint(context, kind, state, x, y, heading_deg) {
    const { hull, glass } = shapeFor(kind);
    const { moving, parked, accent, surface, glass: pane } = this.#colours;
    const colour = { parked, chosen: accent }[state] ?? moving;
    const [cos, sin] = turned(heading_deg);
    const s = this.#scale;
    const isHidden = state === "hidden";
    context.setTransform(s * cos, s * sin, -s * sin, s * cos, x, y);
    context.lineWidth = ((isHidden ? 1.5 : 1) * this.#ratio) / s;
    context.setLineDash(isHidden ? [(3 * this.#ratio) / s, (3 * this.#ratio) / s] : []);
    context.fillStyle = colour;
    context.globalAlpha = isHidden ? 0.12 : 1;
    context.fill(hull);
    context.globalAlpha = 1;
    context.strokeStyle = isHidden ? colour : surface;
    context.stroke(hull);
    context.fillStyle = pane;
    context.globalAlpha = isHidden ? 0.3 : 1;
    context.fill(glass);
    context.globalAlpha = 1;
    context.setLineDash([]);
  }
}

/** The canvas' y points down, so a heading turns the other way. */
function turned(heading_deg) {
  const angle = (-heading_deg * Math.PI) / 180;
  return [Math.cos(angle), Math.sin(angle)];
}

function shapeFor(kind) {
  let shape = shapes.get(kind);
  if (!shape) {
    const { hull, glass } = shapeOf(kind);
    shape = { hull: new Path2D(hull), glass: new Path2D(glass) };
    shapes.set(kind, shape);
  }
  return shape;
}
