"""What must hold of net facts, in whichever order they became known: found anew after a correction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from twin.events.envelope import RecordedFact
from twin.events.facts import (
    IdentitiesMerged,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
    StallChanged,
    VehicleConfirmed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import Micros


class Violation(Exception):
    """A promise is broken."""


def must(holds: bool, what: str) -> None:
    """Raise Violation unless it holds."""
    if not holds:
        raise Violation(what)


@dataclass
class Stay:
    """An open one."""

    vehicle: str
    entry_at: Micros
    session: str
    version: int = 1


@dataclass
class Standing:
    """Where net facts leave a site."""

    vehicles: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    open: dict[str, Stay] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    by_stall: dict[str, str] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)


def standing(net: Iterable[RecordedFact], boundaries: frozenset[str]) -> Standing:
    """Check net facts, in the order of their times, and say where they leave the site; raises Violation."""
    facts = [fact.event for fact in net]
    found = Standing()
    for fact in facts:
        if isinstance(fact.payload, VehicleConfirmed):
            must(fact.payload.vehicle not in found.vehicles, f"net facts confirm {fact.payload.vehicle} twice")
            found.vehicles.add(fact.payload.vehicle)
    crossings = {
        fact.id: fact for fact in facts if isinstance(fact.payload, PortalCrossed) and fact.payload.portal in boundaries
    }
    stays: dict[str, Stay] = {}
    for fact in facts:
        match payload := fact.payload:
            case VehicleMoved() | VehicleParked() | VehicleHidden() | PortalCrossed():
                must(payload.vehicle in found.vehicles, f"a net fact is of {payload.vehicle}, which was never confirmed")
            case VehicleLeft():
                must(payload.vehicle in found.vehicles, f"{payload.vehicle} left, and was never confirmed")
                must(payload.vehicle not in found.gone, f"{payload.vehicle} left twice")
                found.gone.add(payload.vehicle)
            case IdentitiesMerged():
                found.gone.add(payload.merged)
            case StallChanged():
                found.by_stall.pop(payload.stall, None)
                if payload.vehicle is not None:
                    found.by_stall[payload.stall] = payload.vehicle
            case SessionOpened():
                must(payload.session not in found.sessions, f"{payload.session} is opened twice")
                must(payload.evidence[0] in crossings, f"{payload.session} rests on a crossing that is not so")
                crossing = crossings.pop(payload.evidence[0])
                must(crossing.occurred_at == payload.entry_at, f"{payload.session} has another time than its crossing")
                found.sessions.add(payload.session)
                found.counted["opened"] += 1
                stays[payload.session] = Stay(payload.vehicle, payload.entry_at, payload.session)
            case SessionClosed():
                stay = stays.pop(payload.session, None)
                must(stay is not None and stay.entry_at == payload.entry_at, f"{payload.session} ends, and was not open")
                must(payload.evidence[-1] in crossings, f"{payload.session} ends at a crossing that is not so")
                must(payload.exit_at >= payload.entry_at, f"{payload.session} ends before it begins")
                del crossings[payload.evidence[-1]]
                found.counted["closed"] += 1
            case SessionOrphaned():
                must(payload.evidence[-1] in crossings, f"{payload.session} rests on a crossing that is not so")
                del crossings[payload.evidence[-1]]
            case SessionAmended():
                stay = stays.pop(payload.session, None)
                must(stay is not None, f"{payload.session} is amended, and is not open")
                if payload.status == "open":
                    stays[payload.session] = Stay(payload.vehicle, payload.entry_at, payload.session, payload.version)
                else:
                    found.counted[payload.status] += 1
            case _:
                pass
    unused = [name for name, fact in crossings.items() if getattr(fact.payload, "direction", "") == "out"]
    must(not unused, f"net exits {unused} did nothing to any stay")
    twice = [vehicle for vehicle, n in Counter(stay.vehicle for stay in stays.values()).items() if n > 1]
    must(not twice, f"{twice} have two open stays")
    found.open = {stay.vehicle: stay for stay in stays.values()}
    twice = [vehicle for vehicle, n in Counter(found.by_stall.values()).items() if n > 1]
    must(not twice, f"{twice} are in two stalls")
    return found
