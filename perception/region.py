"""The part of a camera's frame that is watched. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def contains(ring_px: Sequence[tuple[float, float]], points_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of (N, 2) points are inside a ring, by the even-odd rule; (N,).

    Source: Shimrat, "Algorithm 112: Position of point relative to polygon" (1962).
    """
    ring = np.asarray(ring_px, np.float64)
    start, end = ring, np.roll(ring, -1, axis=0)
    x, y = points_px[:, :1], points_px[:, 1:]
    spans = (start[:, 1] <= y) != (end[:, 1] <= y)  # (N, edges)
    rise = np.where(end[:, 1] == start[:, 1], 1.0, end[:, 1] - start[:, 1])
    crossing_x = start[:, 0] + (y - start[:, 1]) / rise * (end[:, 0] - start[:, 0])
    return np.asarray(np.sum(spans & (x < crossing_x), axis=1) % 2 == 1)
