"""Paths of whole trips along the lanes, with corners that the body can take clear of everything that stands."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from perception.synthetic.lines import Floats, Line, rounded
from perception.synthetic.parking import Manoeuvre, Parking
from perception.synthetic.paths import CELL_M, Leg, Path, path_of
from perception.synthetic.routes import OUTSIDE_M, Gate, LaneGraph, Place, Route
from perception.synthetic.vehicles import Body, Vehicle
from site_models.schema import LevelId, StallId

_INTO_STALL_MPS, _BACKING_MPS = 2.0, 1.0
_RADII_M = (6.0, 4.5, 3.5, 7.5)  # of corners between lanes

Levels = list[tuple[Floats, LevelId]]
Limits = tuple[tuple[float, float], ...]


class Way(NamedTuple):
    """How a body uses a stall: by which of its lanes, how far aside, nose-in or back-in; and by which gates."""

    stall: StallId
    manoeuvre: Manoeuvre
    access: int
    aside: float
    entries: tuple[Gate, ...]
    exits: tuple[Gate, ...]

    @property
    def key(self) -> Hashable:
        """Tells ways of one body apart."""
        return (self.stall, self.access, self.aside, self.manoeuvre.backing_m is None)

    @property
    def joins(self) -> Place:
        """Where its way out is on the lane."""
        place = self.manoeuvre.access.place
        return place._replace(s_m=place.s_m + self.manoeuvre.joins_m)


class _Start(NamedTuple):
    """How a path begins.

    Attributes:
        backing: legs before one goes ahead.
        vertices_m: (N, 2) to go ahead along.
        first_radii_m: of the first of these corners; the others' is that of the lanes.
        limits: of speed, ahead.
    """

    backing: list[Leg]
    vertices_m: Floats
    first_radii_m: Floats
    limits: Limits

    def radii_m(self, lanes_m: float) -> Floats:
        """(N,) of every vertex."""
        n_others = len(self.vertices_m) - len(self.first_radii_m)
        return np.concatenate([self.first_radii_m, np.full(n_others, lanes_m)])


class TripPaths:
    """Builds paths; None where no way leads there, or none that is clear for the body."""

    def __init__(self, graph: LaneGraph, parking: Parking, speed_mps: float) -> None:
        self._graph, self._parking, self._speed_mps = graph, parking, speed_mps
        self._radii: dict[Hashable, float | None] = {}

    def is_through(self, entry: Gate, out: Gate) -> bool:
        """Whether a way leads from one gate to the other."""
        return self._graph.route(_outside(entry), _beyond(out)) is not None

    def into(self, way: Way, entry: Gate, vehicle: Vehicle) -> Path | None:
        """From outside into a stall."""
        route = self._graph.route(_outside(entry), way.manoeuvre.access.place)
        lanes = None if route is None else self._lanes_before(route, way.manoeuvre)
        if route is None or lanes is None:
            return None
        speed_mps, levels = self._speed_mps * vehicle.pace, self._changes(route)
        start = _Start([], lanes, np.empty(0), ((0.0, speed_mps),))

        def build(radius_m: float) -> Path:
            legs = _arriving(start, radius_m, way.manoeuvre)
            return path_of(legs, vehicle.shape, stops_at_end=True, starts_at_mps=speed_mps, levels=levels)

        return self._clear(("in", way.key, vehicle.body, entry), build, vehicle.shape, way.stall)

    def out_of(self, way: Way, out: Gate, vehicle: Vehicle) -> Path | None:
        """From a stall to outside."""
        route = self._graph.route(way.joins, _beyond(out))
        if route is None:
            return None
        levels = self._changes(route)
        start = self._leaving(way, self._graph.points(route)[0], self._speed_mps * vehicle.pace)

        def build(radius_m: float) -> Path:
            legs = [*start.backing, Leg(rounded(start.vertices_m, start.radii_m(radius_m)), 1, start.limits)]
            return path_of(legs, vehicle.shape, stops_at_end=False, starts_at_mps=0.0, levels=levels)

        return self._clear(("out", way.key, vehicle.body, out), build, vehicle.shape, way.stall)

    def between(self, way: Way, other: Way, vehicle: Vehicle) -> Path | None:
        """From one stall to another."""
        route = self._graph.route(way.joins, other.manoeuvre.access.place)
        before = self._lanes_before(route, other.manoeuvre) if route else None
        if route is None or before is None:
            return None
        levels, start = self._changes(route), self._leaving(way, before, self._speed_mps * vehicle.pace)
        n_leaving = round((Line(way.manoeuvre.outwards_m).length_m + 2 * vehicle.shape.length_m) / CELL_M)

        def build(radius_m: float) -> Path:
            legs = _arriving(start, radius_m, other.manoeuvre)
            return path_of(legs, vehicle.shape, stops_at_end=True, starts_at_mps=0.0, levels=levels)

        key = ("between", way.key, other.key, vehicle.body)
        spans = ((slice(n_leaving), way.stall), (slice(n_leaving, None), other.stall))
        return self._clear(key, build, vehicle.shape, *spans)

    def through(self, entry: Gate, out: Gate, vehicle: Vehicle, via: Place | None = None) -> Path | None:
        """From outside to outside, by a place where one is to be given."""
        places = [_outside(entry), *([via] if via else []), _beyond(out)]
        routes = [self._graph.route(start, goal) for start, goal in pairwise(places)]
        route = tuple(piece for one in routes if one is not None for piece in one)
        if None in routes:
            return None
        lanes, levels = self._graph.points(route)[0], self._changes(route)
        speed_mps = self._speed_mps * vehicle.pace

        def build(radius_m: float) -> Path:
            leg = Leg(rounded(lanes, radius_m), 1, ((0.0, speed_mps),))
            return path_of([leg], vehicle.shape, stops_at_end=False, starts_at_mps=speed_mps, levels=levels)

        return self._clear(("through", vehicle.body, entry, out, via), build, vehicle.shape, None)

    def _lanes_before(self, route: Route, manoeuvre: Manoeuvre) -> Floats | None:
        """(N, 2) the route up to a manoeuvre's run-up; None where it is too short for that."""
        line = Line(self._graph.points(route)[0])
        if line.length_m < manoeuvre.run_up_m + 1.0:
            return None
        return line.part(0.0, line.length_m - manoeuvre.run_up_m)

    def _leaving(self, way: Way, lanes: Floats, speed_mps: float) -> _Start:
        out, place = way.manoeuvre.outwards_m, way.manoeuvre.access.place
        if way.manoeuvre.backing_m is not None:
            limits = ((0.0, _INTO_STALL_MPS), (Line(out).length_m, speed_mps))
            return _Start([], np.concatenate([out, lanes]), np.full(len(out), way.manoeuvre.radius_m), limits)
        onwards = out[-1] + self._graph.lanes[place.lane].line.direction(place.s_m) * 1.0
        ahead = np.concatenate([out[-1:], onwards[None], lanes])
        return _Start([Leg(out, -1, ((0.0, _BACKING_MPS),))], ahead, np.empty(0), ((0.0, speed_mps),))

    def _changes(self, route: Route) -> Levels:
        """The first point, and every point at which the level changes."""
        points, levels = self._graph.points(route)
        first = [(points[0], levels[0])]
        return first + [(points[i], levels[i]) for i in range(1, len(levels)) if levels[i] != levels[i - 1]]

    def _clear(
        self,
        key: Hashable,
        build: Callable[[float], Path],
        body: Body,
        *own: StallId | tuple[slice, StallId] | None,
    ) -> Path | None:
        """The path with the first corner radius at which the body touches nothing that stands."""
        spans = [one if isinstance(one, tuple) else (slice(None), one) for one in own]

        def is_clear(path: Path) -> bool:
            return all(self._parking.is_path_clear(path, body, stall, steps) for steps, stall in spans)

        if key not in self._radii:
            self._radii[key] = next((radius for radius in _RADII_M if is_clear(build(radius))), None)
        radius_m = self._radii[key]
        return None if radius_m is None else build(radius_m)


def _arriving(start: _Start, radius_m: float, manoeuvre: Manoeuvre) -> list[Leg]:
    """On along the lanes and into the stall, or past it and backwards into it."""
    vertices = np.concatenate([start.vertices_m, manoeuvre.approach_m])
    radii_m = np.concatenate([start.radii_m(radius_m), np.full(len(manoeuvre.approach_m), manoeuvre.radius_m)])
    guide = rounded(vertices, radii_m)
    slowly_m = manoeuvre.run_up_m + Line(vertices[-1 - len(manoeuvre.approach_m) :]).length_m
    last_m, speed_mps = start.limits[-1]
    from_m = max(Line(guide).length_m - slowly_m, last_m + CELL_M)
    ahead = Leg(guide, 1, (*start.limits, (from_m, min(speed_mps, _INTO_STALL_MPS))))
    backing = [] if manoeuvre.backing_m is None else [Leg(manoeuvre.backing_m, -1, ((0.0, _BACKING_MPS),))]
    return [*start.backing, ahead, *backing]


def _outside(entry: Gate) -> Place:
    return entry.crossing._replace(s_m=entry.crossing.s_m - OUTSIDE_M)


def _beyond(out: Gate) -> Place:
    return out.crossing._replace(s_m=out.crossing.s_m + OUTSIDE_M)
