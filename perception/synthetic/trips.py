"""Whole trips: from the boundary into a stall, to another one, out again, or straight through; with what is on the way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import shapely

from perception.synthetic.lines import Line
from perception.synthetic.parking import Parking
from perception.synthetic.paths import CELL_M, Path, first_stop, stop_near, stopping_at
from perception.synthetic.routes import Gate, LaneGraph, Place
from perception.synthetic.trip_paths import TripPaths, Way
from perception.synthetic.vehicles import BODIES, TrueVehicleId, Vehicle
from site_models.schema import PortalId, Site, StallId
from twin.errors import BadInput

_ASIDES = (-0.8, 0.0, 0.8)  # drivers do not stop exactly in the middle
_BARRIER_REACH_M = 3.0  # from a gate's zone to the boundary portal that its barrier stands on
_BEFORE_BARRIER_M = 0.8
_SMALLEST = "city"
_NOBODY = TrueVehicleId("")


class Barrier(NamedTuple):
    """A barrier on a trip's way.

    Attributes:
        stop: step of the path at which one stands before it.
        reaches, clears: steps at which the nose is under it, and the tail is past it.
    """

    gate: Gate
    stop: int
    reaches: float
    clears: float


class Trip(NamedTuple):
    """A path with its meaning.

    Attributes:
        speed: at the start, in steps of ``SPEED_STEP_MPS``.
        entry_step, exit_step: where on the path the vehicle's middle crosses the boundary; 0 where it does not.
        stall, way: where the trip ends, unless it goes outside.
        barriers: in the order of the path, which has no stops there by itself.
        halt: step at which one stops beside a stall for a while; 0 where one does not.
    """

    path: Path
    speed: int
    entry_step: float = 0.0
    exit_step: float = 0.0
    stall: StallId | None = None
    way: Way | None = None
    barriers: tuple[Barrier, ...] = ()
    halt: int = 0

    def stopping(self, steps: Iterable[int]) -> Trip:
        """The same trip with stops at these steps."""
        path = stopping_at(self.path, steps)
        return self._replace(path=path, speed=_first_speed(path) if self.speed else 0)


class Trips:
    """Finds trips on a site.

    Attributes:
        graph: the lanes they follow.
        entries: gates that lead to an exit.
        stalls: those that the smallest car can reach and leave, in the site's order.

    Raises:
        BadInput: no entry leads to an exit.
    """

    def __init__(self, site: Site, speed_mps: float) -> None:
        self.graph = LaneGraph(site)
        self._parking = Parking(site, self.graph)
        self._paths = TripPaths(self.graph, self._parking, speed_mps)
        self._lines = {portal.id: np.array(portal.line_m) for portal in site.portals}
        self._with_barrier = _with_barrier(site)
        self._ways: dict[tuple[StallId, str, float, bool], Way | None] = {}
        self._through = [
            (entry, out) for entry in self.graph.entries for out in self.graph.exits if self._paths.is_through(entry, out)
        ]
        self.entries = tuple(dict.fromkeys(entry for entry, _ in self._through))
        if not self.entries:
            raise BadInput(
                f"site '{site.name}' has {len(self.graph.entries)} lanes in and {len(self.graph.exits)} lanes out through "
                "boundary portals, and no way from one to the other; draw lanes across the portals and join them by 'follows'"
            )
        self.stalls = tuple(stall.id for stall in site.stalls if self._way(stall.id, _SMALLEST, 0.0) is not None)

    def into(self, stall: StallId, vehicle: Vehicle, rng: np.random.Generator, *, is_backwards: bool = False) -> Trip | None:
        """From outside into a stall; None when this body cannot use it.

        Args:
            is_backwards: back in where this body can, else nose in.
        """
        way = self._way_for(stall, vehicle, rng, is_backwards=is_backwards)
        if way is None:
            return None
        entry = way.entries[int(rng.integers(len(way.entries)))]
        path = self._paths.into(way, entry, vehicle)
        assert path is not None  # else the way would not list the entry
        step, barriers = self._crosses(path, entry, is_inwards=True)
        return Trip(path, _first_speed(path), entry_step=step, stall=stall, way=way, barriers=barriers)

    def out_of(self, arrived: Trip, vehicle: Vehicle, rng: np.random.Generator) -> Trip:
        """From the stall where a trip ended to outside."""
        assert arrived.way is not None
        out = arrived.way.exits[int(rng.integers(len(arrived.way.exits)))]
        path = self._paths.out_of(arrived.way, out, vehicle)
        assert path is not None  # else the way would not list the exit
        step, barriers = self._crosses(path, out, is_inwards=False)
        return Trip(path, 0, exit_step=step, barriers=barriers)

    def between(
        self, arrived: Trip, stall: StallId, vehicle: Vehicle, rng: np.random.Generator, *, is_backwards: bool = False
    ) -> Trip | None:
        """From the stall where a trip ended to another one; None when this body finds no way."""
        assert arrived.way is not None
        way = self._way_for(stall, vehicle, rng, is_backwards=is_backwards)
        path = None if way is None else self._paths.between(arrived.way, way, vehicle)
        return None if path is None else Trip(path, 0, stall=stall, way=way)

    def through(self, vehicle: Vehicle, rng: np.random.Generator) -> Trip | None:
        """From outside to outside; None when this body fits through nowhere."""
        for index in rng.permutation(len(self._through)):
            trip = self._through_by(*self._through[int(index)], vehicle, None)
            if trip is not None:
                return trip
        return None

    def halting(self, stall: StallId, vehicle: Vehicle, rng: np.random.Generator) -> Trip | None:
        """From outside to outside, with a halt on the lane beside a stall; None when this body finds no way."""
        way = self._way(stall, _SMALLEST, 0.0)
        if way is None:
            return None
        entry, out = (gates[int(rng.integers(len(gates)))] for gates in (way.entries, way.exits))
        return self._through_by(entry, out, vehicle, way.manoeuvre.access.place)

    def _through_by(self, entry: Gate, out: Gate, vehicle: Vehicle, via: Place | None) -> Trip | None:
        path = self._paths.through(entry, out, vehicle, via)
        if path is None:
            return None
        entry_step, first = self._crosses(path, entry, is_inwards=True)
        exit_step, last = self._crosses(path, out, is_inwards=False)
        halt = 0
        if via is not None:
            point = self.graph.lanes[via.lane].line.at(via.s_m)
            distance = np.hypot(np.array(path.x) - point[0], np.array(path.y) - point[1])
            halt = stop_near(path, int(np.argmin(distance)))
        return Trip(path, _first_speed(path), entry_step, exit_step, barriers=(*first, *last), halt=halt)

    def _way_for(self, stall: StallId, vehicle: Vehicle, rng: np.random.Generator, *, is_backwards: bool) -> Way | None:
        aside = _ASIDES[int(rng.integers(len(_ASIDES)))]
        way = self._way(stall, vehicle.body, aside, is_backwards=True) if is_backwards else None
        return way or self._way(stall, vehicle.body, aside)

    def _way(self, stall: StallId, body: str, aside: float, *, is_backwards: bool = False) -> Way | None:
        key = (stall, body, aside, is_backwards)
        if key not in self._ways:
            ways = (self._way_by(*key, access) for access in range(self._parking.accesses(stall)))
            self._ways[key] = next((way for way in ways if way is not None), None)
        return self._ways[key]

    def _way_by(self, stall: StallId, body: str, aside: float, is_backwards: bool, access: int) -> Way | None:
        manoeuvre = self._parking.manoeuvre(stall, body, BODIES[body], aside, access, is_backwards=is_backwards)
        if manoeuvre is None:
            return None
        way = Way(stall, manoeuvre, access, aside, (), ())
        usual = Vehicle(id=_NOBODY, body=body, look=0, plate="", pace=1.0)
        entries = tuple(gate for gate in self.entries if self._paths.into(way, gate, usual) is not None)
        exits = tuple(gate for gate in self.graph.exits if self._paths.out_of(way, gate, usual) is not None)
        return way._replace(entries=entries, exits=exits) if entries and exits else None

    def _crosses(self, path: Path, gate: Gate, *, is_inwards: bool) -> tuple[float, tuple[Barrier, ...]]:
        """The step at which the vehicle's middle crosses the gate's line (extended a little at its ends); its barrier."""
        heading = np.array(path.heading)
        middle = np.stack([path.x + path.offset_m * np.cos(heading), path.y + path.offset_m * np.sin(heading)], axis=1)
        start, end = self._lines[gate.portal]
        reach = (end - start) * 0.25
        line = Line(middle)
        crossing = line.crossing(start - reach, end + reach, is_inwards)
        assert crossing is not None  # the path's lane crosses it well inside
        step = float(np.interp(crossing[0], line.along_m, np.arange(len(line.along_m))))
        half = path.length_m / 2 / CELL_M
        stop = stop_near(path, step - half - _BEFORE_BARRIER_M / CELL_M)
        earliest = 0 if is_inwards else first_stop(path)
        if gate.portal not in self._with_barrier or stop <= earliest:
            return step, ()
        return step, (Barrier(gate, stop, step - half, step + half),)


def _with_barrier(site: Site) -> frozenset[PortalId]:
    """Boundary portals at a zone of kind "gate"."""
    gates = [(zone.level, shapely.Polygon(zone.ring_m)) for zone in site.zones if zone.kind == "gate"]
    return frozenset(
        portal.id
        for portal in site.portals
        if portal.role == "boundary"
        and any(
            portal.level == level and ring.distance(shapely.LineString(portal.line_m)) <= _BARRIER_REACH_M
            for level, ring in gates
        )
    )


def _first_speed(path: Path) -> int:
    """The path's own limit at its start, of the parity that stops exactly at its first stop."""
    speed, stop = path.limit[0], first_stop(path)
    return speed if stop == 0 or (stop - speed) % 2 == 0 else speed - 1
