"""Boxes on the ground and places in pictures, remembered: a second fusion of the same seconds asks the same again.

Memory only: a place depends on the box, the camera, the heading and what covers it, and on nothing else, so that what is found
here has the same bits as what would be computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twin.events.observations import DetectedBox, Edge, VehicleKind
from twin.spatial.camera import GroundCamera
from twin.spatial.footprint import centres

Place = tuple[float, float, float, float, float, bool]
"""x, y, xx, xy, yy, and whether it is valid."""
Heading = tuple[float, float]
_Key = tuple[tuple[float, float, float, float], tuple[float, float], VehicleKind, tuple[Edge, ...], Heading, bool, int]

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
    """Places of the newest boxes, by all that they depend on."""

    def __init__(self) -> None:
        self._known: dict[_Key, Place] = {}
        self._pixels: dict[tuple[int, float, float], Pixel | None] = {}

    def places(
        self,
        camera: GroundCamera,
        boxes: Sequence[DetectedBox],
        headings: Sequence[Heading],
        is_covered: Sequence[bool],
    ) -> list[Place]:
        """Where the boxes of a frame lie, as ``centres`` tells. The camera must outlive this."""
        keys: list[_Key] = [
            (box.box_px, box.box_sigma_px, box.kind, box.truncated, heading, is_hidden, id(camera))
            for box, heading, is_hidden in zip(boxes, headings, is_covered, strict=True)
        ]
        new = [n for n, key in enumerate(keys) if key not in self._known]
        if new:
            self._place(camera, [keys[n] for n in new], [boxes[n] for n in new])
        return [self._known[key] for key in keys]

    def pixels(self, camera: GroundCamera, places_m: Sequence[tuple[float, float]], above_m: float) -> list[Pixel | None]:
        """Where points above the ground appear; None for one behind the camera or out of its range.

        Args:
            above_m: always the same.
        """
        new = [place for place in places_m if (id(camera), *place) not in self._pixels]
        if new:
            self._forget(self._pixels)
            image = camera.to_pixels(np.array([(x, y, camera.elevation_m + above_m) for x, y in new]))
            shown = zip(image.points_px.tolist(), image.is_in_front.tolist(), strict=True)
            for (x, y), ((u, v), is_in_front) in zip(new, shown, strict=True):
                east, north = x - camera.origin_m[0], y - camera.origin_m[1]
                is_seen = is_in_front and east * east + north * north < camera.range_m * camera.range_m
                self._pixels[id(camera), x, y] = (u, v) if is_seen else None
        return [self._pixels[id(camera), x, y] for x, y in places_m]

    def _place(self, camera: GroundCamera, keys: Sequence[_Key], boxes: Sequence[DetectedBox]) -> None:
        self._forget(self._known)
        ground = centres(camera, boxes, np.array([key[4] for key in keys]), np.array([key[5] for key in keys]))
        rows = zip(ground.points_m.tolist(), ground.covariance_m2.tolist(), ground.is_valid.tolist(), strict=True)
        for key, ((x, y), (xx, xy, yy), is_valid) in zip(keys, rows, strict=True):
            self._known[key] = (x, y, xx, xy, yy, is_valid)

    @staticmethod
    def _forget(known: dict[Any, Any]) -> None:
        """Drop the older half of what is remembered, when it is much."""
        if len(known) > _MOST:
            for key in list(known)[: _MOST // 2]:
                del known[key]
