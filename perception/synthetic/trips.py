"""Whole trips: from the boundary into a stall, out of one, or straight through."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np

from perception.synthetic.lines import Floats, Line, rounded
from perception.synthetic.parking import Manoeuvre, Parking
from perception.synthetic.paths import Leg, Path, path_of
from perception.synthetic.routes import OUTSIDE_M, Gate, LaneGraph, Place
from perception.synthetic.vehicles import BODIES, Body, TrueVehicleId, Vehicle
from site_models.schema import LevelId, Site, StallId
from twin.errors import BadInput

_INTO_STALL_MPS, _BACKING_MPS = 2.0, 1.0
_RADII_M = (6.0, 4.5, 3.5, 7.5)  # of corners between lanes
_ASIDES = (-0.8, 0.0, 0.8)  # drivers do not stop exactly in the middle
_SMALLEST = "city"
_NOBODY = TrueVehicleId("")

Levels = list[tuple[Floats, LevelId]]


class Way(NamedTuple):
    """How a body uses a stall: which lane, which manoeuvre, how far aside; and the gates it may come in and go out by."""

    manoeuvre: Manoeuvre
    access: int
    aside: float
    entries: tuple[Gate, ...]
    exits: tuple[Gate, ...]


class Trip(NamedTuple):
    """A path with its meaning.

    Attributes:
        speed: at the start, in steps of ``SPEED_STEP_MPS``.
        entry_step, exit_step: where on the path the vehicle's middle crosses the boundary; 0 where it does not.
        stall, way: where the trip ends, unless it goes outside.
    """

    path: Path
    speed: int
    entry_step: float = 0.0
    exit_step: float = 0.0
    stall: StallId | None = None
    way: Way | None = None


class Trips:
    """Finds trips on a site.

    Attributes:
        entries: gates that lead to an exit.
        stalls: those that the smallest car can reach and leave, in the site's order.

    Raises:
        BadInput: no entry leads to an exit.
    """

    def __init__(self, site: Site, speed_mps: float) -> None:
        self._graph, self._speed_mps = LaneGraph(site), speed_mps
        self._parking = Parking(site, self._graph)
        self._lines = {portal.id: np.array(portal.line_m) for portal in site.portals}
        self._radii: dict[Hashable, float | None] = {}
        self._ways: dict[tuple[StallId, str, float], Way | None] = {}
        self._through = [
            (entry, out)
            for entry in self._graph.entries
            for out in self._graph.exits
            if self._graph.route(_outside(entry), _beyond(out)) is not None
        ]
        self.entries = tuple(dict.fromkeys(entry for entry, _ in self._through))
        if not self.entries:
            raise BadInput(
                f"site '{site.name}' has {len(self._graph.entries)} lanes in and {len(self._graph.exits)} lanes out through "
                "boundary portals, and no way from one to the other; draw lanes across the portals and join them by 'follows'"
            )
        self.stalls = tuple(stall.id for stall in site.stalls if self._way(stall.id, _SMALLEST, 0.0) is not None)

    def into(self, stall: StallId, vehicle: Vehicle, rng: np.random.Generator) -> Trip | None:
        """From outside into a stall; None when this body cannot use it."""
        aside = _ASIDES[int(rng.integers(len(_ASIDES)))]
        way = self._way(stall, vehicle.body, aside)
        if way is None:
            return None
        entry = way.entries[int(rng.integers(len(way.entries)))]
        path = self._path_in(way, entry, vehicle, stall)
        assert path is not None  # else the way would not list the entry
        return Trip(path, _first_speed(path), entry_step=self._crosses(path, entry, is_inwards=True), stall=stall, way=way)

    def out_of(self, arrived: Trip, vehicle: Vehicle, rng: np.random.Generator) -> Trip:
        """From the stall where a trip ended to outside."""
        assert arrived.way is not None
        assert arrived.stall is not None
        out = arrived.way.exits[int(rng.integers(len(arrived.way.exits)))]
        path = self._path_out(arrived.way, out, vehicle, arrived.stall)
        assert path is not None  # else the way would not list the exit
        return Trip(path, 0, exit_step=self._crosses(path, out, is_inwards=False))

    def through(self, vehicle: Vehicle, rng: np.random.Generator) -> Trip | None:
        """From outside to outside; None when this body fits through nowhere."""
        for index in rng.permutation(len(self._through)):
            entry, out = self._through[int(index)]
            path = self._path_through(entry, out, vehicle)
            if path is not None:
                entry_step, exit_step = self._crosses(path, entry, is_inwards=True), self._crosses(path, out, is_inwards=False)
                return Trip(path, _first_speed(path), entry_step=entry_step, exit_step=exit_step)
        return None

    def _way(self, stall: StallId, body: str, aside: float) -> Way | None:
        key = (stall, body, aside)
        if key not in self._ways:
            ways = (self._way_by(stall, body, aside, access) for access in range(self._parking.accesses(stall)))
            self._ways[key] = next((way for way in ways if way is not None), None)
        return self._ways[key]

    def _way_by(self, stall: StallId, body: str, aside: float, access: int) -> Way | None:
        manoeuvre = self._parking.manoeuvre(stall, body, BODIES[body], aside, access)
        if manoeuvre is None:
            return None
        way = Way(manoeuvre, access, aside, (), ())
        usual = Vehicle(id=_NOBODY, body=body, look=0, plate="", pace=1.0)
        entries = tuple(gate for gate in self.entries if self._path_in(way, gate, usual, stall) is not None)
        exits = tuple(gate for gate in self._graph.exits if self._path_out(way, gate, usual, stall) is not None)
        return way._replace(entries=entries, exits=exits) if entries and exits else None

    def _path_in(self, way: Way, entry: Gate, vehicle: Vehicle, stall: StallId) -> Path | None:
        route = self._graph.route(_outside(entry), way.manoeuvre.access.place)
        if route is None:
            return None
        points, levels = self._graph.points(route)
        length_m = Line(points).length_m
        if length_m < way.manoeuvre.run_up_m + 1.0:
            return None
        lanes = Line(points).part(0.0, length_m - way.manoeuvre.run_up_m)
        speed_mps = self._speed_mps * vehicle.pace

        def build(radius_m: float) -> Path:
            approach = rounded(lanes, radius_m)
            limits = ((0.0, speed_mps), (Line(approach).length_m, min(speed_mps, _INTO_STALL_MPS)))
            leg = Leg(np.concatenate([approach, way.manoeuvre.inwards_m]), 1, limits)
            changes = _changes(points, levels)
            return path_of([leg], vehicle.shape, stops_at_end=True, starts_at_mps=speed_mps, levels=changes)

        return self._clear(("in", stall, vehicle.body, way.aside, way.access, entry), build, vehicle.shape, stall)

    def _path_out(self, way: Way, out: Gate, vehicle: Vehicle, stall: StallId) -> Path | None:
        place = way.manoeuvre.access.place
        route = self._graph.route(place, _beyond(out))
        if route is None:
            return None
        points, levels = self._graph.points(route)
        back = way.manoeuvre.outwards_m
        onwards = back[-1] + self._graph.lanes[place.lane].line.direction(place.s_m) * 1.0

        def build(radius_m: float) -> Path:
            ahead = rounded(np.concatenate([back[-1:], onwards[None], points]), radius_m)
            legs = [
                Leg(back, -1, ((0.0, _BACKING_MPS),)),
                Leg(ahead, 1, ((0.0, self._speed_mps * vehicle.pace),)),
            ]
            changes = _changes(points, levels)
            return path_of(legs, vehicle.shape, stops_at_end=False, starts_at_mps=0.0, levels=changes)

        return self._clear(("out", stall, vehicle.body, way.aside, way.access, out), build, vehicle.shape, stall)

    def _path_through(self, entry: Gate, out: Gate, vehicle: Vehicle) -> Path | None:
        route = self._graph.route(_outside(entry), _beyond(out))
        assert route is not None  # else the pair would not be listed
        points, levels = self._graph.points(route)
        speed_mps = self._speed_mps * vehicle.pace

        def build(radius_m: float) -> Path:
            leg = Leg(rounded(points, radius_m), 1, ((0.0, speed_mps),))
            changes = _changes(points, levels)
            return path_of([leg], vehicle.shape, stops_at_end=False, starts_at_mps=speed_mps, levels=changes)

        return self._clear(("through", vehicle.body, entry, out), build, vehicle.shape, None)

    def _clear(self, key: Hashable, build: Callable[[float], Path], body: Body, own: StallId | None) -> Path | None:
        """The path with the first corner radius at which the body touches nothing that stands."""
        if key not in self._radii:
            clear = (radius for radius in _RADII_M if self._parking.is_path_clear(build(radius), body, own))
            self._radii[key] = next(clear, None)
        radius_m = self._radii[key]
        return None if radius_m is None else build(radius_m)

    def _crosses(self, path: Path, gate: Gate, *, is_inwards: bool) -> float:
        """The step at which the vehicle's middle crosses the gate's line (extended a little at its ends)."""
        heading = np.array(path.heading)
        middle = np.stack([path.x + path.offset_m * np.cos(heading), path.y + path.offset_m * np.sin(heading)], axis=1)
        start, end = self._lines[gate.portal]
        reach = (end - start) * 0.25
        line = Line(middle)
        crossing = line.crossing(start - reach, end + reach, is_inwards)
        assert crossing is not None  # the path's lane crosses it well inside
        return float(np.interp(crossing[0], line.along_m, np.arange(len(line.along_m))))


def _outside(entry: Gate) -> Place:
    return entry.crossing._replace(s_m=entry.crossing.s_m - OUTSIDE_M)


def _beyond(out: Gate) -> Place:
    return out.crossing._replace(s_m=out.crossing.s_m + OUTSIDE_M)


def _first_speed(path: Path) -> int:
    """The path's own limit at its start, of the parity that stops exactly at its end."""
    speed = path.limit[0]
    return speed if (path.last - speed) % 2 == 0 or path.limit[-1] > 0 else speed - 1


def _changes(points: Floats, levels: list[LevelId]) -> Levels:
    """The first point, and every point at which the level changes."""
    first = [(points[0], levels[0])]
    return first + [(points[i], levels[i]) for i in range(1, len(levels)) if levels[i] != levels[i - 1]]
