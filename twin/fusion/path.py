"""What was told of a vehicle's places by a name that may yet turn out to be another's; it is told again by the right one then.

When two names are found to be one vehicle, ``merged`` never was one of its own: what began it is superseded, and with that all
of its places. Where it was while nobody saw the vehicle by its right name, that one was; where both were seen, the merged
one's places were views of the other, and nothing is said instead.

The past stays as it was told where it could not be told again whole: of a name that drove for long, or that is older than the
one that stays. What a person decided may be taken back by a person, and changes no places either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from twin.events.facts import IdentitiesMerged, VehicleHidden, VehicleMoved, VehicleParked
from twin.events.ids import EventId, Micros, VehicleId
from twin.fusion.emission import Emission
from twin.fusion.state import Passed, Track, known_at

LONGEST = 100
"""Places: 20 s of driving."""

_OF_WHO_CAME_IN = 2
_LEAST_M = 0.3


def begin(track: Track, confirmed: EventId) -> None:
    """A name began with a fact."""
    track.confirmed, track.path, track.path_from = confirmed, (), None


def note(track: Track, at: Micros, fact: VehicleMoved | VehicleParked | VehicleHidden) -> None:
    """A place was told. Of where it stays the first and, if it is parked, the newest are kept; of who came in, the last two."""
    if track.path and isinstance(fact, VehicleMoved) and _has_hardly_moved(track.path[-1], fact):
        return
    noted = Passed(at, fact if isinstance(fact, VehicleHidden) else replace(fact, evidence=()))
    known = track.path[:-1] if _stays_parked(track.path, fact) else track.path
    keep(track, (*known, noted))


def inherit(track: Track, other: Track) -> None:
    """A track goes by another's name, and has its past."""
    track.confirmed, track.path, track.path_from = other.confirmed, other.path, other.path_from


def keep(track: Track, places: tuple[Passed, ...]) -> None:
    """Keep the newest places, as many as may be asked for."""
    longest = _OF_WHO_CAME_IN if track.has_entered else LONGEST
    if len(places) > longest:
        track.path_from = places[-longest].at
    track.path = places[-longest:]


def merge(elder: Track, younger: Track, at: Micros, fact: IdentitiesMerged, emission: Emission) -> None:
    """Say that two names are one vehicle, and by the elder's name where it was as the younger while the elder was not seen."""
    seen_at = max([elder.seen_at, *(one.at for one in elder.path if not isinstance(one.fact, VehicleHidden))])
    is_whole = younger.path_from is None or younger.path_from <= seen_at
    if younger.confirmed is None or not is_whole or fact.decision is not None or known_at(younger) < known_at(elder):
        emission.emit(at, fact)
        return
    emission.emit(at, fact, supersedes=(younger.confirmed,))
    unseen = [one for one in younger.path if one.at > seen_at]
    told = sorted(_anew(elder.path, unseen, fact.vehicle), key=lambda one: one.at)
    for one in told:
        emission.emit(one.at, one.fact)
    if told:
        keep(elder, (*elder.path, *told))


def _has_hardly_moved(last: Passed, fact: VehicleMoved) -> bool:
    (x, y), (u, v) = last.fact.position_m, fact.position_m
    is_there = (x - u) * (x - u) + (y - v) * (y - v) < _LEAST_M * _LEAST_M
    return is_there and isinstance(last.fact, VehicleMoved) and last.fact.level == fact.level


def _stays_parked(places: Sequence[Passed], fact: VehicleMoved | VehicleParked | VehicleHidden) -> bool:
    newest = [one.fact for one in places[-2:]]
    return len(newest) == 2 and all(isinstance(one, VehicleParked) for one in (*newest, fact))


def _anew(before: Sequence[Passed], places: Sequence[Passed], name: VehicleId) -> Iterator[Passed]:
    """Places by another name; again at the moment at which that name was told to be hidden, if it was seen by then."""
    for one in places:
        yield replace(one, fact=replace(one.fact, vehicle=name))
    if before and isinstance(before[-1].fact, VehicleHidden):
        hidden_at = before[-1].at
        if known := [one for one in places if one.at <= hidden_at]:
            yield Passed(hidden_at, replace(known[-1].fact, vehicle=name))
