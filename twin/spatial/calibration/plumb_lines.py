"""Lens distortion from lines that are straight in the world: undistorted, their pixels must lie on a line."""

from __future__ import annotations

import numpy as np

from site_models.schema import Point
from twin.spatial.calibration.marks import Lens
from twin.spatial.compiled import Floats

_MOST_RUNS, _LEAST_RUNS, _MOST_PLACES = 12, 4, 240
"""So many places of a line say what all of its points say: a lens bends it in one bow. They bound what a fit costs, as a traced
line may have hundreds of points and is looked at thousands of times."""
_STEPS = 8
_MOST_RADIUS = 5.0
_LEAST_SLOPE = 0.2  # of the distorted radius by the undistorted one: beyond, the polynomial folds back


class PlumbLines:
    """Lines that are straight in the world, of each a few places: means of neighbouring points.

    Attributes:
        weights: (N,) square root of the number of points behind each place, by which its mean is the surer.
    """

    def __init__(self, lines_px: tuple[tuple[Point, ...], ...]) -> None:
        most = max(_LEAST_RUNS, min(_MOST_RUNS, _MOST_PLACES // max(len(lines_px), 1)))
        runs = [_runs(np.array(line, dtype=np.float64), most) for line in lines_px]
        self._places = np.concatenate([places for places, _ in runs] or [np.empty((0, 2))])
        self.weights: Floats = np.sqrt(np.concatenate([counts for _, counts in runs] or [np.empty(0)]))
        sizes = np.array([len(places) for places, _ in runs], dtype=np.intp)
        self._starts, self._sizes = np.cumsum(sizes) - sizes, sizes
        self._last: tuple[Lens, Floats] | None = None

    def off_straight(self, lens: Lens) -> Floats:
        """(N,) signed distances of the places, undistorted, from the straight line nearest to those of their line, pixels.

        Source: Devernay & Faugeras, "Straight lines have to be straight" (2001).
        """
        if not len(self._sizes):
            return np.empty(0)
        if self._last is None or self._last[0] != lens:  # a fit asks again and again with another pose
            self._last = (lens, self._off_straight(lens))
        return self._last[1]

    def _off_straight(self, lens: Lens) -> Floats:
        points = undistorted(self._places, lens)
        apart = points - self._each(points) / np.repeat(self._sizes, self._sizes)[:, None]
        x, y = apart.T
        xx, xy, yy = self._each(np.column_stack((x * x, x * y, y * y))).T
        along = 0.5 * np.arctan2(2.0 * xy, xx - yy)
        return (y * np.cos(along) - x * np.sin(along)) * lens.k[0]

    def _each(self, values: Floats) -> Floats:
        """(N, K) for each place the sum over its line."""
        return np.repeat(np.add.reduceat(values, self._starts, axis=0), self._sizes, axis=0)


def _runs(line_px: Floats, most: int) -> tuple[Floats, Floats]:
    """(M, 2) means of neighbouring points, and (M,) of how many each is."""
    if len(line_px) <= most:
        return line_px, np.ones(len(line_px))
    runs = np.array_split(line_px, most)
    return np.array([run.mean(axis=0) for run in runs]), np.array([float(len(run)) for run in runs])


def undistorted(points_px: Floats, lens: Lens) -> Floats:
    """(N, 2) ray slopes of pixels, by Newton's method on the radius: of ``distortion`` k1 and k2 alone."""
    fx, fy, cx, cy = lens.k
    k1, k2 = lens.distortion[:2]
    slopes = (points_px - (cx, cy)) / (fx, fy)
    seen = np.sqrt((slopes**2).sum(axis=1))
    radius = seen.copy()
    for _ in range(_STEPS):
        r2 = radius * radius
        steep = np.maximum(1.0 + r2 * (3.0 * k1 + r2 * 5.0 * k2), _LEAST_SLOPE)
        radius = np.clip(radius - (radius * (1.0 + r2 * (k1 + r2 * k2)) - seen) / steep, 0.0, _MOST_RADIUS)
    return slopes * np.where(seen > 0.0, radius / np.where(seen > 0.0, seen, 1.0), 1.0)[:, None]
