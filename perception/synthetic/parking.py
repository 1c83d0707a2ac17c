"""How a body gets into a stall and out again, nose-in or back-in, clear of everything that stands beside it.

Nose-in, the guide point leaves the lane on an arc and follows the stall's axis; leaving is the same path driven backwards.
Back-in, it goes past the stall and backs in on an arc; leaving is the same arc driven forwards. Wider arcs and a swing to
the far side are tried in turn, until the swept footprint is clear of walls, pillars and the *usable room* of every other
stall. Parked vehicles stay inside that room, so a way that is clear once is clear always.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely

from perception.synthetic.footprints import Floats, overlaps, within_reach
from perception.synthetic.lines import Line, rounded
from perception.synthetic.paths import CELL_M, Path
from perception.synthetic.routes import LaneGraph, Place
from perception.synthetic.vehicles import Body
from site_models.schema import LevelId, Obstacle, Site, Stall, StallId

_SIDE_SLACK_M, _MOUTH_SLACK_M, _FAR_SLACK_M = 0.3, 0.25, 0.03  # between the usable room and the stall's edges
_REACH_M = 9.0  # from the stall's mouth to the lane, at most
_WAYS = tuple((radius, swing) for swing in (0.0, 0.3, 0.6, 0.9, 1.2, 1.5) for radius in (5.0, 5.8, 4.4, 3.8, 6.8, 3.4))
_RUN_UP_M, _SWING_AT_LEAST_M = 7.0, 2.0  # over which one swings out
_ABREAST_M = 2.0  # before the stall's axis, whoever backs in is as far out as they go
_SWEEP_M, _SWEEP_SIDE_M = 0.25, 0.05


class Bay(NamedTuple):
    """A stall's usable room: centre, heading (radians), half length and half width."""

    id: StallId
    level: LevelId
    centre_m: tuple[float, float]
    heading: float
    half_length_m: float
    half_width_m: float

    @property
    def rectangle(self) -> tuple[float, ...]:
        """As ``footprints`` takes it."""
        return (*self.centre_m, math.cos(self.heading), math.sin(self.heading), self.half_length_m, self.half_width_m)

    def fits(self, body: Body) -> bool:
        """Whether the body stays inside."""
        return body.length_m <= 2 * self.half_length_m and body.width_m <= 2 * self.half_width_m


class Access(NamedTuple):
    """Where a lane meets a stall's axis."""

    place: Place
    point_m: tuple[float, float]
    turn: float  # radians from the lane's direction to the stall's heading


class Manoeuvre(NamedTuple):
    """The guide point's ways into a stall and out of it.

    Attributes:
        run_up_m: how far before the access the way leaves the lane; at most back to where the lane begins.
        joins_m: how far after the access the way out is on the lane.
        approach_m: (N, 2) vertices forwards from the run-up, to the stop in the stall or to where one begins to back in.
        radius_m: of the corners between them.
        backing_m: (M, 2) backwards from there to the stop; None: nose-in.
        outwards_m: (K, 2) from the stop: points backwards until the vehicle stands along the lane; or, where it had backed
            in, vertices forwards to the lane.
    """

    access: Access
    run_up_m: float
    joins_m: float
    approach_m: Floats
    radius_m: float
    backing_m: Floats | None
    outwards_m: Floats


class Parking:
    """Ways in and out of every stall of a site."""

    def __init__(self, site: Site, graph: LaneGraph) -> None:
        self.bays = {stall.id: _bay(stall) for stall in site.stalls}
        self._graph = graph
        self._access = {bay.id: _accesses(bay, graph) for bay in self.bays.values()}
        self._standing = {level.id: _standing(site, level.id, self.bays) for level in site.levels}
        self._ways: dict[tuple[StallId, str, float, int, bool], Manoeuvre | None] = {}

    def accesses(self, stall: StallId) -> int:
        """How many lanes lead past the stall."""
        return len(self._access[stall])

    def manoeuvre(
        self, stall: StallId, name: str, body: Body, aside: float, access: int, *, is_backwards: bool = False
    ) -> Manoeuvre | None:
        """The way in, ``aside`` of the free width left of the stall's axis; None when none is clear."""
        key = (stall, name, aside, access, is_backwards)
        if key not in self._ways:
            find = self._backing_in if is_backwards else self._nose_in
            self._ways[key] = find(self.bays[stall], body, aside, self._access[stall][access])
        return self._ways[key]

    def is_clear(self, points_m: Floats, level: LevelId, body: Body, own: StallId) -> bool:
        """Whether a body whose guide point follows these points touches nothing that stands on the level."""
        line = Line(points_m)
        along = np.linspace(0.0, line.length_m, max(2, math.ceil(line.length_m / _SWEEP_M)))
        guide = np.stack([np.interp(along, line.along_m, column) for column in line.points_m.T], axis=1)
        steps = np.gradient(guide, axis=0)
        return self._is_clear(guide, steps / np.hypot(*steps.T)[:, None], level, body, own)

    def is_path_clear(self, path: Path, body: Body, own: StallId | None, steps: slice = slice(None)) -> bool:
        """As ``is_clear``, along (some steps of) a whole path over all its levels."""
        every = slice(steps.start, steps.stop, round(_SWEEP_M / CELL_M))
        guide = np.stack([path.x[every], path.y[every]], axis=1)
        units = np.stack([np.cos(path.heading[every]), np.sin(path.heading[every])], axis=1)
        level = np.array(path.level[every])
        return all(self._is_clear(guide[level == one], units[level == one], one, body, own) for one in self._standing)

    def _is_clear(self, guide: Floats, units: Floats, level: LevelId, body: Body, own: StallId | None) -> bool:
        if not len(guide):
            return True
        names, standing = self._standing[level]
        others = standing[[name != own for name in names]] if names else standing
        half = np.tile([body.length_m / 2, body.width_m / 2 + _SWEEP_SIDE_M], (len(guide), 1))
        swept = np.concatenate([guide + body.guide_to_centre_m * units, units, half], axis=1)
        return not overlaps(swept, within_reach(swept, others)).any()

    def _nose_in(self, bay: Bay, body: Body, aside: float, access: Access) -> Manoeuvre | None:
        if not bay.fits(body):
            return None
        stop = self._stop(bay, body, aside, is_backwards=False)
        lane = self._graph.lanes[access.place.lane].line
        along = lane.direction(access.place.s_m)
        for radius_m, swing_m in _WAYS:
            meets = self._meets(access, bay, aside, body, swing_m)
            turning_m = radius_m * math.tan(abs(access.turn) / 2) + 0.5
            run_up_m = min(turning_m + (_RUN_UP_M if swing_m else 1.0), access.place.s_m)
            if swing_m and run_up_m < turning_m + _SWING_AT_LEAST_M:
                continue
            turns_in = meets - along * turning_m
            approach = np.stack([turns_in, meets, stop] if swing_m else [meets, stop])
            leaves = lane.at(access.place.s_m - run_up_m)
            if self.is_clear(rounded(np.concatenate([leaves[None], approach]), radius_m), bay.level, body, own=bay.id):
                out = rounded(np.stack([turns_in, meets, stop]), radius_m)[::-1]
                return Manoeuvre(access, run_up_m, 0.0, approach, radius_m, None, out)
        return None

    def _backing_in(self, bay: Bay, body: Body, aside: float, access: Access) -> Manoeuvre | None:
        if not bay.fits(body):
            return None
        stop = self._stop(bay, body, aside, is_backwards=True)
        lane = self._graph.lanes[access.place.lane].line
        along, s_m = lane.direction(access.place.s_m), access.place.s_m
        for radius_m, swing_m in _WAYS:
            meets = self._meets(access, bay, aside, body, swing_m)
            past_m = radius_m / math.tan(abs(access.turn) / 2) + 0.5
            run_up_m = min(_ABREAST_M + _RUN_UP_M, s_m) if swing_m else 0.0
            if s_m + past_m + (_RUN_UP_M if swing_m else 0.0) > lane.length_m or (
                swing_m and run_up_m < _ABREAST_M + _SWING_AT_LEAST_M
            ):
                continue
            past = meets + along * past_m
            arc = rounded(np.stack([stop, meets, past]), radius_m)
            if self.is_clear(arc, bay.level, body, own=bay.id):
                approach = np.stack([meets - along * _ABREAST_M, past] if swing_m else [past])
                out = np.stack([stop, meets, past] if swing_m else [stop, meets])
                joins_m = past_m + (_RUN_UP_M if swing_m else 0.0)
                return Manoeuvre(access, run_up_m, joins_m, approach, radius_m, arc[::-1], out)
        return None

    @staticmethod
    def _stop(bay: Bay, body: Body, aside: float, *, is_backwards: bool) -> Floats:
        """(2,) the guide point's stop; the body's far end keeps the middle of its leeway to the end of the usable room."""
        heading = np.array([math.cos(bay.heading), math.sin(bay.heading)])
        ahead_m = body.guide_to_centre_m if is_backwards else -body.guide_to_centre_m
        leeway_m = bay.half_length_m - body.length_m / 2
        return np.array(bay.centre_m) + _aside(bay, body, aside) + heading * (0.5 * leeway_m + ahead_m)

    @staticmethod
    def _meets(access: Access, bay: Bay, aside: float, body: Body, swing_m: float) -> Floats:
        """(2,) where the stall's axis meets the line, parallel to the lane, that one turns in from."""
        heading = np.array([math.cos(bay.heading), math.sin(bay.heading)])
        return np.array(access.point_m) + _aside(bay, body, aside) - heading * (swing_m / math.sin(abs(access.turn)))


def _aside(bay: Bay, body: Body, aside: float) -> Floats:
    """(2,) from the stall's axis to the body's, a share of the free width to the left."""
    left = np.array([-math.sin(bay.heading), math.cos(bay.heading)])
    return left * (aside * (bay.half_width_m - body.width_m / 2))


def _bay(stall: Stall) -> Bay:
    """The largest rectangle along the stall's heading that its ring holds, less the slack at its edges."""
    ring = shapely.Polygon(stall.ring_m)
    heading = math.radians(stall.heading_deg)
    centre = np.array(ring.centroid.coords[0])
    axes = np.array([[math.cos(heading), math.sin(heading)], [-math.sin(heading), math.cos(heading)]])
    half = np.abs((np.array(stall.ring_m) - centre) @ axes.T).max(axis=0)
    share = next((float(one) for one in np.arange(1.0, 0.3, -0.05) if _holds(ring, centre, axes * half[:, None], one)), 0.3)
    middle = centre + axes[0] * (_MOUTH_SLACK_M - _FAR_SLACK_M) / 2
    return Bay(
        stall.id,
        stall.level,
        (float(middle[0]), float(middle[1])),
        heading,
        float(half[0]) * share - (_MOUTH_SLACK_M + _FAR_SLACK_M) / 2,
        float(half[1]) - _SIDE_SLACK_M,
    )


def _holds(ring: shapely.Polygon, centre: Floats, half: Floats, share: float) -> bool:
    """Whether the ring holds the rectangle of these half sides, the first shortened to a share."""
    along, across = half[0] * share, half[1]
    return ring.buffer(0.02).contains(
        shapely.Polygon([centre + along - across, centre + along + across, centre - along + across, centre - along - across])
    )


def _accesses(bay: Bay, graph: LaneGraph) -> tuple[Access, ...]:
    """Lanes that the stall's axis meets before its mouth, nearest first."""
    heading = np.array([math.cos(bay.heading), math.sin(bay.heading)])
    mouth = np.array(bay.centre_m) - heading * bay.half_length_m
    found = list[tuple[float, Access]]()
    for index, lane in enumerate(graph.lanes):
        crossing = lane.line.crossing(mouth, mouth - heading * _REACH_M) if lane.level == bay.level else None
        if crossing is None:
            continue
        along, point = lane.line.direction(crossing[0]), lane.line.at(crossing[0])
        turn = math.atan2(float(along[0] * heading[1] - along[1] * heading[0]), float(along @ heading))
        if math.radians(25) <= abs(turn) <= math.radians(115):
            access = Access(Place(index, crossing[0]), (float(point[0]), float(point[1])), turn)
            found.append((float(np.hypot(*(point - mouth))), access))
    return tuple(access for _, access in sorted(found, key=lambda one: one[0])[:4])


def _standing(site: Site, level: LevelId, bays: dict[StallId, Bay]) -> tuple[list[str], Floats]:
    """Names and rectangles of the stalls' usable rooms and of the obstacles on a level."""
    rooms = [(bay.id, bay.rectangle) for bay in bays.values() if bay.level == level]
    things = [(f"obstacle {one.id}", box) for one in site.obstacles if one.level == level for box in _boxes(one)]
    names = [str(name) for name, _ in (*rooms, *things)]
    return names, np.array([box for _, box in (*rooms, *things)], dtype=float).reshape(-1, 6)


def _boxes(obstacle: Obstacle) -> list[tuple[float, ...]]:
    """A wall's straight pieces; a pillar's smallest turned rectangle."""
    if obstacle.kind == "wall":
        pieces = pairwise(obstacle.outline_m)
        return [_box(np.array(start), np.array(end), obstacle.thickness_m / 2) for start, end in pieces]
    ring = shapely.get_coordinates(shapely.oriented_envelope(shapely.Polygon(obstacle.outline_m)))
    middle = (ring[0] + ring[1]) / 2, (ring[2] + ring[3]) / 2
    return [_box(*middle, float(np.hypot(*(ring[1] - ring[0]))) / 2)]


def _box(start: Floats, end: Floats, half_width: float) -> tuple[float, ...]:
    length = float(np.hypot(*(end - start)))
    cos, sin = (end - start) / length
    return (*(start + end) / 2, cos, sin, length / 2, half_width)
