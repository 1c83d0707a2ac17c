"""Ground truth that repeats: the traffic of a clip that is played over and over.

A vehicle that leaves its stall comes back to it later in the same period, so the parked set at the end is that of the
start, and its stay crosses the seam: it enters in one round and leaves in the next. Others come and go within a round, or
drive through. No vehicle moves close to the seam. Rounds are drawn until one has everything that the demand asks for.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import shapely
from msgspec import Struct
from msgspec.structs import replace

from perception.synthetic.barriers import Barriers
from perception.synthetic.demand import Demand
from perception.synthetic.drive import TICK, Drive, Road
from perception.synthetic.paths import CELL_M, SPEED_STEP_MPS, Path
from perception.synthetic.people import People
from perception.synthetic.presence import Episode, Presence, driving
from perception.synthetic.seeds import generator
from perception.synthetic.trips import Trip, Trips
from perception.synthetic.truth import TruthFrame, VehicleState, Visit
from perception.synthetic.vehicles import Fleet, TrueVehicleId, Vehicle
from perception.synthetic.views import Viewer, covered
from site_models.schema import Portal, Site, StallId
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

_BEFORE_ALL: Micros = -(1 << 62)
_USUAL_S = 180.0  # the round that the usual demand fills
_MOST_TRIES = 60  # of whole rounds
_VEHICLES_TRIED = 20  # until one fits a stall
_STILL: Micros = 2 * SECOND  # before and after the seam
_AWAY_AT_LEAST: Micros = 5 * SECOND
_LONGEST_STAY = 1.6  # times the least
_TRY_AGAIN: Micros = 2 * SECOND
_WAITING = 1.4  # time of a drive among others, as a multiple of what it takes at its limits
_BARRIER_S = 8.0  # to stop at a barrier, wait for a ticket and set off
_LEAST_VISIBLE, _LEAST_HEIGHT_PX = 0.4, 16.0  # of a vehicle that counts as seen
_LOOKS_EVERY: Micros = 2 * SECOND
_ROUNDS_SEEN = 8  # that fit otherwise, until the best seen is taken


class LoopDemand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens in every round.

    Attributes:
        parked_share: of the usable stalls, at the seam.
        n_returning: vehicles that leave and come back; their stays cross the seam.
        n_visiting: whole stays within a round, of at least ``stay_s`` in the stall.
        n_passing: vehicles that drive through.
        lookalike_share: of the vehicles; over 0, at least one that moves has a look-alike on site with it.
        back_in_share: of the drivers, where they can.
        seen_share: of the time of every drive, some camera sees the vehicle: at least 40 % of it, 16 px high. Where cameras
            cover less of a site, the best seen of some rounds is taken.
        people_per_vehicle: who walk from a vehicle that has parked, and back to it before it leaves; 0: nobody walks.
        longest_pause_s: between one entry or exit and the next, across the seam too.
        speed_mps: what drivers like to go.
    """

    parked_share: float = 0.6
    n_returning: int = 5
    n_visiting: int = 4
    n_passing: int = 3
    stay_s: float = 28.0
    lookalike_share: float = 0.25
    back_in_share: float = 0.2
    seen_share: float = 0.75
    people_per_vehicle: float = 1.4
    longest_pause_s: float = 30.0
    speed_mps: float = 5.0


class _Misfit(Exception):
    """Why a round is not taken."""


class _Part(NamedTuple):
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


class LoopTraffic:
    """One round of traffic, for ever.

    The same site, seed, period and demand give the same round.

    Args:
        period_s: how long a round lasts, a multiple of half a second.
        demand: None: the usual one, with as much of it as a shorter round has time for.

    Raises:
        BadInput: the site has no way in and out, or the demand does not fit into the site or the period.
    """

    def __init__(self, site: Site, seed: int, period_s: float = _USUAL_S, demand: LoopDemand | None = None) -> None:
        self.site, self.period = site, round(period_s * SECOND)
        if self.period % TICK or self.period <= 4 * _STILL:
            raise BadInput(
                f"a round cannot last {period_s} s; give a multiple of {TICK / SECOND} s over {4 * _STILL // SECOND} s"
            )
        self.demand = demand or _usual(period_s)
        trips = Trips(site, self.demand.speed_mps)
        _check(self.demand, site, len(trips.stalls))
        self._viewers = tuple(Viewer(site, camera) for camera in site.cameras) if self.demand.seen_share > 0 else ()
        self._parts = self._search(trips, seed)
        self._people = People(site, seed, self.demand.people_per_vehicle, _BEFORE_ALL)

    def at(self, at: Micros) -> TruthFrame:
        """The truth at any time from 0 on."""
        moment = at % self.period
        frame = _frame(self._parts, at, moment)
        stays = [stay for part in self._parts if (stay := part.stay(moment, self.period)) is not None]
        return replace(frame, people=self._people.at(moment, stays, frame.vehicles))

    def visits(self, n_rounds: int) -> list[Visit]:
        """Every stay that begins or ends in so many rounds, vehicle by vehicle, in the order of time.

        None stands for an entry before them and for an exit after them; vehicles that never move have both.
        """
        return [visit for part in self._parts for visit in self._visits(part, n_rounds)]

    def _visits(self, part: _Part, n_rounds: int) -> Iterable[Visit]:
        if part.entry_at is None or part.exit_at is None:
            yield Visit(vehicle=part.vehicle, entry_at=None, exit_at=None)
            return
        rounds_later = int(part.exit_at < part.entry_at)
        for number in range(-rounds_later, n_rounds):
            entry_at = part.entry_at + number * self.period if number >= 0 else None
            leaves_in = number + rounds_later
            exit_at = part.exit_at + leaves_in * self.period if leaves_in < n_rounds else None
            yield Visit(vehicle=part.vehicle, entry_at=entry_at, exit_at=exit_at)

    def _search(self, trips: Trips, seed: int) -> tuple[_Part, ...]:
        misfits, fitting = Counter[str](), list[tuple[float, tuple[_Part, ...]]]()
        for number in range(_MOST_TRIES):
            try:
                one = _Round(self.site, trips, self.demand, self.period, generator(seed, "loop", number))
            except _Misfit as misfit:
                misfits[str(misfit)] += 1
                continue
            fitting.append((self._least_seen(one.parts), one.parts))
            if fitting[-1][0] >= self.demand.seen_share or len(fitting) == _ROUNDS_SEEN:
                break
        if fitting:
            return max(fitting, key=lambda round_: round_[0])[1]
        reasons = "; ".join(f"{n} times {reason}" for reason, n in misfits.most_common())
        raise BadInput(
            f"{_MOST_TRIES} tries found no round of {self.period / SECOND} s on '{self.site.name}' with "
            f"{self.demand.n_returning} returning, {self.demand.n_visiting} visiting and {self.demand.n_passing} passing "
            f"vehicles: {reasons}; give it more time, or change the demand"
        )

    def _least_seen(self, parts: Sequence[_Part]) -> float:
        """Share of its time in which the drive is in view that is seen least."""
        if not self._viewers:
            return 1.0
        is_seen = {at: self._seen(_frame(parts, at, at).vehicles) for at in range(0, self.period, _LOOKS_EVERY)}
        seen_of = [
            [part.vehicle.id in is_seen[at] for at in is_seen if drive.start_at <= at < drive.end_at]
            for part in parts
            for drive in part.drives
        ]
        return min((sum(one) / len(one) for one in seen_of if one), default=1.0)

    def _seen(self, states: Sequence[VehicleState]) -> set[TrueVehicleId]:
        seen = set[TrueVehicleId]()
        for viewer in self._viewers:
            views = [view for view in viewer.views(states) if view is not None]
            for view, hidden in zip(views, covered(views), strict=True):
                visible = (1.0 - float(hidden)) * (1.0 - view.behind_walls)
                if visible >= _LEAST_VISIBLE and view.box_px[3] - view.box_px[1] >= _LEAST_HEIGHT_PX:
                    seen.add(view.state.vehicle.id)
        return seen


class _Wish(NamedTuple):
    """A drive that somebody wants to begin."""

    at: Micros
    trip: Trip
    is_parked: bool


_Play = Generator[_Wish, Drive, _Part]
"""What one vehicle does: it wishes for drives one after another, and is sent them."""


class _Round:
    """One draw of a round.

    Raises:
        _Misfit: it is not what was asked for.
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

    def _draw(self) -> tuple[_Part, ...]:
        demand = self._demand
        stalls = [self._trips.stalls[int(index)] for index in self._rng.permutation(len(self._trips.stalls))]
        n_parked = _n_parked(demand, len(stalls))
        plays = [self._returning(stall, number) for number, stall in enumerate(stalls[: demand.n_returning])]
        free = stalls[n_parked : n_parked + demand.n_visiting]
        plays += [self._visiting(stall, number) for number, stall in enumerate(free)]
        plays += [self._passing(number) for number in range(demand.n_passing)]
        parts = [*self._played(plays), *(self._standing(stall) for stall in stalls[demand.n_returning : n_parked])]
        return tuple(sorted(parts, key=lambda part: part.vehicle.id))

    def _played(self, plays: Sequence[_Play]) -> Iterator[_Part]:
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

    def _standing(self, stall: StallId) -> _Part:
        presence, trip = self._someone_for(stall)
        presence.stands(trip, 0, self._period)
        return _Part(presence.vehicle, tuple(presence.episodes), None, None)

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
        return _Part(leaving.vehicle, episodes, comes.reaches_at(trip.entry_step), leaves.reaches_at(out.exit_step))

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
        return _Part(presence.vehicle, tuple(presence.episodes), *crossings)

    def _passing(self, number: int) -> _Play:
        presence = Presence(self._fleet.draw())
        trip = self._trips.through(presence.vehicle, self._rng)
        if trip is None:
            raise _Misfit(f"a {presence.vehicle.body} fits through nowhere")
        drive = yield _Wish(self._time(_usual_time(trip), number, self._demand.n_passing), trip, is_parked=False)
        presence.drives(drive)
        crossings = drive.reaches_at(trip.entry_step), drive.reaches_at(trip.exit_step)
        return _Part(presence.vehicle, tuple(presence.episodes), *crossings)

    def _someone_for(self, stall: StallId) -> tuple[Presence, Trip]:
        """A vehicle that can use the stall, and its way there."""
        for vehicle in (self._fleet.draw() for _ in range(_VEHICLES_TRIED)):
            is_backwards = float(self._rng.uniform()) < self._demand.back_in_share
            trip = self._trips.into(stall, vehicle, self._rng, is_backwards=is_backwards)
            if trip is not None:
                self._arrivals.append(trip)
                return Presence(vehicle), trip
        raise _Misfit(f"none of {_VEHICLES_TRIED} vehicles fitted a stall")

    def _time(self, needs: Micros, number: int, n: int, from_at: Micros = _STILL) -> Micros:
        """A time in the ``number``-th of ``n`` shares of the round, which leaves the time that is needed."""
        latest_at = max(self._period - _STILL - needs, from_at)
        return round(from_at + (latest_at - from_at) * (number + float(self._rng.uniform())) / n)

    def _planned(self, wish: _Wish, at: Micros) -> Drive | None:
        """A drive on the next tick, with its room taken; None: not now."""
        last_at = self._period - _STILL
        drive = self._barriers.drive(self._road, wish.trip, at, is_parked=wish.is_parked) if at < last_at else None
        if at >= last_at or (drive is not None and drive.end_at > last_at):
            raise _Misfit("a drive did not end in time")
        return drive

    def _check_look_alikes(self) -> None:
        if self._demand.lookalike_share == 0:
            return
        for one, other in combinations(self.parts, 2):
            is_moving = one.entry_at is not None or other.entry_at is not None
            if is_moving and one.vehicle.look == other.vehicle.look and _meet(one, other):
                return
        raise _Misfit("no moving vehicle met its look-alike")

    def _check_pauses(self) -> None:
        crossings = sorted(at for part in self.parts for at in (part.entry_at, part.exit_at) if at is not None)
        around = [*crossings, crossings[0] + self._period] if crossings else []
        if any(after - before > self._demand.longest_pause_s * SECOND for before, after in pairwise(around)):
            raise _Misfit(f"nobody came or went for more than {self._demand.longest_pause_s} s")

    def _check_blind(self, portals: Sequence[Portal]) -> None:
        """Where ways to stalls lead through blind areas, somebody drives one."""
        could = any(_passes(trip.path, portals) for trip in self._arrivals)
        if could and not any(_passes(drive.path, portals) for part in self.parts for drive in part.drives):
            raise _Misfit("nobody drove through a blind area")


def _check(demand: LoopDemand, site: Site, n_stalls: int) -> None:
    shares = (demand.parked_share, demand.lookalike_share, demand.back_in_share, demand.seen_share)
    counts = (demand.n_returning, demand.n_visiting, demand.n_passing)
    if not all(0 <= share <= 1 for share in shares) or min(counts) < 0 or not demand.speed_mps > 0 or not demand.stay_s > 0:
        raise BadInput(f"{demand} asks for what cannot be; shares are from 0 to 1, counts from 0 on, times and speeds over 0")
    n_parked = _n_parked(demand, n_stalls)
    if demand.n_returning > n_parked or demand.n_visiting > n_stalls - n_parked:
        raise BadInput(
            f"of the {n_stalls} usable stalls of '{site.name}', {n_parked} are parked on and {n_stalls - n_parked} free: not "
            f"enough for {demand.n_returning} returning and {demand.n_visiting} visiting vehicles; ask for fewer"
        )


def _usual(period_s: float) -> LoopDemand:
    """The usual demand; of a shorter round, the part that it has time for, and in a longer one longer pauses."""
    usual, share = LoopDemand(), period_s / _USUAL_S
    if share >= 1:
        return replace(usual, longest_pause_s=usual.longest_pause_s * share)
    returning, visiting, passing = (max(1, round(n * share**2)) for n in (usual.n_returning, usual.n_visiting, usual.n_passing))
    stay_s = usual.stay_s * share
    return replace(usual, n_returning=returning, n_visiting=visiting, n_passing=passing, stay_s=stay_s)


def _n_parked(demand: LoopDemand, n_stalls: int) -> int:
    return round(demand.parked_share * n_stalls)


def _frame(parts: Iterable[_Part], at: Micros, moment: Micros) -> TruthFrame:
    """A moment of the round, told as at another time."""
    states = (part.state(moment) for part in parts)
    return TruthFrame(at=at, vehicles=tuple(state for state in states if state is not None))


def _meet(one: _Part, other: _Part) -> bool:
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
