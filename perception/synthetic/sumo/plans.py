"""Who comes when, into which stall and for how long: drawn before SUMO runs, which then decides how it goes.

A stall is promised to one vehicle at a time, from its arrival until a while after it means to leave; one that cannot
leave for so long would make the next wait in the lane.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from perception.synthetic import demand as demands
from perception.synthetic.demand import Demand
from perception.synthetic.routes import OUTSIDE_M, Gate, LaneGraph, Place
from perception.synthetic.seeds import generator
from perception.synthetic.sumo.manoeuvres import ASIDES, STYLES, Manoeuvres, Stop
from perception.synthetic.vehicles import Fleet, Vehicle
from site_models.schema import Site, StallId
from twin.errors import BadInput
from twin.events.ids import SECOND, Micros

_NOSE_IN = 0.7  # share of drivers who park nose-in where they can do either
_WAY_IN_S = 60.0  # from asking to enter until parked
_SLACK_S = 120.0  # after it means to leave, until the stall is promised again
_VEHICLES_TRIED = 20  # until one fits a stall
_WORST_PEAK = 96  # quarters of a day


class Plan(Struct, frozen=True, kw_only=True):
    """What one vehicle means to do.

    Attributes:
        depart_s: when it asks SUMO for room on the lane; for one that is parked first, when it means to leave.
        leave_s: when it means to leave its stall.
        stop, aside: how it parks; None: it drives straight through.
        entry: None: it is parked at the start.
    """

    vehicle: Vehicle
    depart_s: float
    leave_s: float
    stop: Stop | None
    aside: float
    entry: Gate | None
    exit: Gate

    @property
    def type(self) -> str:
        """SUMO's vehicle type."""
        return type_name(self.vehicle.body, self.stop)


def type_name(body: str, stop: Stop | None) -> str:
    """SUMO's vehicle type of a body that parks so, or drives through."""
    return f"{body}-{stop.style if stop else 'through'}"


class Plans:
    """Draws the plans of a period; the same arguments give the same plans.

    Raises:
        BadInput: no entry leads to an exit.
    """

    def __init__(self, site: Site, graph: LaneGraph, manoeuvres: Manoeuvres, seed: int, demand: Demand) -> None:
        self._graph, self._manoeuvres, self._demand = graph, manoeuvres, demand
        self._arrivals, self._choices = generator(seed, "sumo arrivals"), generator(seed, "sumo choices")
        self._fleet = Fleet(generator(seed, "sumo fleet"), demand.lookalike_share, on_road=not site.stalls)
        self._through = ways_through(site, graph)
        self._stalls = [stall for stall in manoeuvres.stalls if any(self._gates(stop) for stop in self._stops(stall))]
        n_entries = len({entry for entry, _ in self._through})
        self._rate = demands.arrivals_per_s(demand, len(self._stalls), n_entries)
        self._promised = list[tuple[float, StallId]]()

    @property
    def stalls(self) -> tuple[StallId, ...]:
        """Stalls that can be reached and left."""
        return tuple(self._stalls)

    def parked_first(self) -> Iterator[Plan]:
        """Vehicles that stand in stalls at the start, in the stalls' order."""
        n_parked = round(self._demand.initial_share * len(self._stalls))
        for index in sorted(self._choices.permutation(len(self._stalls))[:n_parked]):
            for vehicle in (self._fleet.draw() for _ in range(_VEHICLES_TRIED)):
                leave_s = demands.rest_of_stay_s(self._demand, self._choices)
                plan = self._parking(vehicle, self._stalls[int(index)], leave_s, leave_s)
                if plan is not None:
                    yield replace(plan, entry=None)
                    break

    def arriving(self, start_at: Micros, until_s: float) -> Iterator[Plan]:
        """Vehicles that come, by time: a Poisson process whose rate follows the time of the day, by thinning."""
        quarters = range(_WORST_PEAK)
        peak = max(demands.rush_factor(quarter * 900 * SECOND, self._demand.rush) for quarter in quarters)
        at_s = 0.0
        while (at_s := at_s + float(self._arrivals.exponential(1 / (self._rate * peak)))) < until_s:
            at = start_at + round(at_s * SECOND)
            if self._arrivals.uniform() * peak <= demands.rush_factor(at, self._demand.rush):
                yield self._arriving(self._fleet.draw(), at_s)

    def _arriving(self, vehicle: Vehicle, at_s: float) -> Plan:
        while self._promised and self._promised[0][0] < at_s:
            heapq.heappop(self._promised)
        taken = {stall for _, stall in self._promised}
        free = [stall for stall in self._stalls if stall not in taken]
        if self._choices.uniform() >= self._demand.pass_through_share:
            for index in self._choices.permutation(len(free)):
                leave_s = at_s + _WAY_IN_S + demands.stay_s(self._demand, self._choices)
                plan = self._parking(vehicle, free[int(index)], at_s, leave_s)
                if plan is not None:
                    return plan
        entry, out = self._through[int(self._choices.integers(len(self._through)))]
        return Plan(vehicle=vehicle, depart_s=at_s, leave_s=at_s, stop=None, aside=0.0, entry=entry, exit=out)

    def _parking(self, vehicle: Vehicle, stall: StallId, depart_s: float, leave_s: float) -> Plan | None:
        aside = ASIDES[int(self._choices.integers(len(ASIDES)))]
        stops = [stop for stop in self._stops(stall) if (vehicle.body, aside) in stop.ways and self._gates(stop)]
        if not stops:
            return None
        stop = stops[0 if self._choices.uniform() < _NOSE_IN else -1]
        gates = self._gates(stop)
        entry, out = gates[int(self._choices.integers(len(gates)))]
        heapq.heappush(self._promised, (leave_s + _SLACK_S, stall))
        return Plan(vehicle=vehicle, depart_s=depart_s, leave_s=leave_s, stop=stop, aside=aside, entry=entry, exit=out)

    def _stops(self, stall: StallId) -> list[Stop]:
        stops = (self._manoeuvres.stops.get((stall, style)) for style in STYLES)
        return [stop for stop in stops if stop is not None]

    def _gates(self, stop: Stop) -> list[tuple[Gate, Gate]]:
        entries = [gate for gate in self._graph.entries if self._graph.route(outside(gate), stop.place)]
        exits = [gate for gate in self._graph.exits if self._graph.route(stop.place, beyond(gate))]
        return [(entry, out) for entry in entries for out in exits]


def ways_through(site: Site, graph: LaneGraph) -> list[tuple[Gate, Gate]]:
    """Every entry with every exit that it leads to.

    Raises:
        BadInput: there is none.
    """
    ways = [(one, out) for one in graph.entries for out in graph.exits if graph.route(outside(one), beyond(out))]
    if not ways:
        raise BadInput(
            f"site '{site.name}' has {len(graph.entries)} lanes in and {len(graph.exits)} lanes out through boundary "
            "portals, and no way from one to the other; draw lanes across the portals and join them by 'follows'"
        )
    return ways


def outside(entry: Gate) -> Place:
    """Where vehicles appear before an entry."""
    return entry.crossing._replace(s_m=entry.crossing.s_m - OUTSIDE_M)


def beyond(out: Gate) -> Place:
    """Where vehicles vanish after an exit."""
    return out.crossing._replace(s_m=out.crossing.s_m + OUTSIDE_M)
