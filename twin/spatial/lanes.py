"""Ways along a site's lanes, over ramps too: where somebody drove whom nobody saw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import networkx as nx
from msgspec.structs import replace

from site_models.schema import Lane, LaneId, LevelId, Point

OFF_LANE_M = 4.0
"""Who is farther from a lane's line is not on it."""
_LEAST_M = 1e-6


class WayPoint(NamedTuple):
    """A place on a way, and how far along it that is."""

    along_m: float
    level: LevelId
    x_m: float
    y_m: float


class _Foot(NamedTuple):
    """The nearest place of a lane to a point."""

    lane: int
    along_m: float
    point_m: Point
    off_m: float


class _Node(NamedTuple):
    lane: int
    along_m: float


class Lanes:
    """Where lanes lead: from a lane's end into those that it names in ``follows``, where they come nearest to it."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        back = [replace(lane, line_m=lane.line_m[::-1]) for lane in lanes if not lane.one_way]
        self._lanes = *lanes, *back
        self._vertices = [_vertices(lane) for lane in self._lanes]
        self._net = self._joined({lane.id: n for n, lane in enumerate(back, len(lanes))})

    def way(self, level: LevelId, from_m: Point, to_level: LevelId, to_m: Point) -> tuple[WayPoint, ...] | None:
        """The shortest way along lanes between two places near lanes; None where there is none, or where a place is off lanes.

        Returns:
            Its bends and both ends, from the one to the other, at least two; the first is 0 m along.
        """
        best: tuple[float, list[WayPoint]] | None = None
        for start in self._feet(level, from_m):
            reached, paths = self._ways_from(_Node(start.lane, self._next(start)))
            for end in self._feet(to_level, to_m):
                found = self._between(start, end, reached, paths)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found
        return None if best is None else tuple(best[1])

    def _between(
        self, start: _Foot, end: _Foot, reached: dict[_Node, float], paths: dict[_Node, list[_Node]]
    ) -> tuple[float, list[WayPoint]] | None:
        """The way from one lane's place to another's, and what it costs: its length, and how far off the lanes its ends are."""
        if start.lane == end.lane and end.along_m >= start.along_m:
            inner = [node for node in self._nodes(start.lane) if start.along_m < node.along_m < end.along_m]
        else:
            last = _Node(end.lane, self._before(end))
            if last not in reached:
                return None
            inner = paths[last]
        places = [(self._lanes[start.lane].level, start.point_m)]
        places += [(self._lanes[node.lane].level, self._point(node)) for node in inner]
        points = _along([*places, (self._lanes[end.lane].level, end.point_m)])
        return points[-1].along_m + start.off_m + end.off_m, points

    def _ways_from(self, node: _Node) -> tuple[dict[_Node, float], dict[_Node, list[_Node]]]:
        found: Any = nx.single_source_dijkstra(self._net, node)  # typed as of one target
        return found

    def _feet(self, level: LevelId, point_m: Point) -> list[_Foot]:
        feet = [_foot(n, self._vertices[n], point_m) for n, lane in enumerate(self._lanes) if lane.level == level]
        return [foot for foot in feet if foot.off_m <= OFF_LANE_M]

    def _nodes(self, lane: int) -> list[_Node]:
        return [_Node(lane, along) for along in self._cuts[lane]]

    def _next(self, foot: _Foot) -> float:
        return next(along for along in self._cuts[foot.lane] if along >= foot.along_m - _LEAST_M)

    def _before(self, foot: _Foot) -> float:
        return next(along for along in reversed(self._cuts[foot.lane]) if along <= foot.along_m + _LEAST_M)

    def _point(self, node: _Node) -> Point:
        return _at(self._vertices[node.lane], node.along_m)

    def _joined(self, back: Mapping[LaneId, int]) -> nx.DiGraph[_Node]:
        """The lanes' net; ``back`` numbers the ways back of lanes of both ways, behind all lanes."""
        joints = list[tuple[_Node, _Node, float]]()
        number_of = {lane.id: n for n, lane in enumerate(self._lanes) if n < len(self._lanes) - len(back)}
        for name, n in number_of.items():
            length, end = self._vertices[n][-1]
            for following in (one for one in self._lanes[n].follows if one in number_of):
                foot = _foot(number_of[following], self._vertices[number_of[following]], end)
                there = [_Node(foot.lane, foot.along_m)]
                if following in back:
                    there.append(_Node(back[following], self._vertices[foot.lane][-1][0] - foot.along_m))
                joints += [(_Node(n, length), one, foot.off_m) for one in there]
                if name in back:
                    joints += [(one, _Node(back[name], 0.0), foot.off_m) for one in there]
        cuts = [{along for along, _ in vertices} for vertices in self._vertices]
        for one, other, _ in joints:
            cuts[one.lane].add(one.along_m)
            cuts[other.lane].add(other.along_m)
        self._cuts = [sorted(along) for along in cuts]
        net: nx.DiGraph[_Node] = nx.DiGraph()
        for n in range(len(self._lanes)):
            nodes = self._nodes(n)
            net.add_nodes_from(nodes)
            net.add_weighted_edges_from((one, other, other.along_m - one.along_m) for one, other in pairwise(nodes))
        net.add_weighted_edges_from(joints)
        return net


def _vertices(lane: Lane) -> list[tuple[float, Point]]:
    """A lane's points with how far along it they are."""
    found, along = [(0.0, lane.line_m[0])], 0.0
    for one, other in pairwise(lane.line_m):
        along += _apart(one, other)
        found.append((along, other))
    return found


def _at(vertices: Sequence[tuple[float, Point]], along_m: float) -> Point:
    for (before, one), (after, other) in pairwise(vertices):
        if along_m <= after and after > before:
            share = max(along_m - before, 0.0) / (after - before)
            return one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])
    return vertices[-1][1]


def _foot(lane: int, vertices: Sequence[tuple[float, Point]], point_m: Point) -> _Foot:
    best = _Foot(lane, 0.0, vertices[0][1], _apart(vertices[0][1], point_m))
    for (before, one), (after, other) in pairwise(vertices):
        dx, dy, length = other[0] - one[0], other[1] - one[1], after - before
        if length <= 0.0:
            continue
        share = ((point_m[0] - one[0]) * dx + (point_m[1] - one[1]) * dy) / (length * length)
        share = min(max(share, 0.0), 1.0)
        place = one[0] + share * dx, one[1] + share * dy
        if (off := _apart(place, point_m)) < best.off_m:
            best = _Foot(lane, before + share * length, place, off)
    return best


def _along(places: Sequence[tuple[LevelId, Point]]) -> list[WayPoint]:
    level, (x, y) = places[0]
    found = [WayPoint(0.0, level, x, y)]
    for level, (x, y) in places[1:]:
        step = _apart((found[-1].x_m, found[-1].y_m), (x, y))
        if step > _LEAST_M:
            found.append(WayPoint(found[-1].along_m + step, level, x, y))
    return found if len(found) > 1 else [*found, found[0]]


def _apart(one: Point, other: Point) -> float:
    dx, dy = other[0] - one[0], other[1] - one[1]
    return math.sqrt(dx * dx + dy * dy)
