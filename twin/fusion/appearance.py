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
_TABLE = (-4.0, -4.0, -3.5, -3.0, -2.4, -1.8, -1.2, -0.6, 0.0, 0.8, 1.6, 2.4, 3.0)
"""Nats at cosines -0.2, -0.1, … 1.0: same against different vehicle. A prior shape, flat where embedders disagree most;
calibration on a site's own confirmed pairs replaces it."""
_FIRST, _STEP = -0.2, 0.1


@lru_cache(maxsize=_N_REMEMBERED)
def log_likelihood_ratio(ours: Gallery, theirs: Gallery) -> float:
    """Evidence in nats that two galleries show one vehicle: their best pair's; 0 where either is empty."""
    cosines = [cosine(a, b) for a in ours for b in theirs if len(a) == len(b)]
    return _nats(max(cosines)) if cosines else 0.0


def cosine(a: bytes, b: bytes) -> float:
    """Cosine of two int8 vectors of one length; sums of whole numbers, so exact up to the last division in any order."""
    (u, u2), (v, v2) = _vector(a), _vector(b)
    return float(u @ v) / math.sqrt(u2 * v2) if u2 and v2 else 0.0


@lru_cache(maxsize=_N_REMEMBERED)
def _vector(view: bytes) -> tuple[NDArray[np.float64], int]:
    """A view's numbers as float64, and their sum of squares. Doubles hold whole numbers up to 2^53: its products are exact."""
    numbers = np.frombuffer(view, dtype=np.int8).astype(np.float64)
    return numbers, int(numbers @ numbers)


def with_views(gallery: Gallery, views: Iterable[bytes]) -> Gallery:
    """The gallery with new views; the first one and the newest others stay."""
    merged = gallery
    for view in views:
        if view and view not in merged:
            merged = (*merged, view)
    return merged if len(merged) <= N_EXEMPLARS else (merged[0], *merged[-(N_EXEMPLARS - 1) :])


def _nats(similarity: float) -> float:
    place = min(max((similarity - _FIRST) / _STEP, 0.0), len(_TABLE) - 1.000001)
    low = int(place)
    return _TABLE[low] + (_TABLE[low + 1] - _TABLE[low]) * (place - low)
