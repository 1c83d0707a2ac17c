"""What one track has of another that is the same vehicle: its name, and what is known better."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from twin.events.facts import IdentitiesMerged, SessionFlag
from twin.events.ids import SECOND, EventId, Micros, VehicleId
from twin.events.observations import VehicleKind
from twin.fusion import path
from twin.fusion.appearance import Gallery, Nats, with_views
from twin.fusion.arithmetic import mm
from twin.fusion.emission import Emission
from twin.fusion.identity import is_unlike
from twin.fusion.standing import away_m
from twin.fusion.state import Passed, Track, TrailPoint, known_at

_OfVehicle = tuple[
    VehicleId | None,
    VehicleKind,
    dict[VehicleKind, float],
    bool,
    Micros,
    float,
    Gallery,
    tuple[SessionFlag, ...],
    EventId | None,
    tuple[Passed, ...],
    Micros | None,
]

LEFT_BEHIND: Micros = 20 * SECOND
_SAME_PLACE_M = 1.8
_JUST_BEFORE: Micros = 3 * SECOND
_CREEPS_MPS = 3.0


def unite(elder: Track, younger: Track, at: Micros, emission: Emission, decision: EventId | None = None) -> None:
    """Two tracks are one vehicle: the elder's name stays, and so does what is known better."""
    assert elder.vehicle is not None
    assert younger.vehicle is not None
    fact = IdentitiesMerged(
        vehicle=elder.vehicle,
        merged=younger.vehicle,
        level=younger.level,
        position_m=(mm(younger.motion.x), mm(younger.motion.y)),
        evidence=younger.evidence,
        decision=decision,
    )
    path.merge(elder, younger, at, fact, emission)
    elder.kind_scores = summed(elder.kind_scores, younger.kind_scores)
    elder.kind = likeliest(elder.kind_scores)
    elder.gallery = with_views(elder.gallery, younger.gallery)
    elder.tracklets = (*elder.tracklets, *(one for one in younger.tracklets if one not in elder.tracklets))[-8:]
    elder.has_entered |= younger.has_entered
    elder.hits += younger.hits
    since = min(known_at(elder), known_at(younger))
    elder.known_at = elder.known_at if since == elder.born_at else since
    elder.seen_rate = {**younger.seen_rate, **elder.seen_rate}
    elder.sides = {**younger.sides, **elder.sides}


def is_left_behind(track: Track, other: Track, nats: Nats) -> bool:
    """Whether ``other`` is the vehicle that ``track`` was: it came up where ``track`` had stood until it drove off.

    Two boxes that cross may exchange their tracklets, and one that passes then takes a parked vehicle's name with it.
    """
    stood = track.stood
    if stood is None or other.vehicle is None or other.status not in ("parked", "moving") or not other.is_inner_birth:
        return False
    is_then = -SECOND <= other.born_at - stood.at <= LEFT_BEHIND
    if other.level != track.level or not is_then or away_m(stood, *other.first_m) > _SAME_PLACE_M:
        return False
    return not is_unlike(other.gallery, track.gallery, nats)


def take_back(track: Track, other: Track, at: Micros, emission: Emission) -> None:
    """``other`` is the vehicle that ``track`` was until it drove off: it gets the name back, and ``track`` is no more."""
    unite(track, other, at, emission)
    other.vehicle, other.flags, other.has_entered = track.vehicle, track.flags, track.has_entered
    other.kind_scores, other.kind, other.gallery = track.kind_scores, track.kind, track.gallery
    other.hits = track.hits
    path.inherit(other, track)
    other.certainty, other.known_at = round(min(track.certainty, other.certainty), 3), known_at(track)


def go_on(track: Track, known: Track, certainty: float, is_ambiguous: bool) -> None:
    """A newborn track is a known vehicle, as sure as this, that was out of sight."""
    track.vehicle, track.kind_scores = known.vehicle, summed(known.kind_scores, track.kind_scores)
    track.kind = likeliest(track.kind_scores)
    track.gallery = with_views(known.gallery, track.gallery)
    track.certainty = round(known.certainty * certainty, 3)
    track.flags, track.has_entered, track.hits = known.flags, known.has_entered, known.hits + track.hits
    track.known_at = known_at(known)
    path.inherit(track, known)
    if (place := _just_before(track, known)) is not None:
        track.trail = (place, *track.trail)
    if is_ambiguous:
        track.flags = with_doubt(track.flags)


def _just_before(track: Track, known: Track) -> TrailPoint | None:
    """Where a known vehicle was just before a track of it began: that one may be beyond a gate already.

    One that stood, and was held there by others' boxes while it crept off, left its place as long before as it takes.
    """
    first, was = track.trail[0], known.motion
    if known.level != track.level or first.at - known.seen_at > _JUST_BEFORE:
        return None
    if known.status == "parked":
        took_us = round(away_m(was, first.x, first.y) / _CREEPS_MPS * SECOND)
        return TrailPoint(min(was.at, first.at - max(took_us, 1)), was.x, was.y)
    return TrailPoint(was.at, was.x, was.y) if was.at < first.at and known.seen_at < first.at else None


def exchange(one: Track, other: Track, at: Micros) -> None:
    """Each of two tracks follows the other's vehicle: what is known of the vehicles changes places, in doubt.

    Where they are, and how they came there, stays with the tracks.
    """
    (ours, our_views), (theirs, their_views) = _vehicle_of(one), _vehicle_of(other)
    for track, was, views in ((one, theirs, our_views), (other, ours, their_views)):
        track.vehicle, track.kind, track.kind_scores, track.has_entered, track.known_at, track.certainty = was[:6]
        track.gallery, track.flags = with_views(was[6], views), with_doubt(was[7])
        track.confirmed, track.path, track.path_from = was[8:]
        track.strange, track.stood = (), None
        track.motion = replace(track.motion, at=max(track.motion.at, at)) if track.status == "parked" else track.motion


def _vehicle_of(track: Track) -> tuple[_OfVehicle, Gallery]:
    """What is known of a track's vehicle, and its views that are of another one."""
    named = track.vehicle, track.kind, track.kind_scores, track.has_entered, known_at(track), track.certainty
    return (*named, track.gallery, track.flags, track.confirmed, track.path, track.path_from), track.strange


def with_doubt(flags: tuple[SessionFlag, ...]) -> tuple[SessionFlag, ...]:
    """The flags with one that says that the identity is not sure."""
    return flags if "ambiguous_identity" in flags else (*flags, "ambiguous_identity")


def likeliest(scores: Mapping[VehicleKind, float]) -> VehicleKind:
    """The kind with the largest sum of scores; the first by name of equal ones."""
    if len(scores) == 1:
        return next(iter(scores))
    kinds: list[VehicleKind] = sorted(scores)
    return max(kinds, key=lambda kind: scores[kind])


def summed(ours: Mapping[VehicleKind, float], theirs: Mapping[VehicleKind, float]) -> dict[VehicleKind, float]:
    """Scores of kinds, together."""
    kinds: list[VehicleKind] = sorted({*ours, *theirs})
    return {kind: ours.get(kind, 0.0) + theirs.get(kind, 0.0) for kind in kinds}
