"""Ground truth: vehicles that arrive, drive, park, stay and leave, on any valid site with lanes and a boundary.

Only events cost time: a drive is planned once, whole, and poses are read off the plan. Memory holds the vehicles on
site and the plans that are not over. The same site, seed, start and demand give the same traffic, however it is advanced.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from perception.synthetic import demand as demands
from perception.synthetic.demand import Demand
from perception.synthetic.drive import TICK, Drive, Road, planned
from perception.synthetic.seeds import generator
from perception.synthetic.trips import Trip, Trips
from perception.synthetic.vehicles import Fleet, TrueVehicleId, Vehicle
from site_models.schema import LevelId, Site, StallId
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

FRAME: Micros = 100_000
"""Time between frames of the ground truth."""

_LANE_MPS, _ROAD_MPS = 5.0, 27.0
_TRY_AGAIN: Micros = 2 * SECOND
_MOST_TRIES = 60  # then a driver who cannot get in goes elsewhere
_STALLS_TRIED = 3
_VEHICLES_TRIED = 20  # until one fits a stall
_NEVER: Micros = 1 << 62


class VehicleState(Struct, frozen=True, kw_only=True):
    """Where a vehicle truly is: the middle of its footprint, site frame; heading counter-clockwise from x."""

    vehicle: Vehicle
    level: LevelId
    x_m: float
    y_m: float
    heading_deg: float
    speed_mps: float  # along its heading, negative when backing
    stall: StallId | None
    state: Literal["moving", "parked"]


class TruthFrame(Struct, frozen=True, kw_only=True):
    """Every vehicle at one moment, sorted by id; also those at most ``OUTSIDE_M`` outside the boundary."""

    at: Micros
    vehicles: tuple[VehicleState, ...]


class Visit(Struct, frozen=True, kw_only=True):
    """One true stay: when the vehicle's middle crossed the boundary; None: not in the period."""

    vehicle: Vehicle
    entry_at: Micros | None
    exit_at: Micros | None


class _Episode(NamedTuple):
    """A drive, or standing in a stall, from ``start_at`` until ``end_at``."""

    start_at: Micros
    end_at: Micros
    drive: Drive | None
    parked: VehicleState | None


class _Presence:
    """A vehicle on site: what it does when, where it parks, and its visit so far."""

    def __init__(self, vehicle: Vehicle) -> None:
        self.vehicle = vehicle
        self.episodes: list[_Episode] = []
        self.entry_at: Micros | None = None
        self.exit_at: Micros | None = None
        self.trip: Trip | None = None

    def state(self, at: Micros) -> VehicleState | None:
        """Where it is, or None before it appears and after it vanishes."""
        for episode in self.episodes:
            if episode.start_at <= at < episode.end_at:
                return episode.parked or self._driving(episode, at)
        return None

    def _driving(self, episode: _Episode, at: Micros) -> VehicleState:
        assert episode.drive is not None
        step, speed_mps = episode.drive.at(at)
        path = episode.drive.path
        index = min(int(step), path.last)
        x, y, heading = path.pose(step)
        return VehicleState(
            vehicle=self.vehicle,
            level=path.level[index],
            x_m=x,
            y_m=y,
            heading_deg=degrees(heading),
            speed_mps=speed_mps * path.gear[min(math.ceil(step), path.last)],
            stall=None,
            state="moving",
        )


class _Event(NamedTuple):
    at: Micros
    number: int
    kind: Literal["arrives", "enters", "leaves"]
    vehicle: TrueVehicleId | None
    n_tries: int


class Traffic:
    """Ground truth of a site, generated forward in time.

    Raises:
        BadInput: the site has no way in and out.
    """

    def __init__(self, site: Site, seed: int, start_at: Micros, demand: Demand | None = None) -> None:
        self.site, self.demand = site, demand or Demand()
        self._trips = Trips(site, self.demand.speed_mps or (_LANE_MPS if site.stalls else _ROAD_MPS))
        self._arrivals, self._choices = generator(seed, "arrivals"), generator(seed, "choices")
        self._fleet = Fleet(generator(seed, "fleet"), self.demand.lookalike_share, on_road=not site.stalls)
        self._rate = demands.arrivals_per_s(self.demand, len(self._trips.stalls), len(self._trips.entries))
        self._road = Road()
        self._presences: dict[TrueVehicleId, _Presence] = {}
        self._waiting: dict[TrueVehicleId, Vehicle] = {}
        self._taken: set[StallId] = set()
        self._visits: list[Visit] = []
        self._events: list[_Event] = []
        self._n_events = 0
        self._floor, self._now = start_at, start_at
        self._park_first(start_at)
        self._expect(self._next_arrival(start_at), "arrives")

    @property
    def usable_stalls(self) -> tuple[StallId, ...]:
        """Stalls that a small car can reach and leave; the others stay empty."""
        return self._trips.stalls

    def advance(self, until_at: Micros) -> None:
        """Generate up to a time; what was before the last call's time is forgotten."""
        self._floor = self._now
        while self._events and self._events[0].at < until_at:
            event = heapq.heappop(self._events)
            if event.kind == "arrives":
                self._arrive(event.at)
            elif event.kind == "enters":
                self._enter(event)
            else:
                self._leave(event)
        self._now = max(self._now, until_at)
        self._forget()

    def at(self, at: Micros) -> TruthFrame:
        """The truth at a time from the last but one time that ``advance`` was given up to the last.

        Raises:
            BadInput: the time is outside of that.
        """
        if not self._floor <= at < self._now:
            raise BadInput(f"traffic is known from {self._floor} to before {self._now} µs, not at {at}; advance to it first")
        states = (presence.state(at) for presence in self._presences.values())
        present = sorted((state for state in states if state is not None), key=lambda state: state.vehicle.id)
        return TruthFrame(at=at, vehicles=tuple(present))

    def frames(self, until_at: Micros, *, chunk: Micros = 10 * SECOND) -> Iterator[TruthFrame]:
        """Advance, and give a frame every 100 ms, up to but without ``until_at``."""
        next_at = -(-self._now // FRAME) * FRAME
        while next_at < until_at:
            self.advance(min(self._now + chunk, until_at))
            while next_at < self._now:
                yield self.at(next_at)
                next_at += FRAME

    def take_visits(self) -> list[Visit]:
        """Visits that ended since the last call, in the order of their ends."""
        ended, self._visits = self._visits, []
        return ended

    def open_visits(self) -> list[Visit]:
        """Visits in progress: also of those that were there before the start, and of those that are about to vanish."""
        visits = list[Visit]()
        for one in self._presences.values():
            exit_at = one.exit_at if one.exit_at is not None and one.exit_at < self._now else None
            if one.entry_at is None or one.entry_at < self._now:
                visits.append(Visit(vehicle=one.vehicle, entry_at=one.entry_at, exit_at=exit_at))
        return visits

    def _expect(
        self, at: Micros, kind: Literal["arrives", "enters", "leaves"], vehicle: TrueVehicleId | None = None, n_tries: int = 0
    ) -> None:
        self._n_events += 1
        heapq.heappush(self._events, _Event(at, self._n_events, kind, vehicle, n_tries))

    def _next_arrival(self, at: Micros) -> Micros:
        """A Poisson process whose rate follows the time of the day, by thinning."""
        peak = max(demands.rush_factor(quarter * 900 * SECOND, self.demand.rush) for quarter in range(96))
        while True:
            at += max(1, round(float(self._arrivals.exponential(1 / (self._rate * peak))) * SECOND))
            if self._arrivals.uniform() * peak <= demands.rush_factor(at, self.demand.rush):
                return at

    def _park_first(self, at: Micros) -> None:
        n_parked = round(self.demand.initial_share * len(self._trips.stalls))
        for index in sorted(self._choices.permutation(len(self._trips.stalls))[:n_parked]):
            for vehicle in (self._fleet.draw() for _ in range(_VEHICLES_TRIED)):
                trip = self._trips.into(self._trips.stalls[int(index)], vehicle, self._choices)
                if trip is not None:
                    presence = self._presences[vehicle.id] = _Presence(vehicle)
                    self._stand(presence, trip, at, demands.rest_of_stay_s(self.demand, self._choices))
                    break

    def _arrive(self, at: Micros) -> None:
        self._expect(self._next_arrival(at), "arrives")
        vehicle = self._fleet.draw()
        self._waiting[vehicle.id] = vehicle
        self._expect(at, "enters", vehicle.id)

    def _enter(self, event: _Event) -> None:
        assert event.vehicle is not None
        vehicle = self._waiting.pop(event.vehicle)
        if not self._drives_in(vehicle, -(-event.at // TICK) * TICK) and event.n_tries < _MOST_TRIES:
            self._waiting[vehicle.id] = vehicle
            self._expect(event.at + _TRY_AGAIN, "enters", vehicle.id, event.n_tries + 1)

    def _drives_in(self, vehicle: Vehicle, at: Micros) -> bool:
        for trip in self._trips_wanted(vehicle):
            drive = planned(self._road, trip.path, at, speed=trip.speed, is_parked_at_first=False)
            if drive is not None:
                presence = self._presences[vehicle.id] = _Presence(vehicle)
                self._start(presence, drive)
                presence.entry_at = drive.reaches_at(trip.entry_step)
                if trip.stall is None:
                    presence.exit_at = drive.reaches_at(trip.exit_step)
                else:
                    self._stand(presence, trip, drive.end_at, demands.stay_s(self.demand, self._choices))
                return True
        return False

    def _trips_wanted(self, vehicle: Vehicle) -> Iterator[Trip]:
        """A few free stalls, or straight through for those who only pass or find none."""
        free = [stall for stall in self._trips.stalls if stall not in self._taken]
        if free and self._choices.uniform() >= self.demand.pass_through_share:
            n_found = 0
            for index in self._choices.permutation(len(free)):
                trip = self._trips.into(free[int(index)], vehicle, self._choices)
                if trip is not None:
                    n_found += 1
                    yield trip
                if n_found == _STALLS_TRIED:
                    return
            if n_found:
                return
        trip = self._trips.through(vehicle, self._choices)
        if trip is not None:
            yield trip

    def _leave(self, event: _Event) -> None:
        assert event.vehicle is not None
        presence = self._presences[event.vehicle]
        assert presence.trip is not None
        trip = self._trips.out_of(presence.trip, presence.vehicle, self._choices)
        drive = planned(self._road, trip.path, -(-event.at // TICK) * TICK, speed=0, is_parked_at_first=True)
        if drive is None:
            self._expect(event.at + _TRY_AGAIN, "leaves", event.vehicle)
            return
        self._road.take(drive)
        moves = drive.without_waiting()
        standing = presence.episodes.pop()
        presence.episodes += [
            standing._replace(end_at=moves.start_at),
            _Episode(moves.start_at, moves.end_at, moves, None),
        ]
        presence.exit_at = drive.reaches_at(trip.exit_step)
        assert presence.trip.stall is not None
        self._taken.discard(presence.trip.stall)

    def _start(self, presence: _Presence, drive: Drive) -> None:
        self._road.take(drive)
        presence.episodes.append(_Episode(drive.start_at, drive.end_at, drive, None))

    def _stand(self, presence: _Presence, trip: Trip, at: Micros, stay_s: float) -> None:
        """Take the trip's stall from ``at`` on, and expect to leave it."""
        assert trip.stall is not None
        x, y, heading = trip.path.pose(trip.path.last)
        parked = VehicleState(
            vehicle=presence.vehicle,
            level=trip.path.level[-1],
            x_m=x,
            y_m=y,
            heading_deg=degrees(heading),
            speed_mps=0.0,
            stall=trip.stall,
            state="parked",
        )
        presence.trip = trip
        presence.episodes.append(_Episode(at, _NEVER, None, parked))
        self._taken.add(trip.stall)
        self._expect(at + round(stay_s * SECOND), "leaves", presence.vehicle.id)

    def _forget(self) -> None:
        """Drop episodes that are over, and vehicles that are gone."""
        self._road.forget(self._floor)
        gone = list[_Presence]()
        for presence in self._presences.values():
            if presence.episodes[0].end_at <= self._floor:
                presence.episodes = [one for one in presence.episodes if one.end_at > self._floor]
            if not presence.episodes:
                gone.append(presence)
        for one in sorted(gone, key=lambda one: (one.exit_at or 0, one.vehicle.id)):
            self._visits.append(Visit(vehicle=one.vehicle, entry_at=one.entry_at, exit_at=one.exit_at))
            del self._presences[one.vehicle.id]


def degrees(heading: float) -> float:
    """Radians as degrees in (-180, 180]."""
    return math.degrees(math.remainder(heading, math.tau))
