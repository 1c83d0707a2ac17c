"""What must hold of net facts, in whichever order they became known: found anew after a correction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from twin.events.envelope import RecordedFact
from twin.events.facts import (
    IdentitiesMerged,
    PortalCrossed,
    StallChanged,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.rules.invariants import must


@dataclass
class Standing:
    """Where net facts leave a site."""

    vehicles: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    by_stall: dict[str, str] = field(default_factory=dict)


def standing(net: Iterable[RecordedFact]) -> Standing:
    """Check net facts, in the order of their times, and say where they leave the site; raises Violation."""
    facts = [fact.event for fact in net]
    found = Standing()
    for fact in facts:
        if isinstance(fact.payload, VehicleConfirmed):
            must(fact.payload.vehicle not in found.vehicles, f"net facts confirm {fact.payload.vehicle} twice")
            found.vehicles.add(fact.payload.vehicle)
    merges = (fact.payload for fact in facts if isinstance(fact.payload, IdentitiesMerged))
    found.vehicles |= {merge.merged for merge in merges if merge.decision is None}  # what confirmed one may be superseded
    for fact in facts:
        match payload := fact.payload:
            case VehicleMoved() | VehicleParked() | VehicleHidden() | PortalCrossed():
                must(payload.vehicle in found.vehicles, f"a net fact is of {payload.vehicle}, which was never confirmed")
            case VehicleLeft() | VehicleDismissed():
                must(payload.vehicle in found.vehicles, f"{payload.vehicle} left, and was never confirmed")
                must(payload.vehicle not in found.gone, f"{payload.vehicle} left twice")
                found.gone.add(payload.vehicle)
            case IdentitiesMerged() if payload.decision is None:
                found.gone.add(payload.merged)
            case StallChanged():
                found.by_stall.pop(payload.stall, None)
                if payload.vehicle is not None:
                    found.by_stall[payload.stall] = payload.vehicle
            case _:
                pass
    twice = [vehicle for vehicle, n in Counter(found.by_stall.values()).items() if n > 1]
    must(not twice, f"{twice} are in two stalls")
    return found
