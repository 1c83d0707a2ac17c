/** Charts as plain SVG, each with a name that says what is in it, and with its numbers as a table beside it. */

import { html, svg } from "../elements.js";
import { timeOfDay } from "../format.js";

const [WIDTH, HEIGHT] = [560, 170];
const [LEFT, RIGHT, TOP, BOTTOM] = [34, 10, 10, 22];
const N_TIMES = 4;

/**
 * What is taken over time as a step line, above it what is unknown, under the line of all there is.
 *
 * @param {{atMs: number, value: number, unknown: number}[]} points
 */
export function timeChart(title, summary, points, most) {
  const [fromMs, untilMs] = [points[0].atMs, points.at(-1).atMs];
  const x = (atMs) => r(LEFT + ((WIDTH - LEFT - RIGHT) * (atMs - fromMs)) / Math.max(1, untilMs - fromMs));
  const y = (value) => r(HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / Math.max(1, most));
  const steps = (of) => points.map((point, i) => (i === 0 ? `M${x(point.atMs)} ${y(of(point))}` : `H${x(point.atMs)}V${y(of(point))}`)).join("");
  const taken = steps(({ value }) => value);
  const back = points.slice(1).reverse().map(({ atMs }, i) => `V${y(points[points.length - 1 - i].value)}H${x(points[points.length - 2 - i].atMs)}`).join("");
  const times = Array.from({ length: N_TIMES }, (_, i) => fromMs + ((untilMs - fromMs) * i) / (N_TIMES - 1));
  return figure(title, summary,
    grid(most, y),
    points.some(({ unknown }) => unknown > 0) ? svg("path", { class: "not-known", d: `${steps(({ value, unknown }) => value + unknown)}${back}Z` }) : null,
    svg("path", { class: "area", d: `${taken}V${y(0)}H${x(fromMs)}Z` }), svg("path", { class: "line", d: taken }),
    svg("path", { class: "capacity", d: `M${LEFT} ${y(most)}H${WIDTH - RIGHT}` }),
    times.map((at, i) => svg("text", { class: "axis", x: x(at), y: HEIGHT - 6, "text-anchor": i === 0 ? "start" : i === N_TIMES - 1 ? "end" : "middle" }, timeOfDay(at, untilMs))),
  );
}

/** Bars. @param {{name: string, values: {kind: string, value: number}[]}[]} groups */
export function barChart(title, summary, groups) {
  const most = Math.max(1, ...groups.flatMap(({ values }) => values.map(({ value }) => value)));
  const room = (WIDTH - LEFT - RIGHT) / groups.length;
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / most;
  const every = Math.ceil(groups.length / 8);
  return figure(title, summary, grid(most, y), groups.map(({ name, values }, i) => [
    values.map(({ kind, value }, j) => svg("rect", {
      class: "bar-of", "data-kind": kind, x: r(LEFT + room * i + room * (0.1 + (0.8 * j) / values.length)), y: r(y(value)), width: r((room * 0.8) / values.length), height: r(y(0) - y(value)),
    })),
    i % every === 0 ? svg("text", { class: "axis", x: r(LEFT + room * (i + 0.5)), y: HEIGHT - 6, "text-anchor": "middle" }, name) : null,
  ]));
}

/** The numbers of a chart, for whoever cannot see it. */
export function numbersOf(columns, rows) {
  return html("details", { class: "numbers" },
    html("summary", {}, "As a table"),
    html("div", { class: "wide" }, html("table", {},
      html("thead", {}, html("tr", {}, columns.map((column) => html("th", { scope: "col" }, column)))),
      html("tbody", {}, rows.map(([first, ...rest]) => html("tr", {}, html("th", { scope: "row" }, first), rest.map((one) => html("td", { class: "number" }, String(one)))))),
    )),
  );
}

function figure(title, summary, ...shapes) {
  return html("figure", { class: "chart" },
    html("figcaption", {}, html("strong", {}, title), ` ${summary}`),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${summary}` }, ...shapes),
  );
}

function grid(most, y) {
  const values = most <= 1 ? [0, 1] : [0, Math.round(most / 2), most];
  return values.map((value) => [
    svg("path", { class: "grid-line", d: `M${LEFT} ${r(y(value))}H${WIDTH - RIGHT}` }),
    svg("text", { class: "axis", x: LEFT - 6, y: r(y(value)) + 4, "text-anchor": "end" }, String(value)),
  ]);
}

const r = (value) => Math.round(value * 10) / 10;
