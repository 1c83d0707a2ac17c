"""Boxes on the ground, and places in pictures."""

from __future__ import annotations

from collections.abc import Sequence

from twin.events.observations import DetectedBox
from twin.spatial.camera import Bools, GroundCamera
from twin.spatial.placement import Heading, Place, pixel, placed

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
        known, keys = self._pixels, [(id(camera), x, y) for x, y in places_m]
        if len(known) > _MOST:
            self._forget()
        for key in keys:
            if key not in known:
                known[key] = self._pixel(camera, key[1], key[2], above_m)
        return [known[key] for key in keys]

    @staticmethod
    def _pixel(camera: GroundCamera, x: float, y: float, above_m: float) -> Pixel | None:
        east, north = x - camera.origin_m[0], y - camera.origin_m[1]
        if not east * east + north * north < camera.range_m * camera.range_m:
            return None
        return pixel(camera, x, y, camera.elevation_m + above_m)

    def _forget(self) -> None:
        """Drop the older half of what is remembered."""
        for key in list(self._pixels)[: _MOST // 2]:
            del self._pixels[key]
