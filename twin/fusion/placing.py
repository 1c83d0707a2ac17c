"""Boxes on the ground, and places in pictures."""

from __future__ import annotations

from collections.abc import Sequence

from twin.events.observations import DetectedBox
from twin.spatial.camera import Bools, Floats, GroundCamera
from twin.spatial.placement import Heading, Place, pixels, placed

BODY_M = 0.7
"""How high above the ground a vehicle is looked for."""


class Placing:
    """Places boxes on the ground, and ground points in pictures."""

    def places(
        self, camera: GroundCamera, boxes: Sequence[DetectedBox], headings: Sequence[Heading], is_covered: Bools
    ) -> list[Place]:
        """Where the boxes of a frame lie, as ``centres`` tells."""
        return placed(camera, boxes, headings, is_covered)

    def pixels(self, camera: GroundCamera, places_m: Floats, above_m: float) -> Floats:
        """Where points above the ground appear, as ``placement.pixels`` tells."""
        return pixels(camera, places_m, above_m)
