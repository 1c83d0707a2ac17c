"""What must hold after every event; found out from observations and facts alone, without the service's own rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.facts import (
    Fact,
    GateDecided,
    IdentitiesMerged,
    ObservationLate,
    PortalCrossed,
    StallChanged,
    TrackletAssigned,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import EventId, Micros, PortalId
from twin.projections.naive import net_of
from twin.rules.invariants import Billing, Violation, must
from twin.rules.tariff import TariffBook

from .net_facts import standing

__all__ = ["Facts", "Observations", "Violation", "must"]

_OfVehicle = VehicleMoved | VehicleParked | VehicleHidden | VehicleLeft | VehicleDismissed


@dataclass
class Observations:
    """The observation log of one site, event by event."""

    produced: Mapping[DeviceKey, ObservationEvent]
    keys: dict[DeviceKey, int] = field(default_factory=dict)
    recorded_at: Micros = 0

    def check(self, recorded: RecordedObservation) -> None:
        """Positions 1, 2, 3, …; each device key once, with what its device produced."""
        event, position = recorded.event, recorded.position
        must(position == len(self.keys) + 1, f"observation {position} follows {len(self.keys)}")
        must(event.key not in self.keys, f"{event.key} is stored at {self.keys.get(event.key)} and {position}")
        must(recorded.recorded_at >= self.recorded_at, f"observation {position} was recorded before the one before it")
        made = self.produced.get(event.key)
        must(made is None or _same(made, event), f"observation {position} is not what {event.key} was")
        self.keys[event.key], self.recorded_at = position, recorded.recorded_at


def _same(made: ObservationEvent, stored: ObservationEvent) -> bool:
    """Personal fields are sealed on the way; all else is the same."""
    if hasattr(made.payload, "sealed"):
        return (made.site, made.key, made.occurred_at) == (stored.site, stored.key, stored.occurred_at)
    return to_json(made) == to_json(stored)


@dataclass
class Facts:
    """The fact log of one site, fact by fact; ``end_of_cause`` when all facts of one observation are known.

    Attributes:
        tariffs: to count amounts again.
        is_awaited: something late is to be fused: what seems wrong may be a correction, and net facts must be right.
        is_late_since: it came after the last correction: while that was being fused, or for the next one.
        is_corrected: this cause corrects.
    """

    boundaries: frozenset[str]
    tariffs: TariffBook | None = None
    n: int = 0
    recorded_at: Micros = 0
    cause: int = 0
    ordinal: int = -1
    ids: dict[EventId, Fact] = field(default_factory=dict)
    superseded: set[EventId] = field(default_factory=set)
    vehicles: set[str] = field(default_factory=set)
    gone: dict[str, int] = field(default_factory=dict)  # with which cause
    by_stall: dict[str, str] = field(default_factory=dict)
    log: list[RecordedFact] = field(default_factory=list)
    asked: set[EventId] = field(default_factory=set)  # questions at gates that have an answer
    is_awaited: bool = False
    is_late_since: bool = False
    is_corrected: bool = False
    billing: Billing = field(init=False)

    def __post_init__(self) -> None:
        self.billing = Billing(frozenset(map(PortalId, self.boundaries)), self.tariffs)

    def check(self, fact: RecordedFact, n_observations: int) -> None:
        """The next fact; ``n_observations`` are stored."""
        event = fact.event
        must(fact.position == self.n + 1, f"fact {fact.position} follows {self.n}")
        must(fact.recorded_at >= self.recorded_at, f"fact {fact.position} was recorded before the one before it")
        must(event.id not in self.ids, f"fact {fact.position} has the id of another, {event.id}")
        is_in_order = self.cause <= event.cause <= n_observations
        must(is_in_order, f"fact {fact.position} is caused by {event.cause} of {n_observations}, after {self.cause}")
        if event.cause != self.cause:
            self.end_of_cause()
        expected = self.ordinal + 1
        must(event.ordinal == expected, f"fact {fact.position} is number {event.ordinal} of its cause, not {expected}")
        for one in event.supersedes:
            must(one in self.ids, f"fact {fact.position} supersedes {one}, which there is not")
            must(one not in self.superseded, f"fact {fact.position} supersedes {one} for the second time")
            must(not isinstance(self.ids[one], GateDecided), f"fact {fact.position} supersedes {one}, the answer of a gate")
            self.superseded.add(one)
            self.is_corrected |= not _may_be_superseded(self.ids[one], event.payload)
        self.n, self.recorded_at, self.cause, self.ordinal = fact.position, fact.recorded_at, event.cause, event.ordinal
        self.ids[event.id] = event.payload
        self.log.append(fact)
        if isinstance(event.payload, ObservationLate) and event.payload.fate == "fused_later":
            self.is_awaited = self.is_late_since = True
        self._unless_awaited(lambda: self._check_payload(fact))
        self.billing.check(event, f"fact {fact.position}")

    def end_of_cause(self) -> None:
        """What must hold between two observations."""
        self.billing.end_of_cause()
        self._unless_awaited(self._check_cause)
        if self.is_corrected:
            must(self.is_awaited, f"cause {self.cause} corrects, and nothing late was to be fused")
            self._stand_anew()
        self.ordinal = -1

    def _unless_awaited(self, check: Callable[[], None]) -> None:
        """Facts of a second fusion need not come in order; those that are left must be right."""
        if self.is_corrected:
            return
        try:
            check()
        except Violation:
            if not self.is_awaited:
                raise
            self.is_corrected = True

    def _stand_anew(self) -> None:
        """Net facts must be right; from where they leave the site, facts are checked one by one again."""
        found = standing(net_of(self.log))
        self.vehicles, self.by_stall = found.vehicles, found.by_stall
        self.gone = {vehicle: self.gone.get(vehicle, self.cause) for vehicle in sorted(found.gone)}
        self.is_awaited, self.is_late_since, self.is_corrected = self.is_late_since, False, False

    def _check_cause(self) -> None:
        twice = [vehicle for vehicle, n in Counter(self.by_stall.values()).items() if n > 1]
        must(not twice, f"vehicle {twice[0] if twice else ''} is in two stalls")

    def _check_payload(self, fact: RecordedFact) -> None:
        payload, where = fact.event.payload, f"fact {fact.position}"
        match payload:
            case VehicleConfirmed():
                must(payload.vehicle not in self.vehicles, f"{where} confirms {payload.vehicle} again")
                self.vehicles.add(payload.vehicle)
            case VehicleMoved() | VehicleParked() | VehicleHidden() | VehicleLeft() | VehicleDismissed():
                self._check_vehicle(payload, where)
            case StallChanged():
                self._check_stall(payload, where)
            case PortalCrossed():
                must(payload.vehicle in self.vehicles, f"{where}: {payload.vehicle} crosses, and was never confirmed")
            case IdentitiesMerged():
                self._check_merged(payload, where)
            case GateDecided():
                must(payload.asked not in self.asked, f"{where} answers {payload.asked} for the second time")
                self.asked.add(payload.asked)
            case _:
                pass

    def _check_merged(self, payload: IdentitiesMerged, where: str) -> None:
        must(payload.vehicle != payload.merged, f"{where} merges {payload.vehicle} with itself")
        if payload.decision is None:  # a person may say so of whoever is known by a stay
            must({payload.vehicle, payload.merged} <= self.vehicles, f"{where} merges a vehicle that was never confirmed")
            must(payload.vehicle not in self.gone, f"{where} merges into {payload.vehicle}, which had left")
            must(payload.merged not in self.gone, f"{where} merges {payload.merged}, which had left")
            self.gone[payload.merged] = self.cause
        for stall in [stall for stall, vehicle in self.by_stall.items() if vehicle == payload.merged]:
            self.by_stall[stall] = payload.vehicle

    def _check_vehicle(self, payload: _OfVehicle, where: str) -> None:
        must(payload.vehicle in self.vehicles, f"{where} is of {payload.vehicle}, which was never confirmed")
        must(payload.vehicle not in self.gone, f"{where} is of {payload.vehicle}, which had left")
        if isinstance(payload, VehicleDismissed):
            stays = self.billing.stays.values()
            has_stay = any(one.vehicle == payload.vehicle and one.status == "open" for one in stays)
            must(not has_stay, f"{where} dismisses {payload.vehicle}, which has a stay")
        if isinstance(payload, VehicleDismissed | VehicleLeft):
            self.gone[payload.vehicle] = self.cause

    def _check_stall(self, payload: StallChanged, where: str) -> None:
        self.by_stall.pop(payload.stall, None)
        if payload.state == "occupied" and payload.vehicle is not None:
            must(payload.vehicle in self.vehicles, f"{where} puts {payload.vehicle} into a stall, which was never confirmed")
            self.by_stall[payload.stall] = payload.vehicle
        must(
            payload.state == "occupied" or payload.vehicle is None,
            f"{where} names a vehicle in a stall that is {payload.state}",
        )


def _may_be_superseded(former: Fact, by: Fact) -> bool:
    """Whether a fact is superseded without a correction: a tracklet changes hands, or one name is found to be another's."""
    is_found_out = isinstance(former, VehicleConfirmed) and isinstance(by, IdentitiesMerged) and by.decision is None
    return isinstance(former, TrackletAssigned) or is_found_out
