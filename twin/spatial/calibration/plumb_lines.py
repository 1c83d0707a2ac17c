"""Lens distortion from lines that are straight in the world: undistorted, their pixels must lie on a line."""

from __future__ import annotations

import numpy as np

from twin.spatial.calibration.marks import Lens
from twin.spatial.compiled import Floats

_STEPS = 8
_MOST_RADIUS = 5.0
_LEAST_SLOPE = 0.2  # of the distorted radius by the undistorted one: beyond, the polynomial folds back


def off_straight(line_px: Floats, lens: Lens) -> Floats:
    """(N,) signed distances of a line's pixels, undistorted, from the straight line nearest to them, pixels.

    Args:
        line_px: (N, 2).

    Source: Devernay & Faugeras, "Straight lines have to be straight" (2001).
    """
    points = undistorted(line_px, lens)
    apart = points - points.mean(axis=0)
    xx, xy, yy = (apart[:, 0] ** 2).sum(), (apart[:, 0] * apart[:, 1]).sum(), (apart[:, 1] ** 2).sum()
    along = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    return (apart[:, 1] * np.cos(along) - apart[:, 0] * np.sin(along)) * lens.k[0]


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
