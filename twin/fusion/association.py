"""Which box of a frame is which track: a gate, costs, and the best total in each gated component.

Shape letters: T tracks, D detections.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from twin.errors import ShapeError
from twin.fusion.arithmetic import ln
from twin.spatial.camera import Bools, Floats

LINK_NATS = 3.0
"""What a tracklet id is worth: an edge tracker swaps two that cross about once in ten times, so it can be overruled."""
MISS_NATS = 8.0
"""Cost of leaving a detection and a track apart: a pair that costs more is not made."""
_QUANTUM = 1e-6


def squared_mahalanobis(mean_m: Floats, cov_m2: Floats, points_m: Floats, point_cov_m2: Floats) -> tuple[Floats, Floats]:
    """Squared Mahalanobis distance of every track to every detection, and ln det S.

    Args:
        mean_m: (T, 2) predicted positions. cov_m2: (T, 3) their covariances xx, xy, yy.
        points_m: (D, 2) measured centres. point_cov_m2: (D, 3) theirs.

    Returns:
        (T, D) d², chi-squared with 2 degrees of freedom for true pairs; (T, D) ln det S.

    Raises:
        ShapeError: the arguments' shapes do not fit together.

    Source: Bar-Shalom, Willett & Tian, "Tracking and Data Fusion" (2011), on validation gates.
    """
    if mean_m.shape[0] != cov_m2.shape[0] or points_m.shape[0] != point_cov_m2.shape[0]:
        raise ShapeError(f"{mean_m.shape} with {cov_m2.shape}, {points_m.shape} with {point_cov_m2.shape}: rows must agree")
    a, b, c = (cov_m2[:, None, k] + point_cov_m2[None, :, k] for k in range(3))
    dx, dy = (points_m[None, :, k] - mean_m[:, None, k] for k in range(2))
    determinant = a * c - b * b
    d2 = (c * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / determinant
    return d2, ln(determinant)


def assign(cost: Floats, is_allowed: Bools) -> list[tuple[int, int]]:
    """The allowed pairs with the least total cost, a miss costing ``MISS_NATS``; sorted by track.

    Args:
        cost: (T, D) negative log-likelihoods in nats. is_allowed: (T, D) the gate.

    The Hungarian method runs in each connected component of the gate; costs are quantized to 1e-6, so that
    machines agree on ties.
    """
    worth = np.rint((cost - MISS_NATS) / _QUANTUM)
    is_allowed = is_allowed & (worth < 0)
    matches: list[tuple[int, int]] = []
    for tracks, detections in _components(is_allowed):
        matches += _assign_component(worth, is_allowed, tracks, detections)
    return sorted(matches)


def _components(is_allowed: Bools) -> list[tuple[list[int], list[int]]]:
    """Tracks and detections that the gate connects, directly or through others; each with at least one pair."""
    found: list[tuple[list[int], list[int]]] = []
    left = set(np.flatnonzero(is_allowed.any(axis=1)).tolist())
    while left:
        tracks, detections, fresh = set[int](), set[int](), {min(left)}
        while fresh:
            tracks |= fresh
            detections |= set(np.flatnonzero(is_allowed[sorted(fresh)].any(axis=0)).tolist())
            fresh = set(np.flatnonzero(is_allowed[:, sorted(detections)].any(axis=1)).tolist()) - tracks
        left -= tracks
        found.append((sorted(tracks), sorted(detections)))
    return found


def _assign_component(worth: Floats, is_allowed: Bools, tracks: list[int], detections: list[int]) -> list[tuple[int, int]]:
    if len(tracks) == 1 and len(detections) == 1:
        return [(tracks[0], detections[0])]
    block = np.ix_(tracks, detections)
    # Each track may also take its own dummy detection at 0: a pair is only made where it is worth something.
    apart = np.zeros((len(tracks), len(tracks)))
    square = np.concatenate((np.where(is_allowed[block], worth[block], 0.0), apart), axis=1)
    rows, columns = cast("tuple[NDArray[np.intp], NDArray[np.intp]]", linear_sum_assignment(square))
    chosen = [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if column < len(detections)]
    pairs = [(tracks[row], detections[column]) for row, column in chosen]
    return [pair for pair in pairs if is_allowed[pair]]
