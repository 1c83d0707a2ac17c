"""How alike two views are, as evidence for one vehicle: int8 dot products through a table of log-likelihood ratios."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Gallery = tuple[bytes, ...]

N_EXEMPLARS = 4
_N_REMEMBERED = 4_096
_N_PAIRS = 16_384  # of galleries: those of each frame's boxes with those of the tracks near by
_Sum = tuple[NDArray[np.float64], int]
Nats = tuple[float, ...]
"""A log-likelihood ratio, same against different vehicle, at cosines -0.2, -0.1, … 1.0."""
PRIOR_NATS: Nats = (-4.0, -4.0, -3.5, -3.0, -2.4, -1.8, -1.2, -0.6, 0.0, 0.8, 1.6, 2.4, 3.0)
"""Before a site's own pairs were seen: flat where embedders disagree most."""
N_KNOTS, FIRST_COSINE, STEP_COSINE = len(PRIOR_NATS), -0.2, 0.1


def log_likelihood_ratio(ours: Gallery, theirs: Gallery, nats: Nats) -> float:
    """Evidence in nats that two galleries show one vehicle; 0 where either is empty."""
    alike = likeness(ours, theirs)
    return 0.0 if alike is None else _interpolated(nats, alike)


@lru_cache(maxsize=_N_PAIRS)
def likeness(ours: Gallery, theirs: Gallery) -> float | None:
    """Cosine of the galleries' sums: what is by chance in each view goes out of them. None where no two can be compared.

    Views of several lengths are of several embedders: those that are most alike count.
    """
    lengths = sorted({len(one) for one in ours} & {len(one) for one in theirs})
    return max((_cosine(_sum(ours, length), _sum(theirs, length)) for length in lengths), default=None)


def _cosine(a: _Sum, b: _Sum) -> float:
    """Sums of products of whole numbers, so exact up to the last division in any order."""
    (u, u2), (v, v2) = a, b
    return float(u @ v) / math.sqrt(u2 * v2) if u2 and v2 else 0.0


@lru_cache(maxsize=_N_REMEMBERED)
def _sum(gallery: Gallery, length: int) -> _Sum:
    """Of views of one length, whose vectors are all as long; and its squares' sum. Doubles hold whole numbers up to 2^53."""
    numbers = np.zeros(length)
    for view in gallery:
        if len(view) == length:
            numbers += np.frombuffer(view, dtype=np.int8)
    return numbers, int(numbers @ numbers)


def with_views(gallery: Gallery, views: Iterable[bytes]) -> Gallery:
    """The gallery with new views; the first one and the newest others stay."""
    merged = gallery
    for view in views:
        if view and view not in merged:
            merged = (*merged, view)
    return merged if len(merged) <= N_EXEMPLARS else (merged[0], *merged[-(N_EXEMPLARS - 1) :])


def _interpolated(nats: Nats, similarity: float) -> float:
    place = min(max((similarity - FIRST_COSINE) / STEP_COSINE, 0.0), N_KNOTS - 1.000001)
    low = int(place)
    return nats[low] + (nats[low + 1] - nats[low]) * (place - low)
