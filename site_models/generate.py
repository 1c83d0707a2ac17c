"""Car parks of any size, always valid: aisles between two main lanes, one way round, levels joined by ramps.

west main lane goes up, aisles go right with stalls on both sides, the east main lane comes down; the entry is at the
south-west corner, the exit at the south-east one, and a lane along the bottom leads round again.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import cycle, islice, pairwise
from typing import TypeVar

from msgspec import Struct

from site_models.camera_entries import look_at
from site_models.schema import (
    Camera,
    CameraId,
    Datum,
    Lane,
    LaneId,
    Level,
    LevelId,
    Obstacle,
    Pinhole,
    Point,
    Portal,
    PortalId,
    Ring,
    Site,
    SiteId,
    Stall,
    StallId,
    Zone,
    ZoneId,
    ZoneKind,
)
from twin.errors import BadInput

LANE_M = 6.0
FRAME_PX = (960, 540)
_HALF = LANE_M / 2
_ROW_AT_MOST = 14
_GATE_Y = -5.0
_ROAD_Y = -17.0
_STOREY_M = 3.2
_VIEW_M = 22.0  # ground along an aisle that one camera sees well
_HFOV_DEG = 84.0
_DISTORTION = (-0.06, 0.008, 0.0, 0.0, 0.0)


_Named = TypeVar("_Named", Zone, Stall, Lane, Portal, Obstacle, Camera)


class Layout(Struct, frozen=True, kw_only=True):
    """Measures of a car park; the same on every level."""

    n_aisles: int
    n_per_row: int
    stall_width_m: float = 2.5
    stall_depth_m: float = 5.0

    @property
    def east_m(self) -> float:
        """x of the east main lane."""
        return 8.0 + self.n_per_row * self.stall_width_m

    def aisle_m(self, aisle: int) -> float:
        """y of an aisle's middle."""
        return _HALF + self.stall_depth_m + _HALF + aisle * (LANE_M + 2 * self.stall_depth_m)

    @property
    def north_m(self) -> float:
        """y of the last aisle."""
        return self.aisle_m(self.n_aisles - 1)


def generate(*, n_cameras: int, n_stalls: int, n_levels: int, overlap: float, seed: int) -> Site:
    """A car park with these numbers; the seed sets its measures, its place on earth and its bearing.

    Args:
        overlap: share of a camera's view along an aisle that the next one sees too, 0..1.

    Raises:
        BadInput: a number out of its range; more levels than stalls.
    """
    if n_cameras < 1 or n_levels < 1 or n_stalls < n_levels or not 0.0 <= overlap <= 1.0:
        raise BadInput(
            f"{n_cameras} cameras, {n_stalls} stalls, {n_levels} levels, overlap {overlap}: give at least one camera and level,"
            " a stall a level, and an overlap from 0 to 1"
        )
    draw = random.Random(f"site {seed}")
    per_level = math.ceil(n_stalls / n_levels)
    n_aisles = math.ceil(per_level / (2 * _ROW_AT_MOST))
    layout = Layout(
        n_aisles=n_aisles,
        n_per_row=math.ceil(per_level / (2 * n_aisles)),
        stall_width_m=round(draw.uniform(2.5, 2.8), 2),
        stall_depth_m=round(draw.uniform(5.0, 5.4), 2),
    )
    levels = [Level(id=LevelId(f"level-{n}"), elevation_m=round(n * _STOREY_M, 2)) for n in range(n_levels)]
    datum = Datum(
        latitude=round(draw.uniform(-55, 65), 6),
        longitude=round(draw.uniform(-179, 179), 6),
        bearing_deg=round(draw.uniform(0, 360), 1),
    )
    return Site(
        name=SiteId(f"generated-{n_cameras}-{n_stalls}-{n_levels}-{seed}"),
        datum=datum,
        levels=tuple(levels),
        zones=_sorted(zone for n, level in enumerate(levels) for zone in zones(layout, level.id, has_gates=n == 0)),
        stalls=_sorted(_share(layout, levels, n_stalls)),
        lanes=_sorted(lane for n in range(n_levels) for lane in lanes(layout, [one.id for one in levels], n)),
        portals=_sorted([*gates(layout, levels[0].id), *_ramps(layout, levels)]),
        obstacles=_sorted(_pillars(layout, levels)),
        cameras=_sorted(_cameras(layout, levels, n_cameras, overlap)),
    )


def zones(layout: Layout, level: LevelId, *, has_gates: bool) -> list[Zone]:
    """Zones of one level; the ground level has gates and the road before them."""
    east, north, depth = layout.east_m, layout.north_m, layout.stall_depth_m
    made = [
        _zone(level, "west", "lane", -_HALF, -_HALF, _HALF, north + _HALF),
        _zone(level, "east", "lane", east - _HALF, -_HALF, east + _HALF, north + _HALF),
        _zone(level, "south", "lane", _HALF, -_HALF, east - _HALF, _HALF),
    ]
    for aisle in range(layout.n_aisles):
        y = layout.aisle_m(aisle)
        made.append(_zone(level, f"aisle-{aisle}", "lane", _HALF, y - _HALF, east - _HALF, y + _HALF))
        for side, low in (("a", y - _HALF - depth), ("b", y + _HALF)):
            made.append(_zone(level, f"row-{aisle}{side}", "parking", 4.0, low, east - 4.0, low + depth))
    if has_gates:
        gate = _GATE_Y - 4.0
        made += [
            _zone(level, "gate-in", "gate", -_HALF, gate, _HALF, -_HALF),
            _zone(level, "gate-out", "gate", east - _HALF, gate, east + _HALF, -_HALF),
            _zone(level, "road", "road", -12.0, _ROAD_Y, east + 12.0, gate),
        ]
    return made


def stalls(layout: Layout, level: LevelId) -> list[Stall]:
    """Rows on both sides of every aisle; vehicles stand nose away from it."""
    made: list[Stall] = []
    for aisle in range(layout.n_aisles):
        y = layout.aisle_m(aisle)
        for side, low, heading in (("a", y - _HALF - layout.stall_depth_m, -90.0), ("b", y + _HALF, 90.0)):
            for n in range(layout.n_per_row):
                x = 4.0 + n * layout.stall_width_m
                ring = _box(x, low, x + layout.stall_width_m, low + layout.stall_depth_m)
                name, zone = f"{level}-{aisle}{side}{n + 1:02d}", ZoneId(f"{level}-row-{aisle}{side}")
                made.append(Stall(id=StallId(name), level=level, zone=zone, ring_m=ring, heading_deg=heading))
    return made


def lanes(layout: Layout, levels: list[LevelId], n: int) -> list[Lane]:
    """Lanes of one level, all one way, with its ramps up and down."""
    level, east, north, last = levels[n], layout.east_m, layout.north_m, layout.n_aisles - 1
    ys = [0.0, *(layout.aisle_m(aisle) for aisle in range(layout.n_aisles))]
    is_top, is_ground = n == len(levels) - 1, n == 0
    made: list[Lane] = []

    def lane(name: str, line: tuple[Point, ...], *follows: str, ends_on: LevelId = level) -> None:
        ids = tuple(LaneId(f"{ends_on if other.endswith('-in') else level}-lane-{other}") for other in follows)
        made.append(
            Lane(
                id=LaneId(f"{level}-lane-{name}"), level=level, line_m=_rounded(line), width_m=LANE_M, one_way=True, follows=ids
            )
        )

    for aisle in range(layout.n_aisles):
        on = [f"west-{aisle + 1}"] if aisle < last else ([] if is_top else ["up"])
        lane(f"west-{aisle}", ((0.0, ys[aisle]), (0.0, ys[aisle + 1])), f"aisle-{aisle}", *on)
        lane(f"aisle-{aisle}", ((0.0, ys[aisle + 1]), (east, ys[aisle + 1])), f"east-{aisle}")
        down = [f"east-{aisle - 1}"] if aisle else ["south", "exit" if is_ground else "down"]
        lane(f"east-{aisle}", ((east, ys[aisle + 1]), (east, ys[aisle])), *down)
    lane("south", ((east, 0.0), (0.0, 0.0)), "west-0")
    if is_ground:
        lane("entry", ((0.0, _ROAD_Y + 2.0), (0.0, 0.0)), "west-0")
        lane("exit", ((east, 0.0), (east, _ROAD_Y + 2.0)))
    else:
        lane("up-in", ((0.0, north + 13.0), (-9.0, north + 13.0), (-9.0, 0.0), (0.0, 0.0)), "west-0")
        lane("down", ((east, 0.0), (east + 9.0, 0.0), (east + 9.0, 14.0)), "down-in", ends_on=levels[n - 1])
    if not is_top:
        lane("up", ((0.0, north), (0.0, north + 12.0)), "up-in", ends_on=levels[n + 1])
        lane("down-in", ((east + 9.0, 15.0), (east + 9.0, north + 9.0), (east, north + 9.0), (east, north)), f"east-{last}")
    return made


def gates(layout: Layout, level: LevelId) -> list[Portal]:
    """The entry and the exit, well inside what a camera beside them sees."""
    east = layout.east_m
    ends = (("entry", 0.0, "in"), ("exit", east, "out"))
    return [
        Portal(
            id=PortalId(name),
            level=level,
            role="boundary",
            direction="in" if direction == "in" else "out",
            line_m=_across(x, _GATE_Y),
        )
        for name, x, direction in ends
    ]


def camera(
    name: str, level: Level, position: tuple[float, float], height_m: float, target: Point, range_m: float = 45.0
) -> Camera:
    """A camera on a post or ceiling that looks at a point of its level's ground."""
    focal = round(FRAME_PX[0] / 2 / math.tan(math.radians(_HFOV_DEG) / 2), 3)
    where = (round(position[0], 3), round(position[1], 3), round(level.elevation_m + height_m, 3))
    return Camera(
        id=CameraId(name),
        level=level.id,
        frame_px=FRAME_PX,
        geometry=Pinhole(
            k=(focal, focal, FRAME_PX[0] / 2, FRAME_PX[1] / 2),
            distortion=_DISTORTION,
            position_m=where,
            rotation=look_at(where, (*target, level.elevation_m)),
        ),
        sigma_m=0.1,
        range_m=float(range_m),
        fps=10.0,
        clock="simulated",
    )


def _cameras(layout: Layout, levels: list[Level], n_cameras: int, overlap: float) -> list[Camera]:
    """Entry and exit first, then along the aisles of all levels, there and back, until the number is reached."""
    east, ground = layout.east_m, levels[0]
    if n_cameras == 1:
        back = max(16.0, 1.0 + 0.6 * east)  # far enough that its field of view spans both gates
        reach = math.ceil(max(45.0, math.hypot(east / 2, back - _GATE_Y + 7.0)))
        return [camera("gates", ground, (east / 2, back), 11.0, (east / 2, _GATE_Y + 4.0), range_m=reach)]
    made = [
        camera("entry", ground, (-6.0, 8.0), 5.5, (1.0, _GATE_Y)),
        camera("exit", ground, (east + 6.0, 8.0), 5.5, (east - 1.0, _GATE_Y)),
    ]
    step = _VIEW_M * max(1.0 - overlap, 0.25)
    posts = max(1, math.ceil((east + 4.0) / step))
    places = [
        (level, layout.aisle_m(aisle), turn, post)
        for turn in (1, -1)
        for post in range(posts)
        for level in levels
        for aisle in range(layout.n_aisles)
    ]
    for number, (level, y, turn, post) in enumerate(islice(cycle(places), n_cameras - 2)):
        height = 5.5 if level is levels[-1] else _STOREY_M - 0.3
        x = -7.0 + post * step if turn > 0 else east + 7.0 - post * step
        shift = 0.3 * (number // len(places))  # further rounds hang beside the first
        made.append(camera(f"view-{number + 1:03d}", level, (x, y + shift), height, (x + turn * 16.0, y)))
    return made


def _share(layout: Layout, levels: list[Level], n_stalls: int) -> list[Stall]:
    """Exactly this many stalls, as evenly as they go on the levels."""
    made: list[Stall] = []
    for n, level in enumerate(levels):
        made += stalls(layout, level.id)[: n_stalls // len(levels) + (n < n_stalls % len(levels))]
    return made


def _ramps(layout: Layout, levels: list[Level]) -> list[Portal]:
    east, north = layout.east_m, layout.north_m
    made: list[Portal] = []
    for below, above in pairwise(levels):
        for name, at, to, x, y in (
            ("up", below, above, 0.0, north + 11.5),
            ("down", above, below, east + 9.0, 13.5),
        ):
            portal = PortalId(f"{at.id}-portal-{name}")
            made.append(Portal(id=portal, level=at.id, role="level", direction="both", line_m=_across(x, y), to_level=to.id))
    return made


def _pillars(layout: Layout, levels: list[Level]) -> list[Obstacle]:
    """Pillars between back-to-back rows carry the level above."""
    made: list[Obstacle] = []
    for level in levels[:-1]:
        for aisle in range(layout.n_aisles):
            y = layout.aisle_m(aisle) + _HALF + layout.stall_depth_m
            for n in range(0, layout.n_per_row + 1, 4):
                x = 4.0 + n * layout.stall_width_m
                ring = _box(x - 0.15, y - 0.15, x + 0.15, y + 0.15)
                name = f"{level.id}-pillar-{aisle}-{n}"
                made.append(Obstacle(id=name, level=level.id, kind="pillar", outline_m=ring, height_m=_STOREY_M))
    return made


def _zone(level: LevelId, name: str, kind: ZoneKind, x1: float, y1: float, x2: float, y2: float) -> Zone:
    return Zone(id=ZoneId(f"{level}-{name}"), level=level, kind=kind, ring_m=_box(x1, y1, x2, y2))


def _box(x1: float, y1: float, x2: float, y2: float) -> Ring:
    return _rounded(((x1, y1), (x2, y1), (x2, y2), (x1, y2)))


def _across(x: float, y: float) -> tuple[Point, Point]:
    """A portal's line across a lane along y; driving up crosses it inwards."""
    start, end = _rounded(((x - _HALF, y), (x + _HALF, y)))
    return start, end


def _rounded(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """To 0.1 mm, as a loaded site is."""
    return tuple((round(x, 4), round(y, 4)) for x, y in points)


def _sorted(items: Iterable[_Named]) -> tuple[_Named, ...]:
    return tuple(sorted(items, key=lambda one: one.id))
