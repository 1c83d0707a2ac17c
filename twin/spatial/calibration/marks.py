"""What a person marked: points in the picture with their places, and lines that are straight in the world."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from site_models.schema import Point
from twin.spatial.compiled import Floats


class Pair(Struct, frozen=True, kw_only=True):
    """A pixel of the full frame, distorted as the camera sees it, and the ground that it shows, metres in the site frame."""

    pixel_px: Point
    ground_m: Point


class Lens(Struct, frozen=True, kw_only=True):
    """A lens that is known: ``k`` is fx, fy, cx, cy in pixels; ``distortion`` is k1, k2, p1, p2, k3 in OpenCV's order."""

    k: tuple[float, float, float, float]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)


class Marks(Struct, frozen=True, kw_only=True):
    """All that a calibration is made from.

    Attributes:
        frame_px: width and height of the picture.
        pairs: points of one level's ground.
        lines_px: polylines along what is straight in the world, each of at least three pixels.
        elevation_m: of the level's ground above the site datum.
        range_m: farthest ground that the camera is trusted for.
        lens: None where it is to be found.
        sigma_px: how well a person marks a point, a standard deviation in x and y.
    """

    frame_px: tuple[int, int]
    pairs: tuple[Pair, ...]
    lines_px: tuple[tuple[Point, ...], ...] = ()
    elevation_m: float = 0.0
    range_m: float = 60.0
    lens: Lens | None = None
    sigma_px: float = 1.0

    def pixels(self) -> Floats:
        """(N, 2) pixels of the pairs."""
        return np.array([pair.pixel_px for pair in self.pairs], dtype=np.float64).reshape(-1, 2)

    def ground(self) -> Floats:
        """(N, 2) places of the pairs, metres."""
        return np.array([pair.ground_m for pair in self.pairs], dtype=np.float64).reshape(-1, 2)

    def without(self, index: int) -> Marks:
        """The same with one pair less."""
        return replace(self, pairs=(*self.pairs[:index], *self.pairs[index + 1 :]))
