"""The plan as a camera sees it: stalls, zones, lanes and portals as lines of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from msgspec import Struct

from site_models.schema import Lane, Point, Site, Zone
from twin.spatial.camera import GroundCamera

_STEP_M = 1.0
_MOST_STEPS = 60
_ASTRAY_M = 0.05  # how far a point may come back from where it was: farther, the lens model folds there
_FAR_M = 1e5
_SLACK_PX = 0.5


Kind = Literal["zone", "stall", "lane", "portal"]


class DrawnLine(Struct, frozen=True, kw_only=True):
    """A piece of an outline or a line; what the camera does not see is left out, so one feature may have several.

    Attributes:
        points_px: bent as the lens bends them.
    """

    kind: Kind
    id: str
    points_px: list[tuple[float, float]]


def plan_in_picture(site: Site, level: str, camera: GroundCamera) -> list[DrawnLine]:
    """Everything on a level that the camera sees within its range."""
    lines: list[tuple[Kind, str, list[Point]]] = [(kind, name, _dense(points)) for kind, name, points in _lines(site, level)]
    places = np.array([place for _, _, dense in lines for place in dense], dtype=np.float64).reshape(-1, 2)
    pixels, is_seen = _pixels(camera, places)
    drawn: list[DrawnLine] = []
    begin = 0
    for kind, name, dense in lines:
        rows = slice(begin, begin + len(dense))
        begin += len(dense)
        for points in _runs(pixels[rows], is_seen[rows]):
            drawn.append(DrawnLine(kind=kind, id=name, points_px=points))
    return drawn


def _lines(site: Site, level: str) -> Iterator[tuple[Kind, str, Sequence[Point]]]:
    for one in (*site.zones, *site.stalls):
        if one.level == level:
            yield ("zone" if isinstance(one, Zone) else "stall"), one.id, (*one.ring_m, one.ring_m[0])
    for one in (*site.lanes, *site.portals):
        if one.level == level:
            yield "lane" if isinstance(one, Lane) else "portal", one.id, one.line_m


def _dense(points: Sequence[Point]) -> list[Point]:
    dense = [points[0]]
    for (ax, ay), (bx, by) in pairwise(points):
        n = min(max(1, math.ceil(math.hypot(bx - ax, by - ay) / _STEP_M)), _MOST_STEPS)
        dense += [(ax + (bx - ax) * step / n, ay + (by - ay) * step / n) for step in range(1, n + 1)]
    return dense


def _pixels(camera: GroundCamera, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of places, and which are seen: in the frame and in range, and where the lens model can be inverted."""
    seen = camera.to_pixels(np.column_stack((places, np.full(len(places), camera.elevation_m))))
    back = GroundCamera(camera.geometry, camera.frame_px, camera.elevation_m, 0.0, _FAR_M).to_ground(
        seen.points_px, np.ones_like(seen.points_px)
    )
    is_true = back.is_valid & (np.abs(back.points_m - places).max(axis=1, initial=0.0) < _ASTRAY_M)
    is_inside = ((seen.points_px >= -_SLACK_PX) & (seen.points_px <= np.add(camera.frame_px, _SLACK_PX))).all(axis=1)
    away = np.hypot(*(places - camera.origin_m).T) if len(places) else np.zeros(0)
    return seen.points_px, seen.is_in_front & is_true & is_inside & (away <= camera.range_m)


def _runs(pixels: np.ndarray, is_seen: np.ndarray) -> Iterator[list[tuple[float, float]]]:
    run: list[tuple[float, float]] = []
    for (x, y), is_one in zip(pixels.tolist(), is_seen.tolist(), strict=True):
        if is_one:
            run.append((round(x, 1), round(y, 1)))
        elif run:
            if len(run) > 1:
                yield run
            run = []
    if len(run) > 1:
        yield run
