"""Boxes on the ground, and places in pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twin.events.observations import DetectedBox
from twin.spatial.camera import Bools, GroundCamera
from twin.spatial.placement import Heading, Place, placed

Pixel = tuple[float, float]

_MOST = 30_000
_MARGIN_PX = 8.0
BODY_M = 0.7
"""How high above the ground a vehicle is looked for."""


def is_inside(pixel: Pixel, frame_px: tuple[int, int]) -> bool:
    """Whether a pixel is in a frame, and not at its edge."""
    (u, v), (width, height) = pixel, frame_px
    return _MARGIN_PX <= u <= width - _MARGIN_PX and _MARGIN_PX <= v <= height - _MARGIN_PX


class Placing:
    """Places boxes, and remembers pixels: what stands is looked for in each frame."""

    def __init__(self) -> None:
        self._pixels: dict[tuple[int, float, float], Pixel | None] = {}

    def places(
        self, camera: GroundCamera, boxes: Sequence[DetectedBox], headings: Sequence[Heading], is_covered: Bools
    ) -> list[Place]:
        """Where the boxes of a frame lie, as ``centres`` tells."""
        return placed(camera, boxes, headings, is_covered)

    def pixels(self, camera: GroundCamera, places_m: Sequence[tuple[float, float]], above_m: float) -> list[Pixel | None]:
        """Where points above the ground appear; None for one behind the camera or out of its range.

        Args:
            camera: it must outlive this.
            above_m: always the same.
        """
        known, name = self._pixels, id(camera)
        new = [place for place in places_m if (name, *place) not in known]
        if new:
            self._forget()
            image = camera.to_pixels(np.array([(x, y, camera.elevation_m + above_m) for x, y in new]))
            shown = zip(image.points_px.tolist(), image.is_in_front.tolist(), strict=True)
            for (x, y), ((u, v), is_in_front) in zip(new, shown, strict=True):
                east, north = x - camera.origin_m[0], y - camera.origin_m[1]
                is_seen = is_in_front and east * east + north * north < camera.range_m * camera.range_m
                known[name, x, y] = (u, v) if is_seen else None
        return [known[name, x, y] for x, y in places_m]

    def _forget(self) -> None:
        """Drop the older half of what is remembered, when it is much."""
        if len(self._pixels) > _MOST:
            for key in list(self._pixels)[: _MOST // 2]:
                del self._pixels[key]
