"""Ground truth that repeats: the traffic of a clip that is played over and over.

A vehicle that leaves its stall comes back to it later in the same period, so the parked set at the end is that of the
start, and its stay crosses the seam: it enters in one round and leaves in the next. Others come and go within a round, or
drive through. Nothing moves close to the seam.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely

from perception.synthetic.drive import TICK, Drive, Road, planned
from perception.synthetic.seeds import generator
from perception.synthetic.traffic import TruthFrame, VehicleState, Visit, degrees
from perception.synthetic.trips import Trip, Trips
from perception.synthetic.vehicles import Fleet, Vehicle
from site_models.schema import Site
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

_USUAL_S = 180  # the round that the usual demand fills
_MOST_TRIES = 60  # of whole rounds
_STARTS_TRIED = 12  # of one drive in a round
_VEHICLES_TRIED = 20  # until one fits a stall
_STILL: Micros = 2 * SECOND  # before and after the seam


class LoopDemand(NamedTuple):
    """What happens in every round.

    Attributes:
        parked_share: of the usable stalls at the seam.
        n_returning: vehicles that leave and come back; their stays cross the seam.
        n_visiting: whole stays within a round, of at least ``stay_s``.
        n_passing: drive through.
        lookalike_share: of the vehicles.
        speed_mps: what drivers like to go.
    """

    parked_share: float = 0.55
    n_returning: int = 5
    n_visiting: int = 4
    n_passing: int = 3
    stay_s: float = 28.0
    lookalike_share: float = 0.25
    speed_mps: float = 5.0


class _Stretch(NamedTuple):
    """Driving or standing, from a time of the round until another."""

    start_at: Micros
    end_at: Micros
    drive: Drive | None
    parked: VehicleState | None


class _Part(NamedTuple):
    """One vehicle's round; crossings are times of the round."""

    vehicle: Vehicle
    stretches: tuple[_Stretch, ...]
    entry_at: Micros | None
    exit_at: Micros | None


class LoopTraffic:
    """One round of traffic, for ever.

    The same site, seed and demand give the same round.

    Raises:
        BadInput: the site has no way in and out, or the demand does not fit into the period.
    """

    def __init__(self, site: Site, seed: int, period_s: int = 180, demand: LoopDemand | None = None) -> None:
        self.site, self.period, self.demand = site, period_s * SECOND, demand or _fitting(period_s)
        if self.period % TICK or self.period <= 4 * _STILL:
            raise BadInput(f"a round of {period_s} s is too short; give at least {4 * _STILL // SECOND + 1} s")
        self._trips = Trips(site, self.demand.speed_mps)
        self._blind = [shapely.LineString(portal.line_m) for portal in site.portals if portal.role == "blind"]
        for number in range(_MOST_TRIES):
            parts = self._round(generator(seed, "loop", number))
            if parts is not None:
                self._parts = parts
                return
        raise BadInput(
            f"{_MOST_TRIES} tries found no round of {period_s} s with {self.demand.n_returning} returning, "
            f"{self.demand.n_visiting} visiting and {self.demand.n_passing} passing vehicles on '{site.name}'; ask for fewer"
        )

    def at(self, at: Micros) -> TruthFrame:
        """The truth at any time from 0 on."""
        moment = at % self.period
        states = (self._state(part, moment) for part in self._parts)
        present = sorted((state for state in states if state is not None), key=lambda state: state.vehicle.id)
        return TruthFrame(at=at, vehicles=tuple(present))

    def visits(self, n_rounds: int) -> list[Visit]:
        """Every stay that begins or ends within so many rounds, sorted by vehicle and time; None: outside of them."""
        result = list[Visit]()
        for part in self._parts:
            if part.entry_at is None or part.exit_at is None:
                result.append(Visit(vehicle=part.vehicle, entry_at=None, exit_at=None))
                continue
            shift = self.period if part.exit_at < part.entry_at else 0
            for number in range(-1 if shift else 0, n_rounds):
                entry_at = part.entry_at + number * self.period
                exit_at = part.exit_at + number * self.period + shift
                is_before, is_after = entry_at < 0, exit_at >= n_rounds * self.period
                entry, leave = None if is_before else entry_at, None if is_after else exit_at
                result.append(Visit(vehicle=part.vehicle, entry_at=entry, exit_at=leave))
        return result

    def _state(self, part: _Part, at: Micros) -> VehicleState | None:
        for stretch in part.stretches:
            if stretch.start_at <= at < stretch.end_at:
                return stretch.parked or _driving(part.vehicle, stretch.drive, at)
        return None

    def _round(self, rng: np.random.Generator) -> tuple[_Part, ...] | None:
        """One try at a whole round."""
        demand, road = self.demand, Road()
        fleet = Fleet(rng, demand.lookalike_share, on_road=False)
        stalls = [self._trips.stalls[int(index)] for index in rng.permutation(len(self._trips.stalls))]
        n_parked = max(round(demand.parked_share * len(stalls)), demand.n_returning)
        parked = [
            (vehicle, trip)
            for stall in stalls[:n_parked]
            if (found := self._fit(stall, fleet, rng))
            for vehicle, trip in [found]
        ]
        if len(parked) < demand.n_returning or len(stalls) - n_parked < demand.n_visiting:
            return None
        parts: list[_Part | None] = [self._standing(vehicle, trip) for vehicle, trip in parked[demand.n_returning :]]
        for number, (vehicle, trip) in enumerate(parked[: demand.n_returning]):
            parts.append(self._returning(vehicle, trip, road, rng, number))
        for number, stall in enumerate(stalls[n_parked : n_parked + demand.n_visiting]):
            parts.append(self._visiting(self._fit(stall, fleet, rng), road, rng, number))
        for number in range(demand.n_passing):
            parts.append(self._passing(fleet.draw(), road, rng, number))
        whole = [part for part in parts if part is not None]
        return tuple(whole) if len(whole) == len(parts) and self._is_telling(whole) else None

    def _is_telling(self, parts: Sequence[_Part]) -> bool:
        """Two of the moving vehicles look alike, and where the site has blind areas somebody drives through one."""
        movers = [part for part in parts if part.entry_at is not None]
        looks = [part.vehicle.look for part in parts]
        if self.demand.lookalike_share > 0 and not any(looks.count(part.vehicle.look) > 1 for part in movers):
            return False
        paths = [stretch.drive.path for part in movers for stretch in part.stretches if stretch.drive is not None]
        lines = [shapely.LineString(np.column_stack([path.x, path.y])) for path in paths]
        return not self._blind or any(line.intersects(portal) for line in lines for portal in self._blind)

    def _fit(self, stall: object, fleet: Fleet, rng: np.random.Generator) -> tuple[Vehicle, Trip] | None:
        for vehicle in (fleet.draw() for _ in range(_VEHICLES_TRIED)):
            trip = self._trips.into(stall, vehicle, rng)  # type: ignore[arg-type]
            if trip is not None:
                return vehicle, trip
        return None

    def _standing(self, vehicle: Vehicle, trip: Trip) -> _Part:
        return _Part(vehicle, (_Stretch(0, self.period, None, _parked(vehicle, trip)),), None, None)

    def _returning(self, vehicle: Vehicle, trip: Trip, road: Road, rng: np.random.Generator, number: int) -> _Part | None:
        share = self.period / (self.demand.n_returning + 1)
        leaves = self._planned(self._trips.out_of(trip, vehicle, rng), road, rng, number * share * 0.5, share, is_parked=True)
        if leaves is None:
            return None
        out, leave = leaves
        comes = self._planned(
            trip, road, rng, max(out.end_at + 5 * SECOND, self.period * 0.45), self.period * 0.4, is_parked=False
        )
        if comes is None:
            return None
        back, _ = comes
        moves = out.without_waiting()
        stands = _parked(vehicle, trip)
        stretches = (
            _Stretch(0, moves.start_at, None, stands),
            _Stretch(moves.start_at, moves.end_at, moves, None),
            _Stretch(back.start_at, back.end_at, back, None),
            _Stretch(back.end_at, self.period, None, stands),
        )
        return _Part(vehicle, stretches, back.reaches_at(trip.entry_step), out.reaches_at(leave.exit_step))

    def _visiting(self, found: tuple[Vehicle, Trip] | None, road: Road, rng: np.random.Generator, number: int) -> _Part | None:
        if found is None:
            return None
        vehicle, trip = found
        share = self.period / (self.demand.n_visiting + 2)
        comes = self._planned(trip, road, rng, number * share * 0.7, share, is_parked=False)
        if comes is None:
            return None
        drive, _ = comes
        ready_at = drive.end_at + self.demand.stay_s * SECOND
        leaves = self._planned(self._trips.out_of(trip, vehicle, rng), road, rng, ready_at, 40 * SECOND, is_parked=True)
        if leaves is None:
            return None
        out, leave = leaves
        moves = out.without_waiting()
        stretches = (
            _Stretch(drive.start_at, drive.end_at, drive, None),
            _Stretch(drive.end_at, moves.start_at, None, _parked(vehicle, trip)),
            _Stretch(moves.start_at, moves.end_at, moves, None),
        )
        return _Part(vehicle, stretches, drive.reaches_at(trip.entry_step), out.reaches_at(leave.exit_step))

    def _passing(self, vehicle: Vehicle, road: Road, rng: np.random.Generator, number: int) -> _Part | None:
        trip = self._trips.through(vehicle, rng)
        if trip is None:
            return None
        share = self.period / (self.demand.n_passing + 1)
        found = self._planned(trip, road, rng, number * share, share, is_parked=False)
        if found is None:
            return None
        drive, _ = found
        stretch = _Stretch(drive.start_at, drive.end_at, drive, None)
        return _Part(vehicle, (stretch,), drive.reaches_at(trip.entry_step), drive.reaches_at(trip.exit_step))

    def _planned(
        self, trip: Trip, road: Road, rng: np.random.Generator, from_at: float, within: float, *, is_parked: bool
    ) -> tuple[Drive, Trip] | None:
        """A drive that begins in a window of the round and ends before its last, still seconds."""
        for _ in range(_STARTS_TRIED):
            start = max(from_at + rng.uniform(0, within), _STILL)
            start_at = -(-round(start) // TICK) * TICK
            drive = planned(road, trip.path, start_at, speed=0 if is_parked else trip.speed, is_parked_at_first=is_parked)
            if drive is not None and drive.end_at <= self.period - _STILL:
                road.take(drive)
                return drive, trip
        return None


def _fitting(period_s: int) -> LoopDemand:
    """The usual demand, with as much of it as a shorter round has time for."""
    usual, share = LoopDemand(), min(period_s / _USUAL_S, 1.0) ** 2
    counts = (max(1, round(n * share)) for n in (usual.n_returning, usual.n_visiting, usual.n_passing))
    return usual._replace(**dict(zip(("n_returning", "n_visiting", "n_passing"), counts, strict=True)))


def _parked(vehicle: Vehicle, trip: Trip) -> VehicleState:
    x, y, heading = trip.path.pose(trip.path.last)
    return VehicleState(
        vehicle=vehicle,
        level=trip.path.level[-1],
        x_m=x,
        y_m=y,
        heading_deg=degrees(heading),
        speed_mps=0.0,
        stall=trip.stall,
        state="parked",
    )


def _driving(vehicle: Vehicle, drive: Drive | None, at: Micros) -> VehicleState:
    assert drive is not None  # a stretch drives or stands
    step, speed_mps = drive.at(at)
    path = drive.path
    x, y, heading = path.pose(step)
    return VehicleState(
        vehicle=vehicle,
        level=path.level[min(int(step), path.last)],
        x_m=x,
        y_m=y,
        heading_deg=degrees(heading),
        speed_mps=speed_mps * path.gear[min(math.ceil(step), path.last)],
        stall=None,
        state="moving",
    )
