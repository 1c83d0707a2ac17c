"""Marked points and lines from a file: JSON as the calibration page saves it, or tables of commas."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from site_models.schema import Point
from twin.errors import BadInput
from twin.events.faults import told
from twin.spatial.calibration import MAX_PAIRS, Pair

PAIR_COLUMNS = ("pixel_x", "pixel_y", "ground_x_m", "ground_y_m")
LINE_COLUMNS = ("line", "pixel_x", "pixel_y")
_SEE = "see ops/docs/calibration.md"


class MarkedPair(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pixel of the full frame and its ground, metres in the site frame; ``name`` is for people."""

    pixel_px: Point
    ground_m: Point
    name: str = ""


class MarksFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of marks.

    Attributes:
        frame_px: width and height of the picture that they were marked in.
        camera: which one, for people.
    """

    schema: Literal["twin.marks/1"] = "twin.marks/1"
    pairs: Annotated[tuple[MarkedPair, ...], Meta(max_length=MAX_PAIRS)]
    lines_px: tuple[Annotated[tuple[Point, ...], Meta(min_length=3)], ...] = ()
    frame_px: tuple[int, int] | None = None
    camera: str = ""

    def given(self) -> tuple[Pair, ...]:
        """The pairs as the calibration takes them."""
        return tuple(Pair(pixel_px=one.pixel_px, ground_m=one.ground_m) for one in self.pairs)


def read_marks(path: Path, lines: Path | None = None) -> MarksFile:
    """Pairs of a ``.json`` or ``.csv`` file, with the lines of another file in the place of its own.

    Raises:
        BadInput: a file cannot be read; says which line or field.
    """
    marks = _from_json(path) if path.suffix == ".json" else MarksFile(pairs=_pairs(path))
    if lines is None:
        return marks
    drawn = _from_json(lines).lines_px if lines.suffix == ".json" else _lines(lines)
    return msgspec.structs.replace(marks, lines_px=drawn)


def _from_json(path: Path) -> MarksFile:
    try:
        return msgspec.json.decode(_text(path), type=MarksFile)
    except msgspec.ValidationError as wrong:
        raise BadInput(f"'{path}' cannot be used: {told(wrong, MarksFile)}; {_SEE}") from None
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise BadInput(f"'{path}' is not JSON: {wrong}; {_SEE}") from None


def _pairs(path: Path) -> tuple[MarkedPair, ...]:
    rows = _rows(path, PAIR_COLUMNS)
    if len(rows) > MAX_PAIRS:
        raise BadInput(f"'{path}' has {len(rows)} pairs; at most {MAX_PAIRS} can be used: leave some out")
    numbers = [tuple(_number(path, line, row, name) for name in PAIR_COLUMNS) for line, row in rows]
    return tuple(MarkedPair(pixel_px=(u, v), ground_m=(x, y)) for u, v, x, y in numbers)


def _lines(path: Path) -> tuple[tuple[Point, ...], ...]:
    lines: dict[str, list[Point]] = {}
    for line, row in _rows(path, LINE_COLUMNS):
        point = (_number(path, line, row, "pixel_x"), _number(path, line, row, "pixel_y"))
        lines.setdefault(row["line"], []).append(point)
    for name, points in lines.items():
        if len(points) < 3:
            raise BadInput(f"'{path}': line '{name}' has {len(points)} points; a line says something from three on")
    return tuple(tuple(points) for points in lines.values())


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(_text(path).splitlines())
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise BadInput(f"'{path}' has no column {', '.join(missing)}; its first line must be {','.join(columns)}")
    return [(reader.line_num, row) for row in reader]


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name] or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"'{path}' line {line}: {name} is '{row[name]}', which is no number; correct it there")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets begin a table with a byte order mark
    except UnicodeDecodeError as wrong:
        raise BadInput(f"'{path}' is not UTF-8 at byte {wrong.start}; save it as UTF-8") from None
