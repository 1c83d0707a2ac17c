"""One camera's geometry in the text of a ``cameras.toml``; all else stays as it was written, comments and all."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from site_models.dump import geometry_lines, text_of
from site_models.schema import CameraGeometry
from twin.errors import BadInput

_HEADER = re.compile(r"\s*\[\[\s*cameras\s*\]\]")
_TABLE = re.compile(r"\s*\[")
_KEY = re.compile(r"\s*([A-Za-z_]+)\s*=")
_REPLACED = frozenset(("fx", "fy", "cx", "cy", "focal_px", "hfov_deg", "distortion", "position_m", "rotation", "look_at_m")) | {
    "homography",
    "pairs",
    "sigma_m",
}


def with_geometry(text: str, camera: str, geometry: CameraGeometry, sigma_m: float) -> str:
    """The file's text with one camera's lens, pose and ``sigma_m`` put in the place of what it had.

    Args:
        text: a valid ``cameras.toml`` that has the camera as a ``[[cameras]]`` table.

    Raises:
        BadInput: it does not.
    """
    lines, told = text.splitlines(), [*geometry_lines(geometry), f"sigma_m = {sigma_m}"]
    for first, end in _tables(lines):
        if tomllib.loads("\n".join(lines[first:end]))["cameras"][0].get("id") == camera:
            return "\n".join([*lines[:first], *_table(lines[first:end], told), *lines[end:]]) + "\n"
    raise BadInput(f"cameras.toml has no table [[cameras]] with the id '{camera}'; write it so, one table a camera")


def with_camera(text: str, camera: str, level: str, frame_px: tuple[int, int], geometry: CameraGeometry, sigma_m: float) -> str:
    """The file's text with one more camera at its end."""
    head = ["", "[[cameras]]", f"id = {text_of(camera)}", f"level = {text_of(level)}"]
    head += [f"width = {frame_px[0]}", f"height = {frame_px[1]}"]
    return text.rstrip("\n") + "\n" + "\n".join([*head, *geometry_lines(geometry), f"sigma_m = {sigma_m}"]) + "\n"


def _tables(lines: list[str]) -> Iterator[tuple[int, int]]:
    """First line, and the line after the last, of each camera's table."""
    heads = [index for index, line in enumerate(lines) if _HEADER.match(line)]
    for head, following in zip(heads, [*heads[1:], len(lines)], strict=True):
        tables = (index for index in range(head + 1, following) if _TABLE.match(lines[index]) and _is_whole(lines[head:index]))
        yield head, next(tables, following)


def _table(lines: list[str], told: list[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    place: int | None = None
    while at < len(lines):
        found = _KEY.match(lines[at])
        length = _length(lines[at:]) if found else 1
        if found and found[1] in _REPLACED:
            place = len(kept) if place is None else place
        else:
            kept += lines[at : at + length]
        at += length
    place = len(kept) if place is None else place
    return [*kept[:place], *told, *kept[place:]]


def _length(lines: list[str]) -> int:
    """How many lines the first key's value takes."""
    return next((n for n in range(1, len(lines) + 1) if _is_whole(lines[:n])), 1)


def _is_whole(lines: list[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True
