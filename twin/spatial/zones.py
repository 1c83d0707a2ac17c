"""What lies where on a site: zones, stalls, and the heading that vehicles have there.

Points on a ring's edge are inside. Rings are small, so a ray cast over all of a level's rings is quick enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import numpy as np

from site_models.schema import Lane, LevelId, Point, Ring, Site, Stall, StallId, ZoneId

Unit = tuple[float, float]
UNKNOWN: Unit = (0.0, 0.0)

_ZONE_MARGIN_M = 1.0
_MOST_REMEMBERED = 4_096
_PORTAL_MARGIN_M = 10.0  # a vehicle must be followed on both sides of a portal


class SiteMap:
    """Look-ups on the map of one site."""

    def __init__(self, site: Site) -> None:
        self._zones = [(zone.level, zone.id, Area(zone.ring_m)) for zone in site.zones]
        self._zone_cells = Cells([(level, name, area) for level, name, area in self._zones])
        self._stalls = [(stall.level, stall.id, Area(stall.ring_m)) for stall in site.stalls]
        self._stall_cells = Cells(self._stalls)
        self._headings = {stall.id: heading(stall) for stall in site.stalls}
        self._pieces = [(lane.level, *piece) for lane in site.lanes for piece in pieces(lane)]
        self._around: dict[tuple[LevelId, int, int, float], list[tuple[StallId, Area]]] = {}
        self._gates = [(portal.level, *portal.line_m, _PORTAL_MARGIN_M) for portal in site.portals]

    def zone_at(self, level: LevelId, x_m: float, y_m: float) -> ZoneId | None:
        """The first zone by id that holds the point."""
        return self._zone_cells.at(level, x_m, y_m)

    def stall_at(self, level: LevelId, x_m: float, y_m: float) -> StallId | None:
        """The first stall by id that holds the point."""
        return self._stall_cells.at(level, x_m, y_m)

    def stalls_around(self, level: LevelId, x_m: float, y_m: float, reach_m: float) -> list[tuple[StallId, Area]]:
        """Stalls whose bounding boxes are no farther from a point along each axis."""
        key = level, math.floor(x_m / reach_m), math.floor(y_m / reach_m), reach_m
        found = self._around.get(key)
        if found is None:
            x, y = (key[1] + 0.5) * reach_m, (key[2] + 0.5) * reach_m
            found = [(name, area) for on, name, area in self._stalls if on == level and area.is_near(x, y, 2.0 * reach_m)]
            if len(self._around) >= _MOST_REMEMBERED:
                self._around.clear()
            self._around[key] = found
        return [(name, area) for name, area in found if area.is_near(x_m, y_m, reach_m)]

    def is_on_lane(self, level: LevelId, x_m: float, y_m: float, share: float) -> bool:
        """Whether the point is no farther from a lane's line than this share of its width."""
        return any(
            on == level and _distance2(start, end, x_m, y_m) <= share * share * width * width
            for on, start, end, _, width in self._pieces
        )

    def is_mapped(self, level: LevelId, x_m: float, y_m: float) -> bool:
        """Whether a vehicle here is on the site: in or beside a zone, on or beside a lane, or at a portal.

        Where nothing is drawn yet, all ground is the site's: who begins with a camera sees its vehicles at once.
        """
        if not (self._zones or self._pieces or self._gates):
            return True
        if any(on == level and area.is_near(x_m, y_m, _ZONE_MARGIN_M) for on, _, area in self._zones):
            return True
        strips = [*((on, start, end, reach) for on, start, end, _, reach in self._pieces), *self._gates]
        return any(on == level and _distance2(start, end, x_m, y_m) <= reach * reach for on, start, end, reach in strips)

    def is_at_portal(self, level: LevelId, x_m: float, y_m: float) -> bool:
        """Whether the point is so near a portal's line that a vehicle here may be crossing it."""
        return any(on == level and _distance2(start, end, x_m, y_m) <= reach * reach for on, start, end, reach in self._gates)

    def stall_heading_at(self, level: LevelId, x_m: float, y_m: float) -> Unit | None:
        """The heading of a vehicle in the stall that holds the point; None outside of stalls."""
        stall = self._stall_cells.at(level, x_m, y_m)
        return None if stall is None else self._headings[stall]

    def heading_at(self, level: LevelId, x_m: float, y_m: float) -> Unit:
        """The heading that a vehicle here most likely has: its stall's, else the nearest lane's, else unknown."""
        if (aligned := self.stall_heading_at(level, x_m, y_m)) is not None:
            return aligned
        best, best_m2 = UNKNOWN, math.inf
        for on, start, end, direction, reach_m in self._pieces:
            if on == level and (away := _distance2(start, end, x_m, y_m)) < min(best_m2, reach_m * reach_m):
                best, best_m2 = direction, away
        return best


class Area:
    """A ring with its bounding box."""

    def __init__(self, ring: Ring) -> None:
        self.ring_m = ring
        xs, ys = [x for x, _ in ring], [y for _, y in ring]
        self.box_m = (min(xs), min(ys), max(xs), max(ys))
        ends = zip(ring, (*ring[1:], ring[0]), strict=True)
        self._sides = [(*one, *other, other[0] - one[0], other[1] - one[1]) for one, other in ends]

    def is_near(self, x: float, y: float, margin: float) -> bool:
        """Whether the grown bounding box holds the point."""
        x1, y1, x2, y2 = self.box_m
        return x1 - margin <= x <= x2 + margin and y1 - margin <= y <= y2 + margin

    def holds(self, x: float, y: float) -> bool:
        """Whether the ring holds the point, its edge included."""
        x1, y1, x2, y2 = self.box_m
        if not (x1 <= x <= x2 and y1 <= y <= y2):
            return False
        is_inside = False
        for ax, ay, bx, by, dx, dy in self._sides:
            side = dx * (y - ay) - dy * (x - ax)
            if side == 0.0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return True
            if (ay > y) != (by > y) and (side > 0.0) == (by > ay):
                is_inside = not is_inside
        return is_inside


Name = TypeVar("Name")


class Cells(Generic[Name]):
    """Named areas by the square cells of the ground that they reach into, in the order given; and what was found last."""

    _LEAST_SIDE_M = 4.0
    _MOST_CELLS = 50_000  # a very large site has larger cells
    _MOST_KNOWN = 20_000  # places: of what stands the same is asked in each frame

    def __init__(self, areas: Sequence[tuple[LevelId, Name, Area]]) -> None:
        boxed_m2 = sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (area.box_m for _, _, area in areas))
        self._side_m = max(self._LEAST_SIDE_M, math.sqrt(boxed_m2 / self._MOST_CELLS))
        self._by_cell: dict[tuple[LevelId, int, int], list[tuple[Name, Area]]] = {}
        self._known: dict[tuple[LevelId, float, float], Name | None] = {}
        for level, name, area in areas:
            x1, y1, x2, y2 = (math.floor(edge / self._side_m) for edge in area.box_m)
            for column in range(x1, x2 + 1):
                for row in range(y1, y2 + 1):
                    self._by_cell.setdefault((level, column, row), []).append((name, area))

    def at(self, level: LevelId, x_m: float, y_m: float) -> Name | None:
        """The first area that holds the point."""
        key = (level, x_m, y_m)
        known = self._known.get(key, self)  # itself stands for what was not asked yet
        if known is not self:
            return cast("Name | None", known)
        if len(self._known) >= self._MOST_KNOWN:
            self._known.clear()
        here = self._by_cell.get((level, math.floor(x_m / self._side_m), math.floor(y_m / self._side_m)), ())
        found = next((name for name, area in here if area.holds(x_m, y_m)), None)
        self._known[key] = found
        return found


def heading(stall: Stall) -> Unit:
    """The unit vector of a vehicle parked nose-in, rounded so that every machine's cosine gives the same."""
    angle = math.radians(stall.heading_deg)
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def pieces(lane: Lane) -> list[tuple[Point, Point, Unit, float]]:
    """A lane's straight pieces: start, end, direction, and how far to its side it reaches."""
    found: list[tuple[Point, Point, Unit, float]] = []
    for start, end in zip(lane.line_m, lane.line_m[1:], strict=False):
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = math.sqrt(dx * dx + dy * dy)
        if length > 0.0:
            found.append((start, end, (dx / length, dy / length), lane.width_m))
    return found


def centre_of(ring: Ring) -> Point:
    """The mean of a ring's corners."""
    mean = np.array(ring).sum(axis=0) / len(ring)
    return float(mean[0]), float(mean[1])


def _distance2(start: Point, end: Point, x: float, y: float) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)
    along = min(1.0, max(0.0, along))
    off_x, off_y = x - start[0] - along * dx, y - start[1] - along * dy
    return off_x * off_x + off_y * off_y
