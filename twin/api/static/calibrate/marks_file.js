/** Files of marks: JSON as this page saves it, or tables of commas as `twin calibrate` reads them. Knows nothing of the page. */

const PAIRS = ["pixel_x", "pixel_y", "ground_x_m", "ground_y_m"];
const LINES = ["line", "pixel_x", "pixel_y"];
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** {pairs, lines} of a file; a table has one of them. Throws an Error in words for the person where it is not one of marks. */
export const readMarks = (text, frame_px) => (text.trimStart().startsWith("{") ? fromJson(text, frame_px) : fromTable(text));

function fromJson(text, frame_px) {
  const file = parsed(text);
  if (file.schema !== "twin.marks/1") throw new Error("This file has no marks: its schema is not twin.marks/1.");
  if (file.frame_px && String(file.frame_px) !== String(frame_px)) throw new Error(`These marks are of a picture of ${file.frame_px.join(" × ")}; this camera has ${frame_px.join(" × ")}.`);
  const pairs = (file.pairs ?? []).map(({ pixel_px, ground_m }) => ({ pixel: pixel_px, ground: ground_m }));
  if (!pairs.every(({ pixel, ground }) => isPoint(pixel) && isPoint(ground))) throw new Error("A pair of this file is not two numbers in the picture and two on the ground.");
  return { pairs, lines: (file.lines_px ?? []).filter((line) => line.every(isPoint)) };
}

function fromTable(text) {
  const [header, ...rows] = text.split(/\r\n|\r|\n/).map(cellsOf);
  const told = rows.flatMap((cells, at) => (cells.length === 0 ? [] : [{ line: at + 2, of: new Map(header.map((name, column) => [name, cells[column] ?? ""])) }]));
  if (PAIRS.every((name) => header.includes(name))) return { pairs: told.map(pairOf) };
  if (LINES.every((name) => header.includes(name))) return { lines: linesOf(told) };
  throw new Error(`This file has no marks: it is not what this page saves, and no table whose first line is ${PAIRS.join(",")} or ${LINES.join(",")}.`);
}

const pairOf = (row) => ({ pixel: pixelOf(row), ground: [numberOf(row, "ground_x_m"), numberOf(row, "ground_y_m")] });

const pixelOf = (row) => [numberOf(row, "pixel_x"), numberOf(row, "pixel_y")];

function linesOf(rows) {
  const lines = new Map();
  for (const row of rows) lines.set(row.of.get("line"), [...(lines.get(row.of.get("line")) ?? []), pixelOf(row)]);
  for (const [name, points] of lines) if (points.length < 3) throw new Error(`Line “${name}” has ${points.length} points; a line says something from three on.`);
  return [...lines.values()];
}

function numberOf({ line, of }, name) {
  const text = of.get(name).trim();
  if (!NUMBER.test(text)) throw new Error(`Line ${line} of the file: ${name} is “${text}”, which is no number.`);
  return Number(text);
}

/** The cells of one line, quoted ones without their quotes; none of an empty line. */
function cellsOf(line) {
  if (line === "") return [];
  return [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => (quoted === undefined ? plain : quoted.replaceAll('""', '"')));
}

const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("This file is not JSON.");
  }
}
