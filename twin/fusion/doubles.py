"""Tracks that are one vehicle: they are where only one can be, for a while, and no camera shows both at once.

Two cameras may place one vehicle a metre or two apart, by what hides its lower edge or cuts its box. Each then feeds a track
of its own. Two vehicles side by side are told apart by any camera that has a box of each in one frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from twin.events.ids import SECOND, Micros
from twin.events.observations import DetectedBox
from twin.fusion.state import Apart, Suspicion, Track, TrackId
from twin.spatial.compiled import Floats, Ints, compiled

_APART_FOR: Micros = 20 * SECOND  # how long having been seen side by side keeps two tracks apart
_NOTE_EVERY: Micros = SECOND
_WATCHED: Micros = SECOND  # a track unseen for longer tells nothing of where it is
_FAINT_HITS = 60
_N_APART = 15  # points: five for a second of two boxes beside each other, two for boxes of which one hides much of the other
_N_APART_AT_BIRTH = 5
_BOX_OVERLAP = 0.5  # boxes that share more may be two of one vehicle, or one that hides the other
_SECOND_BOX = 0.8
BESIDE_M = 6.0
_ONE_PLACE_M = 1.7  # nearer than the centres of two parked vehicles can be, errors of both included
_ONE_STALL_M = 2.6
_ONE_SPOT_M = 1.0  # on one spot no two vehicles stand, wherever each was seen last
_ONE_MOVING_M = 3.0
_ASIDE_M = _ONE_MOVING_M + 0.01  # more than rounding
_SAME_SPEED_MPS = 1.5
_DRIVING_MPS = 1.5
_STANDING: Micros = 3 * SECOND
_MOVING: Micros = 2 * SECOND


def note_apart(seen: Sequence[tuple[Track, DetectedBox]], at: Micros) -> None:
    """Write into these tracks, all of one camera's frame, which of them were seen beside each other."""
    if len(seen) < 2:
        return
    places = np.array([(track.motion.x, track.motion.y) for track, _ in seen])
    found = np.empty((len(seen) * (len(seen) - 1) // 2, 2), dtype=np.int64)
    near: list[tuple[int, int]] = found[: _beside(places, found)].tolist()
    for n, m in near:
        (one, box), (other, other_box) = seen[n], seen[m]
        known = one.apart.get(other.id)
        if known is not None and at - known.last_at < _NOTE_EVERY:
            continue
        weight = _weight(overlap(box, other_box))
        if weight:
            noted = Apart(weight + (0 if known is None else known.n), at)
            one.apart = {**_fresh(one.apart, at), other.id: noted}
            other.apart = {**_fresh(other.apart, at), one.id: noted}


@compiled
def _beside(places: Floats, found: Ints) -> int:
    """Pairs of places that are no farther apart than what counts as beside, each with those before it, in order.

    Args:
        places: (N, 2).
        found: (N (N - 1) / 2, 2), written to: the pairs.

    Returns:
        How many there are.
    """
    n = 0
    for one in range(len(places)):
        for other in range(one):
            dx, dy = places[one, 0] - places[other, 0], places[one, 1] - places[other, 1]
            if dx * dx + dy * dy <= BESIDE_M * BESIDE_M:
                found[n, 0], found[n, 1] = one, other
                n += 1
    return n


def beside(newborn: Track, tracks: Iterable[Track]) -> tuple[TrackId, ...]:
    """Tracks that are seen near a newborn one, or parked there. A vehicle that comes from elsewhere is none of those that it
    comes to."""
    return tuple(
        track.id
        for track in tracks
        if track.level == newborn.level
        and (track.status == "parked" or _is_seen(track, newborn.born_at))
        and _distance2(track, newborn) <= BESIDE_M * BESIDE_M
    )


def know_apart(newborn: Track, others: Iterable[Track], at: Micros) -> None:
    """Write into these tracks that the newborn one is none of them."""
    noted = Apart(_N_APART, at)
    for other in others:
        newborn.apart = {**newborn.apart, other.id: noted}
        other.apart = {**_fresh(other.apart, at), newborn.id: noted}


def are_two(one: Track, other: Track) -> bool:
    """Whether a camera had a box of each in one frame, several seconds long."""
    known = one.apart.get(other.id)
    return known is not None and known.n >= _N_APART


def seem_two(one: Track, other: Track) -> bool:
    """As ``are_two``, for a track too young to have been seen for several seconds."""
    known = one.apart.get(other.id)
    return known is not None and known.n >= _N_APART_AT_BIRTH


def is_second_box(box: DetectedBox, others: Iterable[DetectedBox]) -> bool:
    """Whether a detector gave this box for a vehicle that has one already: nearly all of one lies in the other."""
    return any(overlap(box, other) > _SECOND_BOX for other in others)


def overlap(box: DetectedBox, other: DetectedBox) -> float:
    """The intersection's share of the smaller box."""
    (x1, y1, x2, y2), (a1, b1, a2, b2) = box.box_px, other.box_px
    width, height = min(x2, a2) - max(x1, a1), min(y2, b2) - max(y1, b1)
    if width <= 0.0 or height <= 0.0:
        return 0.0
    return width * height / max(min((x2 - x1) * (y2 - y1), (a2 - a1) * (b2 - b1)), 1.0)


def suspected(tracks: Iterable[Track], before: Sequence[Suspicion], at: Micros) -> tuple[Suspicion, ...]:
    """The pairs that are where only one vehicle can be, now; a pair that was suspected before keeps its time."""
    since = {(one.elder, one.younger): one.since_at for one in before}
    watched = sorted(
        (track for track in tracks if track.vehicle is not None and (track.status == "parked" or _is_watched(track, at))),
        key=lambda track: (track.level, track.motion.x, track.id),
    )
    places = [(track.motion.x, track.motion.y) for track in watched]
    found: list[Suspicion] = []
    for n, one in enumerate(watched):
        (x, y), m = places[n], n
        for u, v in places[n + 1 :]:
            m += 1
            if u - x > _ONE_MOVING_M or watched[m].level != one.level:
                break
            if -_ASIDE_M < v - y < _ASIDE_M and _may_be_one(one, watched[m], at):
                elder, younger = sorted((one.id, watched[m].id))
                found.append(Suspicion(elder, younger, since.get((elder, younger), at)))
    return tuple(sorted(found, key=lambda pair: (pair.elder, pair.younger)))


def is_sure(pair: Suspicion, elder: Track, younger: Track, at: Micros) -> bool:
    """Whether the pair was in one place for long enough."""
    is_standing = elder.status == younger.status == "parked"
    return at - pair.since_at >= (_STANDING if is_standing else _MOVING)


def _weight(shared: float) -> int:
    return 5 if shared <= _BOX_OVERLAP else 2 if shared <= _SECOND_BOX else 0


def drives(track: Track) -> bool:
    """Whether it moves faster than what stands seems to."""
    return track.status != "parked" and track.motion.speed2 > _DRIVING_MPS * _DRIVING_MPS


def must_look_alike(one: Track, other: Track, at: Micros) -> bool:
    """Whether place and time do not suffice: one is seen no more, and was seen too often to be nothing."""
    unseen = _unseen(one, other, at)
    return unseen is not None and not _is_faint(unseen)


def _unseen(one: Track, other: Track, at: Micros) -> Track | None:
    """Of which of two it is not known where it is now."""
    return one if not _is_watched(one, at) else other if not _is_watched(other, at) else None


def _is_watched(track: Track, at: Micros) -> bool:
    return track.status in ("moving", "parked") and _is_seen(track, at)


def _is_faint(track: Track) -> bool:
    """Whether it was seen so little, and never came in, that no stay hangs on it: beside a known vehicle it is a double."""
    return track.status == "parked" and not track.has_entered and track.hits < _FAINT_HITS


def _is_seen(track: Track, at: Micros) -> bool:
    return track.status != "hidden" and at - track.seen_at <= _WATCHED


def _may_be_one(one: Track, other: Track, at: Micros) -> bool:
    away2 = _distance2(one, other)
    if away2 > _ONE_STALL_M * _ONE_STALL_M and one.status == other.status == "parked":
        return False
    if not _is_watched(one, at) and not _is_watched(other, at):
        return False
    may_have_left = one.has_entered and other.has_entered
    if must_look_alike(one, other, at) and (may_have_left or away2 > _ONE_SPOT_M * _ONE_SPOT_M):
        return False
    if one.id not in other.born_beside and other.id not in one.born_beside:
        return False
    known = one.apart.get(other.id)
    if known is not None and known.n >= _N_APART and at - known.last_at < _APART_FOR:
        return False
    reach = _ONE_MOVING_M
    if one.status == "parked" and other.status == "parked":
        reach = _ONE_STALL_M if one.stall is not None and one.stall == other.stall else _ONE_PLACE_M
    elif not (drives(one) and drives(other)):
        reach = _ONE_PLACE_M
    if away2 > reach * reach:
        return False
    du, dv = one.motion.vx - other.motion.vx, one.motion.vy - other.motion.vy
    return du * du + dv * dv <= _SAME_SPEED_MPS * _SAME_SPEED_MPS


def _fresh(apart: dict[TrackId, Apart], at: Micros) -> dict[TrackId, Apart]:
    return {name: noted for name, noted in apart.items() if at - noted.last_at < _APART_FOR}


def _distance2(one: Track, other: Track) -> float:
    dx, dy = one.motion.x - other.motion.x, one.motion.y - other.motion.y
    return dx * dx + dy * dy
