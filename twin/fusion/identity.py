"""Who a newly confirmed track is: a vehicle that went out of sight, or one never seen before.

A vehicle that is first seen in the middle of the site did not fall from the sky. Candidates are hidden vehicles that could
have driven here in the time, and others that are seen no more since it began; looks, nearness and time choose among them.

To take another's name makes two stays wrong, and to begin anew one, which its exit may put right. So whoever is taken for
the newborn must be likelier than that it is one of those who are not among the candidates.
"""

from __future__ import annotations

import math

from msgspec import Struct

from twin.events.ids import SECOND, VehicleId
from twin.fusion.appearance import Gallery, Nats, log_likelihood_ratio
from twin.fusion.camera_links import Gap, as_driven, likelihood_ratio
from twin.fusion.doubles import seem_two
from twin.fusion.gating import ln1
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track

_PARKED_NEAR_M = 5.0
_ONE_PLACE_M = 1.5  # what comes up so near to where a vehicle was parked also hides its place, so that it is not missed there
_STRANGE_NATS = -1.0  # of looks alone: so little alike is nobody taken for another, however well the time fits
_ALIKE_NATS = 1.0  # of looks alone: for whom a camera saw stand, or saw after the newborn began, there is more to explain
_UNSEEN_US = SECOND // 2  # shorter is between two frames
_MISSED_NATS = 4.0  # for one that is being missed beside the newborn, before nearness and looks
_STOOD_NATS = -1.0  # for one that is taken to stand: few of them drive off in that moment
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
    driven = as_driven(gap) if _stood(candidate) else gap
    watched_us = newborn.born_at - state.watched_since.get(newborn.seen_by, newborn.born_at)
    ratio = likelihood_ratio(state.links, driven, max(watched_us, 0))
    return looks + ratio + (_STOOD_NATS if candidate.status == "parked" else 0.0)


def _is_seen_elsewhere(newborn: Track, candidate: Track) -> bool:
    """Whether a candidate was seen so long after the newborn began, or is seen beside it now, that no looks make them one."""
    since_us = candidate.seen_at - newborn.born_at
    if since_us <= 0 or (candidate.status == "parked" and since_us <= HANDOVER_US):
        return False
    return newborn.seen_at - candidate.seen_at < _UNSEEN_US or since_us > LEFT_BEHIND_US


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


def _stood(candidate: Track) -> bool:
    """Whether a candidate stood when it was last seen: when it drove off is not known then."""
    return candidate.absence > 0.0 or (candidate.status == "parked" and bool(candidate.looks))


def _gap(newborn: Track, candidate: Track, scene: Scene) -> Gap | None:
    """The time out of sight, and the way; None where nobody drives so fast."""
    place = (candidate.motion.x, candidate.motion.y)
    way_m = scene.way_m(candidate.level, place, newborn.level, newborn.first_m)
    unseen_us = newborn.born_at - candidate.seen_at
    reach_m = scene.parameters.reach_slack_m + scene.parameters.reach_mps * max(unseen_us, 0) / SECOND
    if way_m is None or way_m > reach_m:
        return None
    return Gap(candidate.seen_by, newborn.seen_by, way_m, unseen_us)


def _learnable(newborn: Track, candidate: Track, scene: Scene) -> Gap | None:
    """What a recognition tells of the ways between cameras; None: nothing."""
    return None if _stood(candidate) or candidate.seen_at > newborn.born_at else _gap(newborn, candidate, scene)


def is_unlike(ours: Gallery, theirs: Gallery, nats: Nats) -> bool:
    """Whether two look so little alike that nothing else could make one of them."""
    return log_likelihood_ratio(ours, theirs, nats) < _STRANGE_NATS


def vehicle_of(track: Track) -> VehicleId | None:
    """The vehicle that a track is on the site; None: not yet, or no longer."""
    return None if track.status == "left" else track.vehicle


def certainty_of(margin: float) -> float:
    """From log-odds against the second best: 1 / (1 + 2^-1.44 margin), by squaring so that no exponential is needed."""
    if margin >= 8.0:
        return 1.0
    inverse = 1.0 / (1.0 + margin / 8.0)
    for _ in range(3):
        inverse *= inverse
    return round(1.0 / (1.0 + inverse), 3)


def evidence_of_absence(rate: float) -> float:
    """Nats against presence when a camera that sees a vehicle this often does not: -ln(1 - rate)."""
    return -ln1(1.0 - min(max(rate, 0.05), 0.95))
