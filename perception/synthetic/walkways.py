"""Ways on foot over a level: the shortest on a grid, around what stands, and rather beside the lanes than on them.

Source: Dijkstra, "A note on two problems in connexion with graphs" (1959), from each goal once, as a field of ways to it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from perception.synthetic.lines import Floats, rounded
from site_models.schema import LevelId, Obstacle, Portal, Site

_CELL_M, _MOST_CELLS = 0.5, 200_000
_AROUND_M, _OUTSIDE_M = 8.0, 6.0  # ground around everything; how far people go beyond the boundary
_WALL_M, _STALL_M = 0.5, 0.1  # kept away from
_ON_LANE, _LANE_M = 3.0, 1.8  # how many times as far a way in a lane's middle seems, and half its width
_NEAR_M = 3.0  # from a goal or a start to the first free ground
_STRAIGHTER_M, _CORNER_M = 0.35, 0.8


Cells = NDArray[np.int64]


class _Ground(NamedTuple):
    """A level's grid.

    Attributes:
        points_m: (N, 2) middles of the cells that are free.
        steps: (N, N) costs between neighbours, metres.
        goals: cells that people go to.
    """

    points_m: Floats
    steps: csr_array
    goals: tuple[int, ...]


class Walkways:
    """The ways on foot of a site; each level's are made when they are first asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._grounds: dict[LevelId, _Ground | None] = {}
        self._next: dict[tuple[LevelId, int], NDArray[np.int32]] = {}

    def n_goals(self, level: LevelId) -> int:
        """Landmarks that people go to, and boundary portals; where there are neither, ways to other levels."""
        ground = self._ground(level)
        return 0 if ground is None else len(ground.goals)

    def way(self, level: LevelId, start_m: Floats, goal: int) -> Floats | None:
        """(N, 2) from a point on free ground to a goal; None where no way leads there."""
        ground = self._ground(level)
        cell = None if ground is None else _nearest(ground.points_m, start_m)
        if ground is None or cell is None:
            return None
        onwards = self._onwards(level, ground, ground.goals[goal])
        cells = [cell]
        while cells[-1] != ground.goals[goal]:
            cells.append(int(onwards[cells[-1]]))
            if cells[-1] < 0:
                return None
        points = np.concatenate([start_m[None], ground.points_m[cells[1:]]])
        if len(points) < 2:
            return None
        straighter = shapely.get_coordinates(shapely.LineString(points).simplify(_STRAIGHTER_M))
        return rounded(straighter, _CORNER_M)

    def _onwards(self, level: LevelId, ground: _Ground, goal: int) -> NDArray[np.int32]:
        """(N,) of every cell, the next one on the way to the goal; negative where there is none."""
        if (level, goal) not in self._next:
            self._next[level, goal] = dijkstra(ground.steps, directed=False, indices=goal, return_predecessors=True)[1]
        return self._next[level, goal]

    def _ground(self, level: LevelId) -> _Ground | None:
        if level not in self._grounds:
            self._grounds[level] = _ground(self._site, level)
        return self._grounds[level]


def _ground(site: Site, level: LevelId) -> _Ground | None:
    """None where the level has no lanes or zones, or no goal."""
    lanes = [shapely.LineString(lane.line_m) for lane in site.lanes if lane.level == level]
    rings = [shapely.Polygon(zone.ring_m) for zone in site.zones if zone.level == level]
    stalls = [shapely.Polygon(stall.ring_m) for stall in site.stalls if stall.level == level]
    if not lanes and not rings and not stalls:
        return None
    west, south, east, north = shapely.union_all([*lanes, *rings, *stalls]).buffer(_AROUND_M).bounds
    cell_m = max(_CELL_M, math.sqrt((east - west) * (north - south) / _MOST_CELLS))
    x, y = np.meshgrid(np.arange(west, east, cell_m), np.arange(south, north, cell_m))
    walls = [_outline(one).buffer(_WALL_M) for one in site.obstacles if one.level == level]
    blocked = shapely.union_all([*walls, *(stall.buffer(_STALL_M) for stall in stalls)])
    is_free = ~shapely.contains_xy(blocked, x, y)
    is_on_lane = shapely.contains_xy(shapely.union_all([lane.buffer(_LANE_M) for lane in lanes]), x, y)
    points = np.stack([x[is_free], y[is_free]], axis=1)
    cells = (_nearest(points, goal) for goal in _goals(site, level))
    goals = tuple(dict.fromkeys(cell for cell in cells if cell is not None))
    steps = _steps(is_free, np.where(is_on_lane, _ON_LANE, 1.0) * cell_m)
    return _Ground(points, steps, goals) if goals else None


def _steps(is_free: NDArray[np.bool_], cost_m: Floats) -> csr_array:
    """Costs between free cells that share a side or a corner."""
    number: Cells = np.cumsum(is_free.ravel(), dtype=np.int64).reshape(is_free.shape) - 1
    height, width = is_free.shape
    rows, columns, costs = list[Cells](), list[Cells](), list[Floats]()
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (slice(down, height), slice(max(0, right), width + min(0, right)))
        both = is_free[here] & is_free[there]
        rows.append(number[here][both])
        columns.append(number[there][both])
        costs.append(((cost_m[here] + cost_m[there]) / 2)[both] * math.hypot(down, right))
    n = int(is_free.sum())
    return csr_array((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(n, n))


def _goals(site: Site, level: LevelId) -> list[Floats]:
    """Signs and the like, and beyond every boundary portal; else where ways lead to other levels."""
    landmarks = [one for one in site.landmarks if one.level == level and one.kind in ("sign", "other")]
    portals = [portal for portal in site.portals if portal.level == level and portal.role == "boundary"]
    ramps = [portal for portal in site.portals if level in (portal.level, portal.to_level) and portal.role == "level"]
    found = [np.array(one.point_m) for one in landmarks] + [_beyond(portal) for portal in portals]
    return found or [np.array(portal.line_m).mean(axis=0) for portal in ramps]


def _beyond(portal: Portal) -> Floats:
    """(2,) outside of a portal's middle; inside is to the left of its line."""
    start, end = np.array(portal.line_m)
    along = (end - start) / np.hypot(*(end - start))
    return (start + end) / 2 + _OUTSIDE_M * np.array([along[1], -along[0]])


def _outline(obstacle: Obstacle) -> shapely.Polygon:
    if obstacle.kind == "wall":
        return shapely.LineString(obstacle.outline_m).buffer(obstacle.thickness_m / 2)
    return shapely.Polygon(obstacle.outline_m)


def _nearest(points_m: Floats, point_m: Floats) -> int | None:
    """The nearest cell, or None where even that is far."""
    distances = np.hypot(*(points_m - point_m).T)
    best = int(np.argmin(distances)) if len(distances) else -1
    return best if best >= 0 and distances[best] <= _NEAR_M else None
