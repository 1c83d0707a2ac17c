"""How alike two galleries of views are, as evidence for one vehicle: int8 products through a table of log-likelihood ratios,
and the plates that were read.

A gallery holds views from all around: what one side of a vehicle looks like is known from that side only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from twin.fusion import plates
from twin.fusion.plates import Plates, Read

ANY_SIDE = -1
"""The octant of a view of which nobody knows how its vehicle stood."""
PER_OCTANT, N_ANY_SIDE, N_PLATED, N_EXEMPLARS = 2, 3, 4, 12
_PLATED = 8  # views with a plate stay for its sake, whatever they are of
_MUCH_WORSE = 0.5  # share of the best quality of the same octant: worse views tell of the picture, not of the vehicle
_TAN_22_5 = 0.41421356237309503


class View(Struct, frozen=True, gc=False, array_like=True, cache_hash=True):
    """One look at a vehicle.

    Attributes:
        embedding: E signed bytes; none where only a plate was read.
        octant: of the vehicle, from which it is seen: 0 its front, on to its left, 0..7; ``ANY_SIDE``: not known.
        quality: 0..1, larger is better.
        plate: as it was read in it.
    """

    embedding: bytes
    octant: int = ANY_SIDE
    quality: float = 1.0
    plate: Read | None = None


Gallery = tuple[View, ...]
_ROOM = {ANY_SIDE: N_ANY_SIDE, _PLATED: N_PLATED}
_WHOLE = 420  # what the views of an octant weigh together; as many as there may be divide it: the first, plain and plated ones

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
    alike, of_plates = _compared(ours, theirs)
    return of_plates if alike is None else _interpolated(nats, alike) + of_plates


def likeness(ours: Gallery, theirs: Gallery) -> float | None:
    """Cosine of the galleries' sums: what is by chance in each view goes out of them. None where no two can be compared.

    Each octant counts alike, however often it was seen. Views of several lengths are of several embedders: those that are most
    alike count.
    """
    return _compared(ours, theirs)[0]


@lru_cache(maxsize=_N_PAIRS)
def _compared(ours: Gallery, theirs: Gallery) -> tuple[float | None, float]:
    """The likeness of two galleries, and what their plates tell in nats."""
    lengths = sorted({len(one.embedding) for one in ours} & {len(one.embedding) for one in theirs} - {0})
    alike = max((_cosine(_sum(ours, length), _sum(theirs, length)) for length in lengths), default=None)
    return alike, plates.log_likelihood_ratio(plates_of(ours), plates_of(theirs))


def plates_of(gallery: Gallery) -> Plates:
    """What was read in a gallery's views, in order."""
    return tuple(one.plate for one in gallery if one.plate is not None)


def _cosine(a: _Sum, b: _Sum) -> float:
    """Sums of products of whole numbers, so exact up to the last division in any order."""
    (u, u2), (v, v2) = a, b
    return float(u @ v) / math.sqrt(u2 * v2) if u2 and v2 else 0.0


@lru_cache(maxsize=_N_REMEMBERED)
def _sum(gallery: Gallery, length: int) -> _Sum:
    """Of views of one length, whose vectors are all as long; and its squares' sum. Doubles hold whole numbers up to 2^53."""
    views = [one for one in gallery if len(one.embedding) == length]
    counts, numbers = Counter(one.octant for one in views), np.zeros(length)
    for view in views:
        weight = _WHOLE // (2 if view.octant == ANY_SIDE else counts[view.octant])
        numbers += weight * np.frombuffer(view.embedding, dtype=np.int8).astype(np.int64)
    return numbers, int(numbers @ numbers)


def with_views(gallery: Gallery, views: Iterable[View]) -> Gallery:
    """The gallery with new views: of each octant, and of those with a plate, the newest, none much worse than another.

    The first one stays.
    """
    for view in views:
        gallery = _with_view(gallery, view)
    return gallery


def _with_view(gallery: Gallery, view: View) -> Gallery:
    if view.embedding and any(one.embedding == view.embedding for one in gallery):
        view = replace(view, embedding=b"")  # what is new of it may be its plate
    if not (view.embedding or view.plate) or any(one.plate == view.plate for one in gallery if not view.embedding):
        return gallery
    first, others, kind = gallery[:1], list(gallery[1:]), _kind(view)
    alike = [one for one in others if _kind(one) == kind]
    if len(alike) >= _ROOM.get(kind, PER_OCTANT):
        if view.quality < _MUCH_WORSE * max(one.quality for one in alike):
            return gallery
        others.remove(_dispensable(alike, view.quality))
    elif len(gallery) >= N_EXEMPLARS:
        counts = Counter(map(_kind, others))
        others.remove(next(one for one in others if counts[_kind(one)] == max(counts.values())))
    return (*first, *others, view)


def _kind(view: View) -> int:
    """Views of a kind push each other out: those of one octant, and those with a plate."""
    return view.octant if view.plate is None else _PLATED


def _dispensable(views: list[View], quality: float) -> View:
    """The first that is much worse than a new one, else the oldest."""
    return next((one for one in views if one.quality < _MUCH_WORSE * quality), views[0])


def octant(heading: tuple[float, float], sight: tuple[float, float]) -> int:
    """From which octant of a vehicle it is seen.

    Args:
        heading: unit vector of the vehicle; (0, 0) if unknown. sight: from the vehicle to the camera, of any length.
    """
    (hx, hy), (sx, sy) = heading, sight
    ahead, aside = hx * sx + hy * sy, hx * sy - hy * sx
    if ahead == 0.0 and aside == 0.0:
        return ANY_SIDE
    if abs(aside) <= _TAN_22_5 * abs(ahead):
        return 0 if ahead > 0.0 else 4
    if abs(ahead) <= _TAN_22_5 * abs(aside):
        return 2 if aside > 0.0 else 6
    if ahead > 0.0:
        return 1 if aside > 0.0 else 7
    return 3 if aside > 0.0 else 5


def _interpolated(nats: Nats, similarity: float) -> float:
    place = min(max((similarity - FIRST_COSINE) / STEP_COSINE, 0.0), N_KNOTS - 1.000001)
    low = int(place)
    return nats[low] + (nats[low + 1] - nats[low]) * (place - low)
