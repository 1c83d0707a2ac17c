"""Whether ground truth is possible at all: vehicles do not touch, jump or spin, and every stay has its ends.

Any source of traffic has to pass; the checks know nothing of how a source works.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np
from msgspec import Struct

from perception.synthetic.footprints import Rectangle, overlaps
from perception.synthetic.truth import TruthFrame, VehicleState, Visit
from perception.synthetic.vehicles import TrueVehicleId
from twin.events.ids import SECOND, Micros

MAX_MPS = 30.0
"""3 m in the 100 ms between frames."""

MAX_TURN_DPS = 300.0
"""A tight corner, 3 m at 6 m/s, is 115."""

_STILL_M = 1e-6

FaultKind = Literal["overlap", "teleport", "spin", "parked and moving", "shared stall", "unbounded stay"]


class Fault(Struct, frozen=True, kw_only=True):
    """Something that cannot be.

    Attributes:
        at: the frame in which it begins, or of an unbounded stay, where it lies open.
        vehicles: who; two of them touch or share a stall.
        value: metres between the middles (overlap, shared stall), metres a second (teleport), degrees a second (spin),
            metres (parked and moving), or seconds between the visit's end and the vehicle's (unbounded stay).
    """

    kind: FaultKind
    at: Micros
    vehicles: tuple[TrueVehicleId, ...]
    value: float
    explanation: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.at} µs, {' and '.join(self.vehicles)}: {self.value:.3g}; {self.explanation}"


class TruthChecks:
    """Takes frames as they come, in memory that does not grow with them, apart from each vehicle's first and last time."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._before: TruthFrame | None = None
        self._touching: set[frozenset[TrueVehicleId]] = set()
        self._seen: dict[TrueVehicleId, tuple[Micros, Micros]] = {}
        self._parked: set[TrueVehicleId] = set()
        self._first_at: Micros | None = None
        self._present_at_first: set[TrueVehicleId] = set()

    def add(self, frame: TruthFrame) -> None:
        """The next frame."""
        if self._first_at is None:
            self._first_at, self._present_at_first = frame.at, {state.vehicle.id for state in frame.vehicles}
        self._find_touching(frame)
        self._find_jumps(frame)
        self._find_shared_stalls(frame)
        for state in frame.vehicles:
            self._seen[state.vehicle.id] = (self._seen.get(state.vehicle.id, (frame.at, 0))[0], frame.at)
            if state.state == "parked":
                self._parked.add(state.vehicle.id)
        self._before = frame

    def faults(self, ended: Iterable[Visit], going_on: Iterable[Visit]) -> list[Fault]:
        """Everything found so far, by time, with the faults of the visits, all of which have to be given."""
        ended, going_on = list(ended), list(going_on)
        found = [*self._faults, *self._faults_of_count([visit.vehicle.id for visit in (*ended, *going_on)])]
        for visit in (*ended, *going_on):
            found += self._faults_of_start(visit)
        for visit in (*ended, *(visit for visit in going_on if visit.exit_at is not None)):
            found += self._faults_of_end(visit)
        found += [self._vanished(visit.vehicle.id) for visit in going_on if visit.exit_at is None and self._is_lost(visit)]
        return sorted(found, key=lambda fault: (fault.at, fault.vehicles))

    def _find_touching(self, frame: TruthFrame) -> None:
        touching = set[frozenset[TrueVehicleId]]()
        for level in sorted({state.level for state in frame.vehicles}):
            here = [state for state in frame.vehicles if state.level == level]
            rectangles = np.array([_rectangle(state) for state in here])
            for row, column in np.argwhere(np.triu(overlaps(rectangles, rectangles), 1)):
                one, other = here[row], here[column]
                pair = frozenset((one.vehicle.id, other.vehicle.id))
                touching.add(pair)
                if pair not in self._touching:
                    doing = f"{one.state} and {other.state} on level '{level}', metres between their middles"
                    self._fault("overlap", frame.at, (one, other), _distance_m(one, other), doing)
        self._touching = touching

    def _find_jumps(self, frame: TruthFrame) -> None:
        if self._before is None:
            return
        seconds = (frame.at - self._before.at) / SECOND
        earlier = {state.vehicle.id: state for state in self._before.vehicles}
        for now in frame.vehicles:
            before = earlier.get(now.vehicle.id)
            if before is None or before is now:
                continue
            moved_m = _distance_m(before, now)
            turned_deg = abs(math.remainder(now.heading_deg - before.heading_deg, 360.0))
            if moved_m / seconds > MAX_MPS:
                self._fault("teleport", frame.at, (now,), moved_m / seconds, f"m/s, at most {MAX_MPS:g}; {moved_m:.2f} m")
            if turned_deg / seconds > MAX_TURN_DPS:
                self._fault("spin", frame.at, (now,), turned_deg / seconds, f"degrees/s, at most {MAX_TURN_DPS:g}")
            if before.state == now.state == "parked" and moved_m > _STILL_M:
                self._fault("parked and moving", frame.at, (now,), moved_m, f"metres, in stall '{now.stall}'")

    def _find_shared_stalls(self, frame: TruthFrame) -> None:
        holder = dict[str, VehicleState]()
        for state in (state for state in frame.vehicles if state.stall is not None):
            other = holder.setdefault(str(state.stall), state)
            if other is not state and not self._was_shared(str(state.stall)):
                distance_m = _distance_m(other, state)
                self._fault("shared stall", frame.at, (other, state), distance_m, f"metres between them, '{state.stall}'")

    def _was_shared(self, stall: str) -> bool:
        before = () if self._before is None else self._before.vehicles
        return sum(state.stall == stall for state in before) > 1

    def _faults_of_start(self, visit: Visit) -> list[Fault]:
        vehicle = visit.vehicle.id
        first_at, last_at = self._seen.get(vehicle, (None, None))
        if first_at is None or last_at is None:
            at = visit.entry_at or visit.exit_at or self._first_at or 0
            return [_unbounded(vehicle, at, math.inf, "a visit, but the vehicle is in no frame")]
        if visit.entry_at is None:
            if vehicle in self._present_at_first:
                return []
            return [_unbounded(vehicle, first_at, 0.0, "no entry, and it was not there in the first frame")]
        if not first_at <= visit.entry_at <= last_at:
            return [_unbounded(vehicle, visit.entry_at, (first_at - visit.entry_at) / SECOND, "entered while it was not there")]
        return []

    def _faults_of_end(self, visit: Visit) -> list[Fault]:
        vehicle = visit.vehicle.id
        first_at, last_at = self._seen.get(vehicle, (0, 0))
        if visit.exit_at is None:
            return [_unbounded(vehicle, last_at, 0.0, "the visit ended without an exit")]
        if visit.entry_at is not None and visit.exit_at <= visit.entry_at:
            seconds = (visit.exit_at - visit.entry_at) / SECOND
            return [_unbounded(vehicle, visit.exit_at, seconds, "it left before it entered")]
        if vehicle in self._seen and not first_at <= visit.exit_at <= last_at + SECOND // 10:
            return [_unbounded(vehicle, visit.exit_at, (visit.exit_at - last_at) / SECOND, "left while it was not there")]
        return []

    def _faults_of_count(self, visitors: list[TrueVehicleId]) -> list[Fault]:
        """Every vehicle has one visit; one that is still outside at the end has none yet."""
        twice = sorted(vehicle for vehicle, n in Counter(visitors).items() if n > 1)
        found = [_unbounded(one, self._seen.get(one, (0, 0))[1], 0.0, "more than one visit") for one in twice]
        for vehicle in sorted(self._seen.keys() - set(visitors)):
            if vehicle in self._parked or self._is_gone(vehicle):
                found.append(_unbounded(vehicle, self._seen[vehicle][0], 0.0, "no visit, though it parked or went away"))
        return found

    def _vanished(self, vehicle: TrueVehicleId) -> Fault:
        return _unbounded(vehicle, self._seen[vehicle][1], 0.0, "the visit goes on, but the vehicle is gone")

    def _is_lost(self, visit: Visit) -> bool:
        return visit.vehicle.id in self._seen and self._is_gone(visit.vehicle.id)

    def _is_gone(self, vehicle: TrueVehicleId) -> bool:
        present = () if self._before is None else self._before.vehicles
        return all(state.vehicle.id != vehicle for state in present)

    def _fault(self, kind: FaultKind, at: Micros, states: tuple[VehicleState, ...], value: float, explanation: str) -> None:
        vehicles = tuple(state.vehicle.id for state in states)
        self._faults.append(Fault(kind=kind, at=at, vehicles=vehicles, value=value, explanation=explanation))


def truth_faults(frames: Iterable[TruthFrame], ended: Iterable[Visit], going_on: Iterable[Visit]) -> list[Fault]:
    """Faults of a whole period: its frames in order, the visits that ended in it and those that went on after it."""
    checks = TruthChecks()
    for frame in frames:
        checks.add(frame)
    return checks.faults(ended, going_on)


def _unbounded(vehicle: TrueVehicleId, at: Micros, value: float, explanation: str) -> Fault:
    return Fault(kind="unbounded stay", at=at, vehicles=(vehicle,), value=value, explanation=explanation)


def _rectangle(state: VehicleState) -> Rectangle:
    heading, shape = math.radians(state.heading_deg), state.vehicle.shape
    return (state.x_m, state.y_m, math.cos(heading), math.sin(heading), shape.length_m / 2, shape.width_m / 2)


def _distance_m(one: VehicleState, other: VehicleState) -> float:
    return math.hypot(other.x_m - one.x_m, other.y_m - one.y_m)
