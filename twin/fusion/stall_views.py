"""How a vehicle in each stall would appear to a camera, and how much of it would be in clear view in a frame.

That a frame shows nothing in a stall says only as much as the camera would see of a vehicle there: detectors miss what nearer
vehicles hide by half, however often they look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from msgspec import Struct

from site_models.schema import LevelId, Obstacle, Pinhole, Point, StallId
from twin.spatial.camera import GroundCamera
from twin.spatial.compiled import Bools, Floats, compiled
from twin.spatial.footprint import SIZE_M
from twin.spatial.placement import pixel
from twin.spatial.zones import Unit

BoxPx = tuple[float, float, float, float]

_LEAST_PX = 16.0  # high: less is hardly detected
_INSIDE_SHARE = 0.7  # of the box that must be in the frame
_NEARER_PX = 2.0
_ALIKE_ASIDE = 0.4  # of the narrower of two boxes: what shares so much with the stall's, and ...
_ALIKE_ABOVE, _ALIKE_BELOW = 0.45, 0.25  # ... ends no farther above or below, in its heights, may be of a vehicle in it
_SAME_OVERLAP = 0.7  # of their union: more is of this stall, whoever it was taken for
_ACROSS, _DOWN = 7, 5  # points at which a box is asked whether it is hidden
_BLOCKED_SHARE = 0.4  # of a vehicle behind walls and pillars: its camera is not asked


class StallPlace(Struct, frozen=True):
    """Where a stall is, for looking at it.

    Attributes:
        box_m: least x and y, greatest x and y.
        heading: unit vector of a vehicle in it.
    """

    id: StallId
    level: LevelId
    centre_m: tuple[float, float]
    box_m: tuple[float, float, float, float]
    heading: Unit


class StallView(Struct, frozen=True):
    """The box of a car in a stall as a camera would have it, cut to the frame."""

    place: StallPlace
    box_px: BoxPx


def views(
    camera: GroundCamera, places: Iterable[StallPlace], frame_px: tuple[int, int], obstacles: Sequence[Obstacle]
) -> Mapping[StallId, StallView]:
    """Stalls that a camera can tell empty when nothing drives or stands before them.

    Args:
        obstacles: walls and pillars of the camera's level.
    """
    return {place.id: StallView(place, box) for place in places if (box := _box(camera, place, frame_px, obstacles))}


class Covers(Struct, frozen=True):
    """What may hide stalls in a frame, or be of vehicles in them.

    Attributes:
        boxes_px: of the frame, and those that its camera has of what stands, or had a moment ago: what it missed now still
            hides what is behind it.
        stalls: of each, where the vehicle is parked that it is known to be of; None: it may be of any.
    """

    boxes_px: Sequence[BoxPx]
    stalls: Sequence[StallId | None]


def hidden(views: Sequence[StallView], covers: Covers) -> list[float]:
    """How much of a vehicle in each stall nearer boxes would hide; 1 where a box may be of that vehicle."""
    found = np.zeros(len(views))
    if len(views) and len(covers.boxes_px):
        _hidden(np.array([view.box_px for view in views]), np.array(covers.boxes_px), _elsewhere(views, covers), found)
    return found.tolist()


def _elsewhere(views: Sequence[StallView], covers: Covers) -> Bools:
    """(S, N) which boxes are of vehicles that are parked in another stall than each."""
    row_by_stall = {view.place.id: row for row, view in enumerate(views)}
    found = np.tile(np.array([stall is not None for stall in covers.stalls]), (len(views), 1))
    for column, stall in enumerate(covers.stalls):
        if stall is not None and (row := row_by_stall.get(stall)) is not None:
            found[row, column] = False
    return found


@compiled
def _hidden(boxes: Floats, covers: Floats, elsewhere: Bools, found: Floats) -> None:
    """As ``hidden``: (S, 4) boxes, (N, 4) covers, (S, N) which of these are of vehicles parked elsewhere, (S,) written to."""
    for n in range(len(boxes)):
        x1, y1, x2, y2 = boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3]
        is_alike = False
        for m in range(len(covers)):
            width = min(x2, covers[m, 2]) - max(x1, covers[m, 0])
            height = min(y2, covers[m, 3]) - max(y1, covers[m, 1])
            if width <= 0.0 or height <= 0.0:
                continue
            wide, high = covers[m, 2] - covers[m, 0], covers[m, 3] - covers[m, 1]
            if elsewhere[n, m]:
                both = width * height
                is_alike = both > _SAME_OVERLAP * ((x2 - x1) * (y2 - y1) + wide * high - both)
            else:
                lower = (covers[m, 3] - y2) / (y2 - y1)
                is_alike = width >= _ALIKE_ASIDE * min(x2 - x1, wide) and -_ALIKE_ABOVE <= lower <= _ALIKE_BELOW
            if is_alike:
                break
        if is_alike:
            found[n] = 1.0
            continue
        n_hidden = 0
        for i in range(_ACROSS):
            for j in range(_DOWN):
                u, v = x1 + (x2 - x1) * (i + 0.5) / _ACROSS, y1 + (y2 - y1) * (j + 0.5) / _DOWN
                for m in range(len(covers)):
                    is_nearer = covers[m, 3] > y2 + _NEARER_PX
                    if is_nearer and covers[m, 0] < u < covers[m, 2] and covers[m, 1] < v < covers[m, 3]:
                        n_hidden += 1
                        break
        found[n] = n_hidden / (_ACROSS * _DOWN)


def _box(camera: GroundCamera, place: StallPlace, frame_px: tuple[int, int], obstacles: Sequence[Obstacle]) -> BoxPx | None:
    """The box of a car in a stall; None where the camera cannot see it well enough."""
    (x, y), (width, height) = place.centre_m, frame_px
    east, north = x - camera.origin_m[0], y - camera.origin_m[1]
    if not east * east + north * north < camera.range_m * camera.range_m:
        return None
    corners = _corners(place)
    pixels = [pixel(camera, a, b, camera.elevation_m + c) for a, b, c in corners]
    seen = [one for one in pixels if one is not None]
    if len(seen) < len(pixels):
        return None
    us, vs = [u for u, _ in seen], [v for _, v in seen]
    x1, x2, y1, y2 = max(min(us), 0.0), min(max(us), float(width)), max(min(vs), 0.0), min(max(vs), float(height))
    if x2 <= x1 or y2 - y1 < _LEAST_PX:
        return None
    if (x2 - x1) * (y2 - y1) < _INSIDE_SHARE * (max(us) - min(us)) * (max(vs) - min(vs)):
        return None
    n_blocked = sum(any(_blocks(one, camera, corner) for one in obstacles) for corner in corners)
    return None if n_blocked > _BLOCKED_SHARE * len(corners) else (x1, y1, x2, y2)


def _corners(place: StallPlace) -> list[tuple[float, float, float]]:
    """Of a car in a stall: on the ground and at its roof, metres above the level."""
    (x, y), (hx, hy), (length, width, high) = place.centre_m, place.heading, SIZE_M["car"]
    ahead, aside = length / 2.0, width / 2.0
    return [
        (x + i * ahead * hx - j * aside * hy, y + i * ahead * hy + j * aside * hx, z)
        for z in (0.0, high)
        for i in (-1.0, 1.0)
        for j in (-1.0, 1.0)
    ]


def _blocks(obstacle: Obstacle, camera: GroundCamera, corner: tuple[float, float, float]) -> bool:
    """Whether a wall or pillar is higher than the sight from a camera to a point, where it crosses it."""
    if not isinstance(camera.geometry, Pinhole):
        return False  # nobody knows how high it hangs
    (cx, cy, cz), (x, y, z) = camera.geometry.position_m, corner
    eye_m = cz - camera.elevation_m
    outline = obstacle.outline_m
    ends = outline if obstacle.kind == "wall" else (*outline, outline[0])
    for one, other in pairwise(ends):
        along = _crossing((cx, cy), (x, y), one, other)
        if along is not None and eye_m + along * (z - eye_m) < obstacle.height_m:
            return True
    return False


def _crossing(a: Point, b: Point, c: Point, d: Point) -> float | None:
    """Where on the way from a to b, 0..1, it crosses the one from c to d; None where it does not."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = a, b, c, d
    turn = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
    if math.isclose(turn, 0.0, abs_tol=1e-12):
        return None
    along = ((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx)) / turn
    across = ((cx - ax) * (by - ay) - (cy - ay) * (bx - ax)) / turn
    return along if 0.0 <= along <= 1.0 and 0.0 <= across <= 1.0 else None
