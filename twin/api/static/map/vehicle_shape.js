/** Vehicles from above, by kind: metres, nose along +x, centre at the origin. */

const SIZE_M = {
  car: [4.5, 1.85],
  van: [5.4, 2.05],
  truck: [8.5, 2.5],
  bus: [12, 2.55],
  motorcycle: [2.2, 0.8],
  bicycle: [1.8, 0.6],
};

/** Length and width in metres; an unknown kind is drawn as a car. */
export const sizeOf = (kind) => SIZE_M[kind] ?? SIZE_M.car;

/** {hull, glass}: SVG path data of the outline and of the windows that tell front from back. */
export function shapeOf(kind) {
  const [length, width] = sizeOf(kind);
  const [x, y] = [length / 2, width / 2];
  if (kind === "motorcycle" || kind === "bicycle") {
    return { hull: rounded(-x, -y * 0.55, x, y * 0.55, y * 0.5), glass: `M${x * 0.35} ${-y}L${x * 0.55} ${-y}L${x * 0.55} ${y}L${x * 0.35} ${y}Z` };
  }
  const nose = kind === "car" ? 0.3 : 0.78; // where the windscreen's foot is, as a share of the half length
  const hull = rounded(-x, -y, x, y, Math.min(0.5, y * 0.55));
  const screen = trapezoid(x * nose, x * (nose - 0.26), y * 0.84, y * 0.68);
  const rear = kind === "car" ? trapezoid(-x * 0.74, -x * 0.55, y * 0.76, y * 0.64) : "";
  return { hull, glass: screen + rear };
}

function trapezoid(outer, inner, outerHalf, innerHalf) {
  return `M${outer} ${-outerHalf}L${inner} ${-innerHalf}L${inner} ${innerHalf}L${outer} ${outerHalf}Z`;
}

function rounded(x1, y1, x2, y2, r) {
  const corner = (dx, dy) => `a${r} ${r} 0 0 1 ${dx * r} ${dy * r}`;
  return `M${x1 + r} ${y1}H${x2 - r}${corner(1, 1)}V${y2 - r}${corner(-1, 1)}H${x1 + r}${corner(-1, -1)}V${y1 + r}${corner(1, -1)}Z`;
}
