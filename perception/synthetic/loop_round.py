"""One draw of a loop's round: every vehicle's drives and stays, planned in the order of time."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import shapely

from perception.synthetic.barriers import Barriers
from perception.synthetic.demand import Demand
from perception.synthetic.drive import Drive, Road
from perception.synthetic.loop_demand import LoopDemand, n_parked
from perception.synthetic.paths import CELL_M, SPEED_STEP_MPS, Path
from perception.synthetic.presence import Episode, Presence, driving
from perception.synthetic.trips import Trip, Trips
from perception.synthetic.truth import TruthFrame, VehicleState
from perception.synthetic.vehicles import Fleet, Vehicle
from site_models.schema import Portal, Site, StallId
from twin.events.ids import SECOND, Micros

STILL: Micros = 2 * SECOND
"""Nobody drives for so long before and after the seam."""

_VEHICLES_TRIED = 20  # until one fits a stall
_AWAY_AT_LEAST: Micros = 5 * SECOND
_LONGEST_STAY = 1.6  # times the least
_TRY_AGAIN: Micros = 2 * SECOND
_WAITING = 1.4  # time of a drive among others, as a multiple of what it takes at its limits
_BARRIER_S = 8.0  # to stop at a barrier, wait for a ticket and set off


class Misfit(Exception):
    """Why a round is not taken."""


class Part(NamedTuple):
    """What one vehicle does in every round; without crossings it stands throughout."""

    vehicle: Vehicle
    episodes: tuple[Episode, ...]
    entry_at: Micros | None
    exit_at: Micros | None

    @property
    def drives(self) -> tuple[Drive, ...]:
        return tuple(one.drive for one in self.episodes if one.drive is not None)

    def state(self, at: Micros) -> VehicleState | None:
        episode = self._episode(at)
        if episode is None:
            return None
        return episode.parked if episode.drive is None else driving(self.vehicle, episode.drive, at)

    def stay(self, at: Micros, period: Micros) -> Episode | None:
        """Standing in a stall between two drives; one across the seam as a whole, though half of it is in another round."""
        episode = self._episode(at)
        if episode is None or episode.parked is None or len(self.episodes) == 1:
            return None
        first, last = self.episodes[0], self.episodes[-1]
        stay = episode._replace(due_at=min(episode.end_at, period))
        if first.parked is not None and last.parked is not None:
            if episode is first:
                stay = stay._replace(start_at=last.start_at - period)
            elif episode is last:
                stay = stay._replace(due_at=first.end_at + period)
        return stay

    def _episode(self, at: Micros) -> Episode | None:
        return next((one for one in self.episodes if one.start_at <= at < one.end_at), None)


def frame_of(parts: Iterable[Part], at: Micros, moment: Micros) -> TruthFrame:
    """A moment of the round, told as at another time."""
    states = (part.state(moment) for part in parts)
    return TruthFrame(at=at, vehicles=tuple(state for state in states if state is not None))


class _Wish(NamedTuple):
    """A drive that somebody wants to begin."""

    at: Micros
    trip: Trip
    is_parked: bool


_Play = Generator[_Wish, Drive, Part]
"""What one vehicle does: it wishes for drives one after another, and is sent them."""


class Round:
    """One draw of a round.

    Raises:
        Misfit: it is not what was asked for.
    """

    def __init__(self, site: Site, trips: Trips, demand: LoopDemand, period: Micros, rng: np.random.Generator) -> None:
        self._trips, self._demand, self._period, self._rng = trips, demand, period, rng
        self._road, self._barriers = Road(), Barriers(Demand(), rng)
        self._fleet = Fleet(rng, demand.lookalike_share, on_road=False)
        self._arrivals: list[Trip] = []
        self.parts = self._draw()
        self._check_look_alikes()
        self._check_pauses()
        self._check_blind([portal for portal in site.portals if portal.role == "blind"])

    def _draw(self) -> tuple[Part, ...]:
        demand = self._demand
        stalls = [self._trips.stalls[int(index)] for index in self._rng.permutation(len(self._trips.stalls))]
        parked = n_parked(demand, len(stalls))
        plays = [self._returning(stall, number) for number, stall in enumerate(stalls[: demand.n_returning])]
        free = stalls[parked : parked + demand.n_visiting]
        plays += [self._visiting(stall, number) for number, stall in enumerate(free)]
        plays += [self._passing(number) for number in range(demand.n_passing)]
        parts = [*self._played(plays), *(self._standing(stall) for stall in stalls[demand.n_returning : parked])]
        return tuple(sorted(parts, key=lambda part: part.vehicle.id))

    def _played(self, plays: Sequence[_Play]) -> Iterator[Part]:
        """Plan every drive in the order of time, so that those who come later keep clear of those before."""
        wishes = [(wish.at, number, wish) for number, wish in enumerate(map(next, plays))]
        heapq.heapify(wishes)
        while wishes:
            at, number, wish = heapq.heappop(wishes)
            drive = self._planned(wish, at)
            if drive is None:
                heapq.heappush(wishes, (at + _TRY_AGAIN, number, wish))
                continue
            try:
                wish = plays[number].send(drive)
                heapq.heappush(wishes, (wish.at, number, wish))
            except StopIteration as end:
                yield end.value

    def _standing(self, stall: StallId) -> Part:
        presence, trip = self._someone_for(stall)
        presence.stands(trip, 0, self._period)
        return Part(presence.vehicle, tuple(presence.episodes), None, None)

    def _returning(self, stall: StallId, number: int) -> _Play:
        """Leaves its stall and comes back to the very pose it had."""
        leaving, trip = self._someone_for(stall)
        leaving.stands(trip, 0, self._period)
        out = self._trips.out_of(trip, leaving.vehicle, self._rng)
        needs = _usual_time(out) + _AWAY_AT_LEAST + _usual_time(trip)
        leaves = yield _Wish(self._time(needs, number, self._demand.n_returning), out, is_parked=True)
        leaving.drives(leaves)
        coming = Presence(leaving.vehicle)
        back_at = self._time(_usual_time(trip), 0, 1, leaves.end_at + _AWAY_AT_LEAST)
        comes = yield _Wish(back_at, trip, is_parked=False)
        coming.drives(comes)
        coming.stands(trip, comes.end_at, self._period)
        back = coming.episodes[-1]._replace(parked=leaving.episodes[0].parked)
        episodes = (*leaving.episodes, *coming.episodes[:-1], back)
        return Part(leaving.vehicle, episodes, comes.reaches_at(trip.entry_step), leaves.reaches_at(out.exit_step))

    def _visiting(self, stall: StallId, number: int) -> _Play:
        presence, trip = self._someone_for(stall)
        out = self._trips.out_of(trip, presence.vehicle, self._rng)
        stay = round(self._demand.stay_s * float(self._rng.uniform(1.0, _LONGEST_STAY)) * SECOND)
        needs = _usual_time(trip) + stay + _usual_time(out)
        comes = yield _Wish(self._time(needs, number, self._demand.n_visiting), trip, is_parked=False)
        presence.drives(comes)
        presence.stands(trip, comes.end_at, self._period)
        leaves = yield _Wish(comes.end_at + stay, out, is_parked=True)
        presence.drives(leaves)
        crossings = comes.reaches_at(trip.entry_step), leaves.reaches_at(out.exit_step)
        return Part(presence.vehicle, tuple(presence.episodes), *crossings)

    def _passing(self, number: int) -> _Play:
        presence = Presence(self._fleet.draw())
        trip = self._trips.through(presence.vehicle, self._rng)
        if trip is None:
            raise Misfit(f"a {presence.vehicle.body} fits through nowhere")
        drive = yield _Wish(self._time(_usual_time(trip), number, self._demand.n_passing), trip, is_parked=False)
        presence.drives(drive)
        crossings = drive.reaches_at(trip.entry_step), drive.reaches_at(trip.exit_step)
        return Part(presence.vehicle, tuple(presence.episodes), *crossings)

    def _someone_for(self, stall: StallId) -> tuple[Presence, Trip]:
        """A vehicle that can use the stall, and its way there."""
        for vehicle in (self._fleet.draw() for _ in range(_VEHICLES_TRIED)):
            is_backwards = float(self._rng.uniform()) < self._demand.back_in_share
            trip = self._trips.into(stall, vehicle, self._rng, is_backwards=is_backwards)
            if trip is not None:
                self._arrivals.append(trip)
                return Presence(vehicle), trip
        raise Misfit(f"none of {_VEHICLES_TRIED} vehicles fitted a stall")

    def _time(self, needs: Micros, number: int, n: int, from_at: Micros = STILL) -> Micros:
        """A time in the ``number``-th of ``n`` shares of the round, which leaves the time that is needed."""
        latest_at = max(self._period - STILL - needs, from_at)
        return round(from_at + (latest_at - from_at) * (number + float(self._rng.uniform())) / n)

    def _planned(self, wish: _Wish, at: Micros) -> Drive | None:
        """A drive on the next tick, with its room taken; None: not now."""
        last_at = self._period - STILL
        drive = self._barriers.drive(self._road, wish.trip, at, is_parked=wish.is_parked) if at < last_at else None
        if at >= last_at or (drive is not None and drive.end_at > last_at):
            raise Misfit("a drive did not end in time")
        return drive

    def _check_look_alikes(self) -> None:
        if self._demand.lookalike_share == 0:
            return
        for one, other in combinations(self.parts, 2):
            is_moving = one.entry_at is not None or other.entry_at is not None
            if is_moving and one.vehicle.look == other.vehicle.look and _meet(one, other):
                return
        raise Misfit("no moving vehicle met its look-alike")

    def _check_pauses(self) -> None:
        crossings = sorted(at for part in self.parts for at in (part.entry_at, part.exit_at) if at is not None)
        around = [*crossings, crossings[0] + self._period] if crossings else []
        if any(after - before > self._demand.longest_pause_s * SECOND for before, after in pairwise(around)):
            raise Misfit(f"nobody came or went for more than {self._demand.longest_pause_s} s")

    def _check_blind(self, portals: Sequence[Portal]) -> None:
        """Where ways to stalls lead through blind areas, somebody drives one."""
        could = any(_passes(trip.path, portals) for trip in self._arrivals)
        if could and not any(_passes(drive.path, portals) for part in self.parts for drive in part.drives):
            raise Misfit("nobody drove through a blind area")


def _meet(one: Part, other: Part) -> bool:
    """Whether both are there at some time."""
    return any(a.start_at < b.end_at and b.start_at < a.end_at for a in one.episodes for b in other.episodes)


def _passes(path: Path, portals: Iterable[Portal]) -> bool:
    points, level = np.column_stack([path.x, path.y]), np.array(path.level)
    for portal in portals:
        here = points[level == portal.level]
        if len(here) > 1 and shapely.LineString(here).intersects(shapely.LineString(portal.line_m)):
            return True
    return False


def _usual_time(trip: Trip) -> Micros:
    driving_s = float((CELL_M / (SPEED_STEP_MPS * np.maximum(trip.path.limit, 1))).sum())
    return round((_WAITING * driving_s + _BARRIER_S * len(trip.barriers)) * SECOND)
