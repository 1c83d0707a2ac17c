"""The lane graph: how to drive from one place on a lane to another.

A lane that is not one-way gives two directed lanes, each to the right of its middle where there is width for two.
``follows`` says which lanes may be driven into from a lane's end; one joins the other where it comes nearest,
and where both are two-way the same joint is driven the other way round.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from perception.synthetic.lines import Floats, Line
from site_models.schema import Lane, LaneId, LevelId, Portal, PortalId, Site

OUTSIDE_M = 14.0
"""How far outside the boundary a vehicle appears and vanishes: longer than any body."""

_TWO_WAY_WIDTH_M = 4.8  # room for two vehicles beside each other
_END_M = 0.5


class Place(NamedTuple):
    """A place on a directed lane."""

    lane: int
    s_m: float


class DirectedLane(NamedTuple):
    """A lane in one of its driving directions."""

    id: LaneId
    is_forward: bool
    level: LevelId
    line: Line


class Joint(NamedTuple):
    """One may leave a directed lane at ``leave_m`` and be on another at ``enter``."""

    leave_m: float
    enter: Place


class Gate(NamedTuple):
    """A boundary portal as one lane crosses it."""

    portal: PortalId
    crossing: Place


class Piece(NamedTuple):
    """A stretch of a directed lane that a route drives."""

    lane: int
    from_m: float
    until_m: float


Route = tuple[Piece, ...]


class LaneGraph:
    """Directed lanes, the joints between them, and the gates of the boundary.

    Attributes:
        lanes: every directed lane; ``Place.lane`` counts them.
        joints: (number of lanes) the joints that leave each, in driving order.
        entries, exits: gates that may be driven in, out; sorted by portal and lane.
    """

    def __init__(self, site: Site) -> None:
        self.lanes = [directed for lane in site.lanes for directed in _directions(lane)]
        self._index = {(lane.id, lane.is_forward): i for i, lane in enumerate(self.lanes)}
        joints = _joints(site, self.lanes, self._index)
        self._extend_loose_ends(joints)
        self.joints = [sorted(leaving, key=lambda joint: (joint.leave_m, joint.enter)) for leaving in joints]
        self.entries, self.exits = self._gates(site)
        self._routes: dict[tuple[Place, Place], Route | None] = {}

    def route(self, start: Place, goal: Place) -> Route | None:
        """The shortest way, or None when no way leads there."""
        key = (start, goal)
        if key not in self._routes:
            self._routes[key] = self._search(start, goal)
        return self._routes[key]

    def points(self, route: Route) -> tuple[Floats, list[LevelId]]:
        """(N, 2) the route's vertices in metres, and each one's level."""
        parts = [self.lanes[piece.lane].line.part(piece.from_m, piece.until_m) for piece in route]
        levels = [self.lanes[piece.lane].level for piece, part in zip(route, parts, strict=True) for _ in part]
        return np.concatenate(parts), levels

    def _search(self, start: Place, goal: Place) -> Route | None:
        """Dijkstra over places where lanes are entered."""
        queue: list[tuple[float, Place, Route]] = [(0.0, start, ())]
        done: set[Place] = set()
        while queue:
            cost, place, route = heapq.heappop(queue)
            if place == goal:
                return route
            if place in done:
                continue
            done.add(place)
            if place.lane == goal.lane and goal.s_m >= place.s_m:
                piece = Piece(place.lane, place.s_m, goal.s_m)
                heapq.heappush(queue, (cost + goal.s_m - place.s_m, goal, (*route, piece)))
            for joint in self.joints[place.lane]:
                if joint.leave_m >= place.s_m and joint.enter not in done:
                    piece = Piece(place.lane, place.s_m, joint.leave_m)
                    heapq.heappush(queue, (cost + joint.leave_m - place.s_m, joint.enter, (*route, piece)))
        return None

    def _extend_loose_ends(self, joints: list[list[Joint]]) -> None:
        """Where nothing leads in or out, a lane goes straight on outside the site."""
        entered = {joint.enter.lane for leaving in joints for joint in leaving if joint.enter.s_m <= _END_M}
        for index, lane in enumerate(self.lanes):
            before = 0.0 if index in entered else 2 * OUTSIDE_M
            after = 0.0 if joints[index] else 2 * OUTSIDE_M
            self.lanes[index] = lane._replace(line=lane.line.extended(before, after))
            joints[index] = [joint._replace(leave_m=joint.leave_m + before) for joint in joints[index]]
            for other, leaving in enumerate(joints):
                joints[other] = [_moved(joint, index, before) for joint in leaving]

    def _gates(self, site: Site) -> tuple[list[Gate], list[Gate]]:
        entries, exits = list[Gate](), list[Gate]()
        for portal in (portal for portal in site.portals if portal.role == "boundary"):
            for index, lane in enumerate(self.lanes):
                crossing = lane.line.crossing(*np.array(portal.line_m)) if lane.level == portal.level else None
                if crossing is None:
                    continue
                s_m, is_inwards = crossing
                gate = Gate(portal.id, Place(index, s_m))
                if is_inwards and portal.direction != "out" and s_m >= OUTSIDE_M:
                    entries.append(gate)
                elif not is_inwards and portal.direction != "in" and s_m + OUTSIDE_M <= lane.line.length_m:
                    exits.append(gate)
        return entries, exits


def _directions(lane: Lane) -> list[DirectedLane]:
    middle = Line(np.array(lane.line_m, dtype=float))
    if lane.one_way:
        return [DirectedLane(lane.id, True, lane.level, middle)]
    offset_m = lane.width_m / 4 if lane.width_m >= _TWO_WAY_WIDTH_M else 0.0
    return [
        DirectedLane(lane.id, True, lane.level, middle.shifted_right(offset_m)),
        DirectedLane(lane.id, False, lane.level, middle.reversed().shifted_right(offset_m)),
    ]


def _joints(site: Site, lanes: list[DirectedLane], index: dict[tuple[LaneId, bool], int]) -> list[list[Joint]]:
    """(number of directed lanes) joints that leave each."""
    joints: list[list[Joint]] = [[] for _ in lanes]
    lane_by_id = {lane.id: lane for lane in site.lanes}
    for lane in site.lanes:
        for other in (lane_by_id[one] for one in lane.follows):
            _join(joints, lanes, index, lane, other)
    for portal in (portal for portal in site.portals if portal.role == "level"):
        _join_levels(joints, lanes, portal)
    return joints


def _join(
    joints: list[list[Joint]], lanes: list[DirectedLane], index: dict[tuple[LaneId, bool], int], lane: Lane, other: Lane
) -> None:
    """Join ``lane``'s end to ``other``, and the way back where both are two-way."""
    ahead = index[lane.id, True]
    end_m = lanes[ahead].line.points_m[-1]
    for is_forward in (True,) if other.one_way else (True, False):
        into = index[other.id, is_forward]
        s_m, _ = lanes[into].line.nearest(end_m)
        if s_m < lanes[into].line.length_m - _END_M:
            joints[ahead].append(Joint(lanes[ahead].line.length_m, Place(into, s_m)))
    if lane.one_way:
        return
    back = index[lane.id, False]
    for is_forward in (True,) if other.one_way else (True, False):
        out = index[other.id, is_forward]
        s_m, _ = lanes[out].line.nearest(lanes[back].line.points_m[0])
        if s_m > _END_M:
            joints[out].append(Joint(s_m, Place(back, 0.0)))


def _join_levels(joints: list[list[Joint]], lanes: list[DirectedLane], portal: Portal) -> None:
    """Lanes that cross a level portal go on, on the other level, on lanes that begin there."""
    line_m = np.array(portal.line_m)
    reach_m = float(np.hypot(*(line_m[1] - line_m[0]))) + 2.0
    for index, lane in enumerate(lanes):
        crossing = lane.line.extended(0.0, 2.0).crossing(*line_m) if lane.level == portal.level else None
        if crossing is None or portal.direction not in ("both", "in" if crossing[1] else "out"):
            continue
        if any(lanes[joint.enter.lane].level == portal.to_level for joint in joints[index]):
            continue
        leave_m = min(crossing[0], lane.line.length_m)
        for into, other in enumerate(lanes):
            is_there = other.level == portal.to_level and np.hypot(*(other.line.points_m[0] - line_m.mean(axis=0))) <= reach_m
            if is_there and float(other.line.direction(0.0) @ lane.line.direction(leave_m)) > 0:
                joints[index].append(Joint(leave_m, Place(into, 0.0)))


def _moved(joint: Joint, lane: int, by_m: float) -> Joint:
    if joint.enter.lane != lane:
        return joint
    return joint._replace(enter=joint.enter._replace(s_m=joint.enter.s_m + by_m))
