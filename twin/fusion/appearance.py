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
Nats = tuple[float, ...]
"""A log-likelihood ratio, same against different vehicle, at cosines -0.2, -0.1, … 1.0."""
PRIOR_NATS: Nats = (-4.0, -4.0, -3.5, -3.0, -2.4, -1.8, -1.2, -0.6, 0.0, 0.8, 1.6, 2.4, 3.0)
"""Before a site's own pairs were seen: flat where embedders disagree most."""
N_KNOTS, FIRST_COSINE, STEP_COSINE = len(PRIOR_NATS), -0.2, 0.1


def log_likelihood_ratio(ours: Gallery, theirs: Gallery, nats: Nats) -> float:
    """Evidence in nats that two galleries show one vehicle: their best pair's; 0 where either is empty."""
    best = likeness(ours, theirs)
    return 0.0 if best is None else _interpolated(nats, best)


@lru_cache(maxsize=_N_PAIRS)
def likeness(ours: Gallery, theirs: Gallery) -> float | None:
    """Cosine of the most alike pair of views; None where no two can be compared."""
    cosines = [cosine(a, b) for a in ours for b in theirs if len(a) == len(b)]
    return max(cosines) if cosines else None


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


def _interpolated(nats: Nats, similarity: float) -> float:
    place = min(max((similarity - FIRST_COSINE) / STEP_COSINE, 0.0), N_KNOTS - 1.000001)
    low = int(place)
    return nats[low] + (nats[low + 1] - nats[low]) * (place - low)
