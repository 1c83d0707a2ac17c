"""``footprint.centres`` and ``footprint.covered`` of a frame's boxes by kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twin.events.observations import DetectedBox
from twin.spatial import ground
from twin.spatial.camera import Bools, GroundCamera
from twin.spatial.footprint import SIZE_M

Heading = tuple[float, float]
Place = tuple[float, float, float, float, float, float]
"""x, y, xx, xy, yy, and 1 where it is valid, else 0."""


def placed(camera: GroundCamera, boxes: Sequence[DetectedBox], headings: Sequence[Heading], is_covered: Bools) -> list[Place]:
    """Where the boxes of a frame lie, as ``centres`` tells; zeros where that is not valid."""
    if not boxes:
        return []
    rows = [
        (
            *box.box_px,
            *box.box_sigma_px,
            *heading,
            *SIZE_M[box.kind],
            "left" in box.truncated,
            "right" in box.truncated,
            "bottom" in box.truncated,
        )
        for box, heading in zip(boxes, headings, strict=True)
    ]
    return [tuple(row) for row in ground.placed(camera.numbers, np.array(rows, dtype=np.float64), is_covered).tolist()]


def ground_point(camera: GroundCamera, u: float, v: float) -> tuple[float, float] | None:
    """The ground point of a pixel; None where ``GroundCamera.to_ground`` is not valid."""
    is_valid, x, y, *_ = ground.to_ground(camera.numbers, u, v)
    return (x, y) if is_valid else None


def covered(boxes: Sequence[DetectedBox], others: Sequence[DetectedBox]) -> Bools:
    """As ``footprint.covered``."""
    if not boxes:
        return np.zeros(0, dtype=np.bool_)
    number: dict[str, int] = {}
    names = [number.setdefault(one.tracklet, len(number)) for one in (*boxes, *others)]
    corners = np.array([one.box_px for one in (*boxes, *others)], dtype=np.float64)
    return ground.covered(corners, np.array(names), len(boxes))
