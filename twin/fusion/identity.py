"""Who a newly confirmed track is: a vehicle that went out of sight, or one never seen before.

A vehicle that is first seen in the middle of the site did not fall from the sky. Candidates are hidden vehicles that could
have driven here in the time, and parked ones beside it that are being missed; looks and nearness choose among them.
"""

from __future__ import annotations

import math

from msgspec import Struct

from twin.events.ids import SECOND, VehicleId
from twin.fusion.appearance import log_likelihood_ratio
from twin.fusion.camera_links import Gap, likelihood_ratio
from twin.fusion.doubles import seem_two
from twin.fusion.gating import ln1
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track

_PARKED_NEAR_M = 5.0
_ONE_PLACE_M = 1.5  # what comes up so near to where a vehicle was parked also hides its place, so that it is not missed there
HANDOVER_US = 300_000
"""So long may a vehicle be seen as another track after it began anew."""


class Reappearance(Struct, frozen=True):
    """The vehicle that a track is taken to be, and how sure that is."""

    track: Track
    certainty: float
    is_ambiguous: bool
    gap: Gap | None  # None: it was not out of sight


def reappeared(newborn: Track, state: FusionState, scene: Scene) -> Reappearance | None:
    """The best candidate for a newborn track, or None when it is a new vehicle."""
    parameters = scene.parameters
    scored = [
        (score, candidate)
        for candidate in state.tracks.values()
        if (score := _score(newborn, candidate, state, scene)) is not None and score >= parameters.known_nats
    ]
    if not scored:
        return None
    scored.sort(key=lambda one: (-one[0], one[1].id))
    best, candidate = scored[0]
    margin = best - scored[1][0] if len(scored) > 1 else math.inf
    is_ambiguous = margin < parameters.margin_nats
    return Reappearance(candidate, certainty_of(margin), is_ambiguous, _gap(newborn, candidate, scene))


def _score(newborn: Track, candidate: Track, state: FusionState, scene: Scene) -> float | None:
    """Log-likelihood, up to a constant, that the newborn is the candidate; None where it cannot be."""
    if not isinstance(vehicle_of(candidate), str) or candidate.id == newborn.id:
        return None
    place = (candidate.motion.x, candidate.motion.y)
    if (distance := scene.way_m(candidate.level, place, newborn.level, newborn.first_m)) is None:
        return None
    parameters = scene.parameters
    seconds = (newborn.born_at - candidate.seen_at) / SECOND
    if candidate.status == "parked" and candidate.looks:
        if candidate.seen_at > newborn.born_at + HANDOVER_US or seem_two(newborn, candidate):
            return None
        is_missed = distance <= (_PARKED_NEAR_M if candidate.absence > 0.0 else _ONE_PLACE_M)
        return log_likelihood_ratio(newborn.gallery, candidate.gallery, state.scores.nats) - distance if is_missed else None
    is_unseen = candidate.status in ("moving", "parked") and candidate.seen_at <= newborn.born_at
    if candidate.status != "hidden" and not is_unseen:
        return None
    if distance > parameters.reach_slack_m + parameters.reach_mps * max(seconds, 0.0):
        return None
    looks = log_likelihood_ratio(newborn.gallery, candidate.gallery, state.scores.nats)
    watched_us = newborn.born_at - state.watched_since.get(newborn.seen_by, newborn.born_at)
    gap = Gap(candidate.seen_by, newborn.seen_by, distance, newborn.born_at - candidate.seen_at)
    return looks + likelihood_ratio(state.links, gap, max(watched_us, 0))


def _gap(newborn: Track, candidate: Track, scene: Scene) -> Gap | None:
    place = (candidate.motion.x, candidate.motion.y)
    way_m = scene.way_m(candidate.level, place, newborn.level, newborn.first_m)
    if way_m is None or (candidate.status == "parked" and candidate.looks):
        return None
    return Gap(candidate.seen_by, newborn.seen_by, way_m, newborn.born_at - candidate.seen_at)


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
