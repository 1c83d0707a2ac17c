"""What was told of a vehicle's places by a name that may yet turn out to be another's; it is told again by the right one then.

When two names are found to be one vehicle, ``merged`` never was one of its own: what began it is superseded, and with that all
of its places. Where it was while nobody saw the vehicle by its right name, that one was; where both were seen, the merged
one's places were views of the other, and nothing is said instead. Who was seen to come in is found to be nobody who was lost,
and keeps no more than its last place. What a person decided may be taken back by a person, and changes no places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from twin.events.facts import IdentitiesMerged, VehicleHidden, VehicleMoved, VehicleParked
from twin.events.ids import SECOND, EventId, Micros, VehicleId
from twin.fusion.emission import Emission
from twin.fusion.state import Passed, Track

LONGEST = 100
"""Facts: 20 s of driving."""

_OLDEST: Micros = 60 * SECOND
_LEAST_M = 0.3


def begin(track: Track, confirmed: EventId) -> None:
    """A name began with a fact."""
    track.confirmed, track.path = confirmed, ()


def note(track: Track, at: Micros, fact: VehicleMoved | VehicleParked | VehicleHidden) -> None:
    """A place was told. Of where it stays the first and, once it is parked, the newest are kept."""
    noted = Passed(at, fact if isinstance(fact, VehicleHidden) else replace(fact, evidence=()))
    if track.has_entered:
        track.path = (noted,)
        return
    known = track.path
    if known and isinstance(fact, VehicleMoved) and _has_hardly_moved(known[-1], fact):
        return
    if isinstance(fact, VehicleParked) and all(isinstance(one.fact, VehicleParked) for one in known[-2:]) and len(known) > 1:
        known = known[:-1]
    track.path = (*(one for one in known if at - one.at <= _OLDEST), noted)[-LONGEST:]


def _has_hardly_moved(last: Passed, fact: VehicleMoved) -> bool:
    (x, y), (u, v) = last.fact.position_m, fact.position_m
    is_there = (x - u) * (x - u) + (y - v) * (y - v) < _LEAST_M * _LEAST_M
    return is_there and isinstance(last.fact, VehicleMoved) and last.fact.level == fact.level


def merge(elder: Track, younger: Track, at: Micros, fact: IdentitiesMerged, emission: Emission) -> None:
    """Say that two names are one vehicle, and by the elder's name where it was as the younger while the elder was not seen."""
    began = () if younger.confirmed is None or fact.decision is not None else (younger.confirmed,)
    emission.emit(at, fact, supersedes=began)
    if not began:
        return
    unseen = [one for one in younger.path if one.at > elder.seen_at]
    told = sorted(_anew(elder.path, unseen, fact.vehicle), key=lambda one: one.at)
    for one in told:
        emission.emit(one.at, one.fact)
    if told:
        elder.path = (*elder.path, *told)[-1 if elder.has_entered else -LONGEST :]


def _anew(before: Sequence[Passed], places: Sequence[Passed], name: VehicleId) -> Iterator[Passed]:
    """Places by another name; again at the moment at which that name was told to be hidden, if it was seen by then."""
    for one in places:
        yield replace(one, fact=replace(one.fact, vehicle=name))
    if before and isinstance(before[-1].fact, VehicleHidden):
        hidden_at = before[-1].at
        if known := [one for one in places if one.at <= hidden_at]:
            yield Passed(hidden_at, replace(known[-1].fact, vehicle=name))
