"""Ground truth: vehicles that arrive, drive, park, stay and leave, on any valid site with lanes and a boundary.

Only events cost time: a drive is planned once, whole, and poses are read off the plan. Memory holds the vehicles on
site and the plans that are not over. The same site, seed, start and demand give the same traffic, however it is advanced.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

from perception.synthetic import demand as demands
from perception.synthetic.arrivals import Arrivals
from perception.synthetic.barriers import Barriers
from perception.synthetic.demand import Demand
from perception.synthetic.drive import Drive, Road
from perception.synthetic.people import People
from perception.synthetic.presence import Episode, Presence, driving
from perception.synthetic.seeds import generator
from perception.synthetic.trips import Trip, Trips
from perception.synthetic.truth import FRAME, PersonState, TruthFrame, VehicleState, Visit, degrees
from perception.synthetic.vehicles import Fleet, TrueVehicleId, Vehicle
from site_models.schema import Site, StallId
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

__all__ = ["FRAME", "PersonState", "Traffic", "TruthFrame", "VehicleState", "Visit", "degrees"]

_LANE_MPS, _ROAD_MPS = 5.0, 27.0
_TRY_AGAIN: Micros = 2 * SECOND
_MOST_TRIES = 60  # then a driver who cannot get in goes elsewhere
_LONGER = 1.5  # times as long before every next try to leave
_TRIES_TO_LEAVE = 8  # then the driver comes back later
_LATER: Micros = 300 * SECOND
_STALLS_TRIED = 3
_VEHICLES_TRIED = 20  # until one fits a stall
_CHANGES_AFTER_S = (60.0, 300.0)

_Kind = Literal["arrives", "enters", "changes", "leaves"]


class _Event(NamedTuple):
    at: Micros
    number: int
    kind: _Kind
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
        self._choices = generator(seed, "choices")
        self._fleet = Fleet(generator(seed, "fleet"), self.demand.lookalike_share, on_road=not site.stalls)
        per_s = demands.arrivals_per_s(self.demand, len(self._trips.stalls), len(self._trips.entries))
        self._arrivals = Arrivals(self.demand, per_s, generator(seed, "arrivals"))
        self._barriers = Barriers(self.demand, generator(seed, "barriers"))
        self._people = People(site, seed, self.demand.people_per_vehicle, start_at)
        self._road = Road()
        self._presences: dict[TrueVehicleId, Presence] = {}
        self._waiting: dict[TrueVehicleId, Vehicle] = {}
        self._taken: set[StallId] = set()
        self._visits: list[Visit] = []
        self._events: list[_Event] = []
        self._n_events = 0
        self._floor, self._now = start_at, start_at
        self._still: list[VehicleState] = []
        self._still_with_walkers: list[Episode] = []
        self._others: list[Presence] = []
        self._park_first(start_at)
        self._expect(self._arrivals.next_at(start_at), "arrives")

    @property
    def usable_stalls(self) -> tuple[StallId, ...]:
        """Stalls that a small car can reach and leave; the others stay empty."""
        return self._trips.stalls

    def advance(self, until_at: Micros) -> None:
        """Generate up to a time; what was before the last call's time is forgotten."""
        self._floor = self._now
        while self._events and self._events[0].at < until_at:
            event = heapq.heappop(self._events)
            if event.vehicle is None:
                self._arrive(event.at)
            elif event.kind == "enters":
                self._enter(event.at, event.vehicle, event.n_tries)
            elif event.kind == "changes":
                self._change(event.at, self._presences[event.vehicle])
            else:
                self._leave(event.at, self._presences[event.vehicle], event.n_tries)
        self._now = max(self._now, until_at)
        self._forget()
        self._tell_apart()

    def _tell_apart(self) -> None:
        """Who stands throughout what is known, nearly all, and the others: hundreds of frames are asked for each time."""
        self._still, self._still_with_walkers, self._others = [], [], []
        for presence in self._presences.values():
            episode = presence.episode(self._floor)
            if episode is None or episode.parked is None or episode.end_at < self._now:
                self._others.append(presence)
                continue
            self._still.append(episode.parked)
            if self._people.may_walk(episode, self._floor, self._now):
                self._still_with_walkers.append(episode)

    def at(self, at: Micros) -> TruthFrame:
        """The truth at a time from the last but one time that ``advance`` was given up to the last.

        Raises:
            BadInput: the time is outside of that.
        """
        if not self._floor <= at < self._now:
            raise BadInput(f"traffic is known from {self._floor} to before {self._now} µs, not at {at}; advance to it first")
        states, standing = self._still.copy(), self._still_with_walkers.copy()
        for presence in self._others:
            episode = presence.episode(at)
            if episode is not None and episode.drive is not None:
                states.append(driving(presence.vehicle, episode.drive, at))
            elif episode is not None and episode.parked is not None:
                states.append(episode.parked)
                standing.append(episode)
        states.sort(key=lambda state: state.vehicle.id)
        return TruthFrame(at=at, vehicles=tuple(states), people=self._people.at(at, standing, states))

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

    def _expect(self, at: Micros, kind: _Kind, vehicle: TrueVehicleId | None = None, n_tries: int = 0) -> None:
        self._n_events += 1
        heapq.heappush(self._events, _Event(at, self._n_events, kind, vehicle, n_tries))

    def _park_first(self, at: Micros) -> None:
        n_parked = round(self.demand.initial_share * len(self._trips.stalls))
        for index in sorted(self._choices.permutation(len(self._trips.stalls))[:n_parked]):
            for vehicle in (self._fleet.draw() for _ in range(_VEHICLES_TRIED)):
                trip = self._into(self._trips.stalls[int(index)], vehicle)
                if trip is not None:
                    presence = self._presences[vehicle.id] = Presence(vehicle)
                    self._stand(presence, trip, at, demands.rest_of_stay_s(self.demand, self._choices))
                    break

    def _arrive(self, at: Micros) -> None:
        self._expect(self._arrivals.next_at(at), "arrives")
        for comes_at in self._arrivals.group(at):
            vehicle = self._fleet.draw()
            self._waiting[vehicle.id] = vehicle
            self._expect(comes_at, "enters", vehicle.id)

    def _enter(self, at: Micros, vehicle: TrueVehicleId, n_tries: int) -> None:
        """Come in, if nobody waits longer."""
        is_next = vehicle == next(iter(self._waiting))
        if n_tries == _MOST_TRIES or (is_next and self._drives_in(self._waiting[vehicle], at)):
            del self._waiting[vehicle]
        else:
            self._expect(at + _TRY_AGAIN, "enters", vehicle, n_tries + 1)

    def _drives_in(self, vehicle: Vehicle, at: Micros) -> bool:
        for trip in self._trips_wanted(vehicle):
            drive = self._barriers.drive(self._road, trip, at, is_parked=False)
            if drive is not None:
                presence = self._presences[vehicle.id] = Presence(vehicle)
                presence.drives(drive)
                presence.entry_at = drive.reaches_at(trip.entry_step)
                if trip.stall is None:
                    presence.exit_at = drive.reaches_at(trip.exit_step)
                else:
                    self._stand(presence, trip, drive.end_at, demands.stay_s(self.demand, self._choices))
                return True
        return False

    def _trips_wanted(self, vehicle: Vehicle) -> Iterator[Trip]:
        """A few free stalls; a halt beside one; or straight through for those who only pass or find none."""
        purpose = float(self._choices.uniform()) - self.demand.pass_through_share
        free = self._free_stalls()
        if free and purpose >= self.demand.double_park_share:
            trips = (trip for stall in free if (trip := self._into(stall, vehicle)) is not None)
            first = next(trips, None)
            if first is not None:
                yield first
                yield from islice(trips, _STALLS_TRIED - 1)
                return
        if 0 <= purpose < self.demand.double_park_share and self._trips.stalls:
            stall = self._trips.stalls[int(self._choices.integers(len(self._trips.stalls)))]
            trip = self._trips.halting(stall, vehicle, self._choices)
        else:
            trip = self._trips.through(vehicle, self._choices)
        if trip is not None:
            yield trip

    def _free_stalls(self) -> list[StallId]:
        free = [stall for stall in self._trips.stalls if stall not in self._taken]
        return [free[int(index)] for index in self._choices.permutation(len(free))]

    def _into(self, stall: StallId, vehicle: Vehicle) -> Trip | None:
        return self._trips.into(stall, vehicle, self._choices, is_backwards=self._backs_in())

    def _backs_in(self) -> bool:
        return float(self._choices.uniform()) < self.demand.back_in_share

    def _change(self, at: Micros, presence: Presence) -> None:
        """Move to another stall, if that can be done at once."""
        assert presence.trip is not None
        trips = (
            self._trips.between(presence.trip, stall, presence.vehicle, self._choices, is_backwards=self._backs_in())
            for stall in self._free_stalls()
        )
        for trip in islice((trip for trip in trips if trip is not None), _STALLS_TRIED):
            drive = self._barriers.drive(self._road, trip, at, is_parked=True)
            if drive is not None:
                self._drive_off(presence, drive)
                rest_s = max(_CHANGES_AFTER_S[0], (presence.leaves_at - drive.end_at) / SECOND)
                self._stand(presence, trip, drive.end_at, rest_s, may_change=False)
                return
        self._expect(presence.leaves_at, "leaves", presence.vehicle.id)

    def _leave(self, at: Micros, presence: Presence, n_tries: int) -> None:
        assert presence.trip is not None
        trip = self._trips.out_of(presence.trip, presence.vehicle, self._choices)
        drive = self._barriers.drive(self._road, trip, at, is_parked=True)
        if drive is not None:
            self._drive_off(presence, drive)
            presence.exit_at = drive.reaches_at(trip.exit_step)
        elif n_tries < _TRIES_TO_LEAVE:
            self._expect(at + round(_TRY_AGAIN * _LONGER**n_tries), "leaves", presence.vehicle.id, n_tries + 1)
        else:
            self._expect(at + _LATER, "leaves", presence.vehicle.id)

    def _drive_off(self, presence: Presence, drive: Drive) -> None:
        assert presence.trip is not None
        assert presence.trip.stall is not None
        presence.drives(drive)
        self._taken.discard(presence.trip.stall)

    def _stand(self, presence: Presence, trip: Trip, at: Micros, stay_s: float, *, may_change: bool = True) -> None:
        """Take the trip's stall from ``at`` on, and expect to leave it."""
        assert trip.stall is not None
        self._taken.add(trip.stall)
        presence.leaves_at = at + round(stay_s * SECOND)
        changes_at = at + round(float(self._choices.uniform(*_CHANGES_AFTER_S)) * SECOND)
        is_changing = may_change and float(self._choices.uniform()) < self.demand.change_share
        if is_changing and changes_at < presence.leaves_at:
            presence.stands(trip, at, changes_at)
            self._expect(changes_at, "changes", presence.vehicle.id)
        else:
            presence.stands(trip, at, presence.leaves_at)
            self._expect(presence.leaves_at, "leaves", presence.vehicle.id)

    def _forget(self) -> None:
        """Drop episodes that are over, and vehicles that are gone."""
        self._road.forget(self._floor)
        self._barriers.forget(self._floor)
        gone = [one for one in self._presences.values() if one.forget(self._floor)]
        for one in sorted(gone, key=lambda one: (one.exit_at or 0, one.vehicle.id)):
            self._visits.append(one.visit)
            self._people.forget(one.vehicle.id)
            del self._presences[one.vehicle.id]
