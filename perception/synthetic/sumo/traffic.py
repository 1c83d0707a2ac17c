"""Ground truth of a site from Eclipse SUMO: it decides who drives when, follows whom, yields, queues and waits.

Arrivals, stays and stalls are drawn beforehand from the same kind of demand as our own traffic's. The same site, seed,
start, end, demand and version of SUMO give the same traffic. Memory holds the vehicles on site and the frames between
the last two times that ``advance`` was given, and the plans of all arrivals, a few hundred bytes each.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from collections import deque
from pathlib import Path

import numpy as np

from perception.synthetic.demand import Demand
from perception.synthetic.routes import LaneGraph
from perception.synthetic.sumo.boundary import Boundary
from perception.synthetic.sumo.floating_cars import STEP_S, Floating, Inputs, Moment, SumoRun
from perception.synthetic.sumo.manoeuvres import Manoeuvres
from perception.synthetic.sumo.network import Network
from perception.synthetic.sumo.plans import Plan, Plans, ways_through
from perception.synthetic.sumo.presence import Pose, Presence
from perception.synthetic.sumo.programs import SumoFailed
from perception.synthetic.sumo.scenario import lot_point, write_areas, write_trips
from perception.synthetic.truth import FRAME, TruthFrame, VehicleState, Visit, degrees
from perception.synthetic.vehicles import TrueVehicleId
from site_models.schema import LevelId, Site
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

_LANE_MPS, _ROAD_MPS = 5.0, 27.0
LONGEST_WAIT_S = 900.0
"""SUMO's traffic never gives up; a vehicle that stands on the road for longer shows that it is stuck."""

_NOWHERE = (math.inf, math.inf)


class _Known:
    """A vehicle on site: its presence, its state in the last frame, and its visit so far."""

    def __init__(self, presence: Presence, level: LevelId) -> None:
        self.presence, self.level = presence, level
        self.pose: Pose | None = None
        self.state: VehicleState | None = None
        self.entry_at: Micros | None = None
        self.exit_at: Micros | None = None


class SumoTraffic:
    """Traffic of one period.

    Raises:
        MissingExtra: eclipse-sumo is not installed.
        BadInput: the site has no way in and out, or a two-way lane that is too narrow for two.
        SumoFailed: SUMO refused its input, or broke off.
    """

    def __init__(self, site: Site, seed: int, start_at: Micros, until_at: Micros, demand: Demand | None = None) -> None:
        self._demand = demand or Demand()
        self._start_at, self._until_at = start_at, until_at
        graph = LaneGraph(site)
        ways_through(site, graph)
        folder = Path(tempfile.mkdtemp(prefix="sumo-"))
        speed_mps = self._demand.speed_mps or (_LANE_MPS if site.stalls else _ROAD_MPS)
        self._cleared = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._network = Network(site, graph, speed_mps, folder)
        self._manoeuvres = Manoeuvres(site, self._network)
        self._boundary = Boundary(site)
        plans = Plans(site, self._network.graph, self._manoeuvres, seed, self._demand)
        self.usable_stalls = plans.stalls
        until_s = (until_at - start_at) / SECOND + 1.0
        first = list(plans.parked_first())
        every = sorted([*first, *plans.arriving(start_at, until_s)], key=lambda plan: plan.depart_s)
        inputs = Inputs(self._network.path, folder / "trips.xml", folder / "areas.xml")
        write_areas(inputs.areas, site, self._manoeuvres)
        write_trips(inputs.trips, self._network, every)
        self._plans = {plan.vehicle.id: plan for plan in every}
        self._known = {plan.vehicle.id: self._met(plan) for plan in first}
        self._run = SumoRun(folder, inputs, seed, until_s)
        self._moments = self._run.moments()
        self._frames: deque[TruthFrame] = deque()
        self._visits: list[Visit] = []
        self._floor, self._now = start_at, start_at

    def close(self) -> None:
        """End SUMO and delete its files."""
        self._run.close()
        self._cleared()

    def advance(self, until_at: Micros) -> None:
        """Generate up to a time, at most the period's end; what was before the last call's time is forgotten.

        Raises:
            BadInput: the time is past the end.
            SumoFailed: SUMO broke off, or its traffic is stuck.
        """
        if until_at > self._until_at:
            raise BadInput(f"SUMO was asked for traffic until {self._until_at} µs, not {until_at}; give a later end")
        self._floor = self._now
        self._now = max(self._now, until_at)
        while not self._frames or self._frames[-1].at < self._now:
            self._frames.append(self._frame(next(self._moments)))
        while len(self._frames) > 1 and self._frames[1].at <= self._floor:
            self._frames.popleft()

    def at(self, at: Micros) -> TruthFrame:
        """The truth at a time from the last but one time that ``advance`` was given up to the last.

        Raises:
            BadInput: the time is outside of that.
        """
        if not self._floor <= at < self._now:
            raise BadInput(f"traffic is known from {self._floor} to before {self._now} µs, not at {at}; advance to it first")
        index = (at - self._frames[0].at) // FRAME
        before = self._frames[index]
        return before if before.at == at else _between(before, self._frames[index + 1], at)

    def take_visits(self) -> list[Visit]:
        """Visits that ended since the last call, in the order of their ends."""
        ended, self._visits = self._visits, []
        return ended

    def open_visits(self) -> list[Visit]:
        """Visits in progress: also of those that were there before the start, and of those that are about to vanish."""
        visits = list[Visit]()
        for known in self._known.values():
            exit_at = known.exit_at if known.exit_at is not None and known.exit_at < self._now else None
            was_there = known.presence.plan.entry is None
            if was_there or (known.entry_at is not None and known.entry_at < self._now):
                visits.append(Visit(vehicle=known.presence.plan.vehicle, entry_at=known.entry_at, exit_at=exit_at))
        return visits

    def _frame(self, moment: Moment) -> TruthFrame:
        at = self._start_at + moment.step * FRAME
        seen = {one.vehicle: one for one in moment.vehicles}
        for vehicle, floating in seen.items():
            plan = self._plans.pop(vehicle, None)
            if plan is not None and vehicle not in self._known:
                self._known[vehicle] = self._met(plan)
            self._step(self._known[vehicle], floating, at)
        self._forget(seen)
        states = (known.state for known in self._known.values())
        present = sorted((state for state in states if state is not None), key=lambda state: state.vehicle.id)
        return TruthFrame(at=at, vehicles=tuple(present))

    def _met(self, plan: Plan) -> _Known:
        """A vehicle that appears; the initially parked ones appear in their stalls."""
        if plan.stop is None:
            known = _Known(Presence(plan, None, _NOWHERE, None), self._level_of(plan))
        else:
            way = plan.stop.ways[plan.vehicle.body, plan.aside]
            before = self._network.edges[plan.stop.edge].shape.at(plan.stop.stop_m - way.lead_m)
            lot = lot_point(self._manoeuvres.bays[plan.stop.stall])
            known = _Known(Presence(plan, way, lot, before), self._level_of(plan))
        if known.presence.stage == "parked":
            known.pose = known.presence.pose
            known.state = _state(known, known.pose, 0.0)
        return known

    def _level_of(self, plan: Plan) -> LevelId:
        place = plan.entry.crossing if plan.entry is not None else plan.stop.place if plan.stop is not None else None
        assert place is not None  # a plan without an entry has a stop
        return self._network.graph.lanes[place.lane].level

    def _step(self, known: _Known, floating: Floating, at: Micros) -> None:
        edge = self._network.edges.get(floating.edge)
        known.level = known.level if edge is None else edge.level
        known.presence.step(floating)
        if known.presence.n_stood * STEP_S > LONGEST_WAIT_S:
            raise SumoFailed(
                f"vehicle '{floating.vehicle}' has stood on SUMO's edge '{floating.edge}' for {LONGEST_WAIT_S:g} s: its "
                "traffic is stuck; ask for fewer arrivals, or use --traffic own"
            )
        is_parked = known.presence.stage == "parked"
        if is_parked and known.state is not None and known.state.state == "parked":
            return
        before, known.pose = known.pose, known.presence.pose
        known.state = _state(known, known.pose, 0.0 if is_parked else _speed(before, known.pose, floating))
        if before is not None:
            self._cross(known, before, known.pose, at)

    def _cross(self, known: _Known, before: Pose, now: Pose, at: Micros) -> None:
        crossed = self._boundary.crossed(known.level, before, now)
        if crossed is not None:
            share, is_inwards = crossed
            crossed_at = at - FRAME + round(share * FRAME)
            if is_inwards:
                known.entry_at = crossed_at
            else:
                known.exit_at = crossed_at

    def _forget(self, seen: dict[TrueVehicleId, Floating]) -> None:
        """Those whom SUMO took off the road at its end; those that it has yet to put there stand in their stalls."""
        gone = [known for vehicle, known in self._known.items() if vehicle not in seen and vehicle not in self._plans]
        for known in sorted(gone, key=lambda known: (known.exit_at or 0, known.presence.plan.vehicle.id)):
            vehicle = known.presence.plan.vehicle
            self._visits.append(Visit(vehicle=vehicle, entry_at=known.entry_at, exit_at=known.exit_at))
            del self._known[vehicle.id]


def _state(known: _Known, pose: Pose, speed_mps: float) -> VehicleState:
    plan = known.presence.plan
    is_parked = known.presence.stage == "parked"
    return VehicleState(
        vehicle=plan.vehicle,
        level=known.level,
        x_m=pose.x_m,
        y_m=pose.y_m,
        heading_deg=degrees(pose.heading),
        speed_mps=speed_mps,
        stall=plan.stop.stall if is_parked and plan.stop is not None else None,
        state="parked" if is_parked else "moving",
    )


def _speed(before: Pose | None, now: Pose, floating: Floating) -> float:
    """Along its heading, negative when backing; SUMO's for one that has just appeared."""
    if before is None:
        return floating.speed_mps
    moved = np.array([now.x_m - before.x_m, now.y_m - before.y_m])
    return float(moved @ np.array([math.cos(now.heading), math.sin(now.heading)])) / STEP_S


def _between(before: TruthFrame, after: TruthFrame, at: Micros) -> TruthFrame:
    """Those in both frames, moved by a share of the way; those in the first alone, where they were."""
    share = (at - before.at) / (after.at - before.at)
    later = {state.vehicle.id: state for state in after.vehicles}
    return TruthFrame(at=at, vehicles=tuple(_moved(one, later.get(one.vehicle.id, one), share) for one in before.vehicles))


def _moved(one: VehicleState, other: VehicleState, share: float) -> VehicleState:
    if one is other or one.state == "parked":
        return one
    turn = math.remainder(math.radians(other.heading_deg - one.heading_deg), math.tau)
    return VehicleState(
        vehicle=one.vehicle,
        level=one.level,
        x_m=one.x_m + share * (other.x_m - one.x_m),
        y_m=one.y_m + share * (other.y_m - one.y_m),
        heading_deg=degrees(math.radians(one.heading_deg) + share * turn),
        speed_mps=one.speed_mps + share * (other.speed_mps - one.speed_mps),
        stall=None,
        state="moving",
    )
