"""Who a newly confirmed track is: a vehicle that went out of sight, or one never seen before.

A vehicle that is first seen in the middle of the site did not fall from the sky. Candidates are hidden vehicles that could
have driven here in the time, and others that are seen no more since it began; looks, nearness and time choose among them.

To take another's name makes two stays wrong, and to begin anew one, which its exit may put right. So whoever is taken for
the newborn must be likelier than that it is one of those who are not among the candidates.
"""

from __future__ import annotations

import math

from msgspec import Struct

from twin.events.ids import SECOND, LevelId, Micros, VehicleId
from twin.fusion.appearance import Gallery, Nats, log_likelihood_ratio
from twin.fusion.camera_links import Gap, as_driven, likelihood_ratio
from twin.fusion.doubles import seem_two
from twin.fusion.frame import Measured, Seen
from twin.fusion.motion import predict
from twin.fusion.place import squared_distance
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track

SURE = 0.9
"""Certainty of an identity from which is learned, and from which on the way between is told."""

_PARKED_NEAR_M = 5.0
_ONE_PLACE_M = 1.5  # what comes up so near to where a vehicle was parked also hides its place, so that it is not missed there
_STRANGE_NATS = -1.0  # of looks alone: so little alike is nobody taken for another, however well the time fits
_ALIKE_NATS = 1.0  # of looks alone: for whom a camera saw stand, or saw after the newborn began, there is more to explain
_UNSEEN_US = SECOND // 2  # shorter is between two frames
_MISSED_NATS = 4.0  # for one that is being missed beside the newborn, before nearness and looks
_STOOD_NATS = -1.0  # for one that is taken to stand: few of them drive off in that moment
_ON_COURSE_US = 4 * SECOND  # later it may be anywhere that it can have driven to
_PLACE_M2 = 1.0  # variance of where a newborn began
_CONTESTED_NATS = 0.5
HANDOVER_US = 300_000
"""So long may a vehicle be seen as another track after it began anew."""
LEFT_BEHIND_US = 3 * SECOND
"""So long may boxes of others hold a track at a place after its vehicle drove off as another."""


class Reappearance(Struct, frozen=True):
    """The vehicle that a track is taken to be, and how sure that is."""

    track: Track
    certainty: float
    is_ambiguous: bool
    gap: Gap | None  # None: it was not out of sight, or stood meanwhile


def reappeared(newborn: Track, state: FusionState, scene: Scene) -> Reappearance | None:
    """The best candidate for a newborn track, or None when it is a new vehicle."""
    parameters = scene.parameters
    scored = [
        (score, candidate)
        for candidate in state.tracks.values()
        if (score := score_of(newborn, candidate, state, scene)) is not None and score >= parameters.known_nats
    ]
    if not scored:
        return None
    scored.sort(key=lambda one: (-one[0], one[1].id))
    best, candidate = scored[0]
    margin = best - scored[1][0] if len(scored) > 1 else math.inf
    is_ambiguous = margin < parameters.margin_nats
    return Reappearance(candidate, certainty_of(margin), is_ambiguous, _learnable(newborn, candidate, scene))


def score_of(newborn: Track, candidate: Track, state: FusionState, scene: Scene) -> float | None:
    """Log-likelihood ratio that the newborn is the candidate, against one that is not known; None where it cannot be."""
    if vehicle_of(candidate) is None or candidate.id == newborn.id or _is_seen_elsewhere(newborn, candidate):
        return None
    if _were_beside(newborn, candidate):
        return None
    looks = log_likelihood_ratio(newborn.gallery, candidate.gallery, state.scores.nats)
    if looks < _STRANGE_NATS:
        return None
    if candidate.seen_at > newborn.born_at:
        return _of_left_behind(newborn, candidate, looks)
    if candidate.status == "parked" and candidate.looks:
        away = _away_m(newborn, candidate)
        if away is not None and away <= (_PARKED_NEAR_M if candidate.absence > 0.0 else _ONE_PLACE_M):
            return _MISSED_NATS + looks - away
        if looks < _ALIKE_NATS:
            return None
    if (gap := _gap(newborn, candidate, scene)) is None:
        return None
    driven = as_driven(gap) if _stood(candidate, newborn.born_at) else gap
    watched_us = newborn.born_at - state.watched_since.get(newborn.seen_by, newborn.born_at)
    ratio = likelihood_ratio(state.links, driven, max(watched_us, 0))
    stood = _STOOD_NATS if candidate.status == "parked" else 0.0
    return looks + ratio + stood - _off_course(newborn.level, newborn.first_m, newborn.born_at, candidate, scene)


def _is_seen_elsewhere(newborn: Track, candidate: Track) -> bool:
    """Whether a candidate was seen so long after the newborn began, or is seen beside it now, that no looks make them one.

    One that is hidden by now was found gone from where it stood, however short a while ago a box was taken for it there.
    """
    since_us = candidate.seen_at - newborn.born_at
    if since_us <= 0 or (candidate.status == "parked" and since_us <= HANDOVER_US):
        return False
    is_seen = candidate.status != "hidden" and newborn.seen_at - candidate.seen_at < _UNSEEN_US
    return is_seen or is_seen_since(candidate, newborn.born_at)


def is_seen_since(track: Track, born_at: Micros) -> bool:
    """Whether a track was seen so long after another began that no looks make them one."""
    return track.seen_at - born_at > LEFT_BEHIND_US


def _were_beside(newborn: Track, candidate: Track) -> bool:
    """Whether a camera had a box of each since the newborn began. That its tracklet was refused before only says that it was
    off the candidate's place, as is who drives off."""
    return seem_two(newborn, candidate) and newborn.apart[candidate.id].last_at > newborn.born_at


def _of_left_behind(newborn: Track, candidate: Track, looks: float) -> float | None:
    """As ``score_of``, of a candidate that was last seen after the newborn began: both may be one that drives off."""
    stands = candidate.status == "parked" and candidate.seen_at - newborn.born_at <= HANDOVER_US
    if not stands and looks < _ALIKE_NATS:
        return None
    away = _away_m(newborn, candidate)
    near_m = _PARKED_NEAR_M if candidate.absence > 0.0 or not stands or looks >= _ALIKE_NATS else _ONE_PLACE_M
    return None if away is None or away > near_m else _MISSED_NATS + looks - away


def _away_m(newborn: Track, candidate: Track) -> float | None:
    """How far the candidate is from where the newborn was when the candidate was last seen; None on another level."""
    if candidate.level != newborn.level:
        return None
    x, y = next(((point.x, point.y) for point in newborn.trail if point.at >= candidate.seen_at), newborn.first_m)
    dx, dy = candidate.motion.x - x, candidate.motion.y - y
    return math.sqrt(dx * dx + dy * dy)


def _stood(candidate: Track, at: Micros) -> bool:
    """Whether a candidate stood when it was last seen: when it drove off is not known then."""
    return _is_missed(candidate, at) or (candidate.status == "parked" and bool(candidate.looks))


def _is_missed(candidate: Track, at: Micros) -> bool:
    """Whether it was found gone from where it stood, or is being missed there.

    Who was looked for in vain some time ago, and not since then, stands behind something.
    """
    if candidate.absence <= 0.0 or candidate.status != "parked":
        return candidate.absence > 0.0
    return candidate.missed_at is None or at - candidate.missed_at <= LEFT_BEHIND_US


def _gap(newborn: Track, candidate: Track, scene: Scene) -> Gap | None:
    """The time out of sight, and the way; None where nobody drives so fast."""
    place = (candidate.motion.x, candidate.motion.y)
    way_m = scene.way_m(candidate.level, place, newborn.level, newborn.first_m)
    unseen_us = newborn.born_at - candidate.seen_at
    if way_m is None or way_m > scene.reach_m(unseen_us):
        return None
    return Gap(candidate.seen_by, newborn.seen_by, way_m, unseen_us)


def _off_course(level: LevelId, place_m: tuple[float, float], at: Micros, candidate: Track, scene: Scene) -> float:
    """Nats against who was lost on the move a moment ago: it would have had to turn round, or leap, to be at a place.

    Half of what d² is above its mean, as how far anybody gets in the time is told by the way between cameras.
    """
    if _stood(candidate, at) or candidate.level != level or not 0 < at - candidate.seen_at <= _ON_COURSE_US:
        return 0.0
    ahead = predict(candidate.motion, at, scene.parameters.acceleration_m2ps3)
    (xx, xy, yy), (x, y) = ahead.covariance_m2, place_m
    d2 = squared_distance(x - ahead.x, y - ahead.y, (xx + _PLACE_M2, xy, yy + _PLACE_M2))
    return 0.5 * max(d2 - 2.0, 0.0)


def is_contested(track: Track, measured: Measured, seen: Seen, state: FusionState, scene: Scene) -> bool:
    """Whether a box of nobody that a track would coast to may as well be of another vehicle that was lost on the move.

    Of two that drive into a blind stretch the first comes out first, though the second has only just gone in.
    """
    if seen.at - track.seen_at <= _UNSEEN_US or track.status != "moving":
        return False
    own = _passage(track, measured, seen, state, scene)
    return any(
        other.id != track.id
        and other.status in ("moving", "hidden")
        and seen.at - other.seen_at > _UNSEEN_US
        and vehicle_of(other) is not None
        and _passage(other, measured, seen, state, scene) > own - _CONTESTED_NATS
        for other in state.tracks.values()
    )


def _passage(track: Track, measured: Measured, seen: Seen, state: FusionState, scene: Scene) -> float:
    """Log-likelihood that who was lost comes up at a box, by way and time alone; minus infinity where it cannot."""
    way_m = scene.way_m(track.level, (track.motion.x, track.motion.y), seen.level, measured.point_m)
    unseen_us, camera = seen.at - track.seen_at, seen.pending.camera
    if way_m is None or way_m > scene.reach_m(unseen_us):
        return -math.inf
    watched_us = max(seen.at - state.watched_since.get(camera, seen.at), 0)
    ratio = likelihood_ratio(state.links, Gap(track.seen_by, camera, way_m, unseen_us), watched_us)
    return ratio - _off_course(seen.level, measured.point_m, seen.at, track, scene)


def _learnable(newborn: Track, candidate: Track, scene: Scene) -> Gap | None:
    """What a recognition tells of the ways between cameras; None: nothing."""
    at = newborn.born_at
    return None if _stood(candidate, at) or candidate.seen_at > at else _gap(newborn, candidate, scene)


def is_unlike(ours: Gallery, theirs: Gallery, nats: Nats) -> bool:
    """Whether two look so little alike that nothing else could make one of them."""
    return log_likelihood_ratio(ours, theirs, nats) < _STRANGE_NATS


def vehicle_of(track: Track) -> VehicleId | None:
    """The vehicle that a track is on the site; None: not yet, or no longer."""
    return None if track.status == "left" else track.vehicle


def certainty_of(margin: float) -> float:
    """From log-odds against the second best: about 1 / (1 + e^-margin), by squaring so that no exponential is needed.

    Not ``probability_of``: by three squarings instead of ten it is up to 0.03 less sure, and sure from 8 nats on.
    """
    if margin >= 8.0:
        return 1.0
    inverse = 1.0 / (1.0 + margin / 8.0)
    for _ in range(3):
        inverse *= inverse
    return round(1.0 / (1.0 + inverse), 3)
