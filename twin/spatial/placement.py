"""``footprint.centres`` and ``footprint.covered`` of a frame's boxes by kernels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from twin.events.observations import DetectedBox
from twin.spatial import ground
from twin.spatial.camera import Bools, Floats, GroundCamera
from twin.spatial.footprint import SIZE_M

Heading = tuple[float, float]
Place = tuple[float, float, float, float, float, float]
"""x, y, xx, xy, yy, and 1 where it is valid, else 0."""


_WHOLE = (False, False, False)
_N_NUMBERS = 14


def placed(camera: GroundCamera, boxes: Sequence[DetectedBox], headings: Sequence[Heading], is_covered: Bools) -> list[Place]:
    """Where the boxes of a frame lie, as ``centres`` tells; zeros where that is not valid."""
    if not boxes:
        return []
    rows = [
        (*box.box_px, *box.box_sigma_px, *heading, *SIZE_M[box.kind], *(_cuts(box) if box.truncated else _WHOLE))
        for box, heading in zip(boxes, headings, strict=True)
    ]
    numbers = np.fromiter(chain.from_iterable(rows), np.float64, _N_NUMBERS * len(rows)).reshape(-1, _N_NUMBERS)
    found = np.zeros((len(boxes), 6))
    ground.placed(camera.numbers, numbers, is_covered, found)
    places: list[list[float]] = found.tolist()
    return [(x, y, xx, xy, yy, is_valid) for x, y, xx, xy, yy, is_valid in places]


def _cuts(box: DetectedBox) -> tuple[bool, bool, bool]:
    """Whether the frame cuts a box on the left, on the right, below."""
    return "left" in box.truncated, "right" in box.truncated, "bottom" in box.truncated


def ground_point(camera: GroundCamera, u: float, v: float) -> tuple[float, float] | None:
    """The ground point of a pixel; None where ``GroundCamera.to_ground`` is not valid."""
    is_valid, x, y, *_ = ground.to_ground(camera.numbers, u, v)
    return (x, y) if is_valid else None


def pixel(camera: GroundCamera, x: float, y: float, z: float) -> tuple[float, float] | None:
    """Where a point appears; None where ``GroundCamera.to_pixels`` has it not in front."""
    is_in_front, u, v = ground.to_pixel(camera.numbers, x, y, z)
    return (u, v) if is_in_front else None


def pixels(camera: GroundCamera, places_m: Floats, above_m: float) -> Floats:
    """(N, 2) where points above the level's ground appear; not a number for one behind the camera or out of its range.

    Args:
        places_m: (N, 2) x, y; more columns are let be.
    """
    found = np.empty((len(places_m), 2))
    ground.to_pixels(camera.numbers, places_m, above_m, found)
    return found


def corners_of(boxes: Sequence[DetectedBox]) -> Floats:
    """(N, 4) x1, y1, x2, y2 of boxes."""
    return np.fromiter(chain.from_iterable([box.box_px for box in boxes]), np.float64, 4 * len(boxes)).reshape(-1, 4)


def covered(boxes: Sequence[DetectedBox], others: Sequence[DetectedBox], corners: Floats | None = None) -> Bools:
    """As ``footprint.covered`` by these boxes themselves and by others of the frame.

    Args:
        corners: as of ``corners_of``, of both, where they are known.
    """
    if not boxes:
        return np.zeros(0, dtype=np.bool_)
    every = [*boxes, *others]
    number = {name: n for n, name in enumerate([one.tracklet for one in every])}
    names = np.arange(len(every)) if len(number) == len(every) else np.array([number[one.tracklet] for one in every])
    found = np.zeros(len(boxes), dtype=np.bool_)
    ground.covered(corners_of(every) if corners is None else corners, names, found)
    return found
