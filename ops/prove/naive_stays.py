"""Stays read naively from the crossings that stand, where nobody decided about their times and nobody is two names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from twin.events.envelope import RecordedFact
from twin.events.facts import IdentitiesMerged, PortalCrossed
from twin.events.ids import SECOND, Micros, VehicleId
from twin.projections.naive import net_of, stays_of
from twin.rules.invariants import Billing, must

_SKEW: Micros = 60 * SECOND  # an exit that became known after an entry, and is earlier by less, is taken to be after it

Stay = tuple[str, Micros | None, Micros | None]


def compare(facts: list[RecordedFact], billing: Billing) -> int:
    """Raise Violation where a vehicle's stays are not what its crossings say; returns how many vehicles were compared.

    One that was merged and split again is compared as if nothing had been.
    """
    told = defaultdict[VehicleId, list[Stay]](list)
    for stay in stays_of(facts).values():
        told[stay.vehicle].append((stay.status, stay.entry_at, stay.exit_at))
    crossings = _crossings(facts, billing)
    left_out = {*billing.merged, *billing.merged.values()} | _decided(facts, billing) | _denied(facts, billing)
    compared = [vehicle for vehicle in sorted({*told, *crossings} - left_out) if not _is_skewed(crossings[vehicle])]
    for vehicle in compared:
        expected, found = sorted(naive(crossings[vehicle]), key=str), sorted(told[vehicle], key=str)
        must(expected == found, f"the crossings of {vehicle} say {expected}, its stays are {found}")
    return len(compared)


def naive(crossings: Iterable[tuple[Micros, str]]) -> list[Stay]:
    """Of one name, in order of time: what each entry and exit means."""
    stays, entry = list[Stay](), None
    for at, direction in crossings:
        if direction == "in":
            entry = at if entry is None else entry
        else:
            stays.append(("orphan" if entry is None else "closed", entry, at))
            entry = None
    return [*stays, *([("open", entry, None)] if entry is not None else [])]


def _decided(facts: list[RecordedFact], billing: Billing) -> set[VehicleId]:
    """About whose stays people decided; and who was ever one with such a vehicle, since exits may have been denied then."""
    decided, before = billing.decided, set[VehicleId]()
    pairs = [{one.vehicle, one.merged} for fact in facts if isinstance(one := fact.event.payload, IdentitiesMerged)]
    while decided != before:
        before = set(decided)
        decided.update(*(pair for pair in pairs if pair & before))
    return decided


def _denied(facts: list[RecordedFact], billing: Billing) -> set[VehicleId]:
    """Whose exit stands for one under another name that a person may have denied."""
    exits = ((one, fact.event) for fact in net_of(facts) if isinstance(one := fact.event.payload, PortalCrossed))
    return {one.vehicle for one, event in exits if billing.may_be_denied(event.id, event.occurred_at)}


def _crossings(facts: list[RecordedFact], billing: Billing) -> defaultdict[VehicleId, list[tuple[Micros, str]]]:
    found = defaultdict[VehicleId, list[tuple[Micros, str]]](list)
    for fact in net_of(facts):
        payload = fact.event.payload
        if isinstance(payload, PortalCrossed) and payload.portal in billing.boundaries:
            found[payload.vehicle].append((fact.event.occurred_at, payload.direction))
    return found


def _is_skewed(crossings: list[tuple[Micros, str]]) -> bool:
    entries = [at for at, direction in crossings if direction == "in"]
    return any(0 < entry - at < _SKEW for at, direction in crossings if direction == "out" for entry in entries)
