/** A canvas over the plan that is as large as the map, in the pixels of the screen; one of several in drawing order. */

const MOST_RATIO = 2; // finer pixels are not seen on a moving thing, and cost four times as much

export class Surface {
  canvas = document.createElement("canvas");
  context = this.canvas.getContext("2d");
  ratio = 1;
  scale = 1; // device pixels a metre
  #origin = [0, 0]; // device pixels of the plan's (0, 0)

  constructor(name) {
    this.canvas.className = "map-canvas";
    this.canvas.dataset.canvas = name;
    this.canvas.setAttribute("aria-hidden", "true");
  }

  /** Show what the map shows. @param view {centre, scale, size} in plan coordinates and CSS pixels */
  follow({ centre: [x, y], scale, size: [width, height] }) {
    this.ratio = Math.min(MOST_RATIO, devicePixelRatio || 1);
    const wanted = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
    if (this.canvas.width !== wanted[0] || this.canvas.height !== wanted[1]) [this.canvas.width, this.canvas.height] = wanted;
    this.scale = scale * this.ratio;
    this.#origin = [wanted[0] / 2 - x * this.scale, wanted[1] / 2 - y * this.scale];
  }

  clear() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Device pixels of a point of the site frame. */
  x(x_m) {
    return this.#origin[0] + x_m * this.scale;
  }

  y(y_m) {
    return this.#origin[1] - y_m * this.scale;
  }

  /** Whether a point is in view, or so near to it that what is drawn around it may be. */
  isNear(x, y, margin) {
    return x > -margin && y > -margin && x < this.canvas.width + margin && y < this.canvas.height + margin;
  }
}
