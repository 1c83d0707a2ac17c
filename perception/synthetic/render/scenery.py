"""A site as a scene: its ground, markings, kerbs, walls, pillars, signs and landmarks, where the map has them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from perception.synthetic.render.materials import Colour, Material, colour
from perception.synthetic.render.mesh import Mesh, MeshBuilder
from perception.synthetic.render.surroundings import add_surroundings, sky
from site_models.schema import Landmark, Level, Obstacle, Portal, Site, Stall

_LINE_M, _LINE_UP_M = 0.12, 0.012
_KERB_M, _KERB_UP_M = 0.16, 0.12
_SLAB_M = 0.25
_LAMP_HEAD_M = 0.35

_ASPHALT = colour((0.125, 0.124, 0.120), Material.ASPHALT)
_LINE = colour((0.72, 0.72, 0.69), Material.MARKING)
_YELLOW = colour((0.70, 0.50, 0.06), Material.MARKING)
_KERB = colour((0.34, 0.34, 0.33), Material.CONCRETE)
_SLAB = colour((0.30, 0.30, 0.29), Material.CONCRETE)
_PILLAR = colour((0.42, 0.42, 0.40), Material.CONCRETE)
_POST = colour((0.20, 0.20, 0.21), Material.METAL)
_SIGN_BLUE, _SIGN_RED = colour((0.02, 0.10, 0.42), Material.SIGN), colour((0.45, 0.03, 0.03), Material.SIGN)
_WHITE, _GREY = colour((0.8, 0.8, 0.8), Material.SIGN), colour((0.35, 0.36, 0.37), Material.METAL)
_BARRIER_RED = colour((0.55, 0.03, 0.03))
_YELLOW_PAINT = colour((0.60, 0.42, 0.04))
_GLOW = colour((0.9, 0.88, 0.8), Material.LAMP)


class Scenery(NamedTuple):
    """What does not move.

    Attributes:
        ground: flat, casts no shadow.
        markings: on the ground.
        solid: everything that stands.
        sky: around everything.
        lamps_m: where light comes from when lamps are on.
        extent_m: min x, min y, max x, max y of the mapped site.
    """

    ground: Mesh
    markings: Mesh
    solid: Mesh
    sky: Mesh
    lamps_m: tuple[tuple[float, float, float], ...]
    extent_m: tuple[float, float, float, float]


def scenery(site: Site, rng: np.random.Generator, *, are_barriers_up: bool = True) -> Scenery:
    """The site's scene; the random part is only what the map does not say: buildings and trees beyond it, colours."""
    extent = _extent(site)
    ground, markings, solid = MeshBuilder(), MeshBuilder(), MeshBuilder()
    lamps = list[tuple[float, float, float]]()
    for level in site.levels:
        _floor(ground, solid, site, level)
        up = level.elevation_m
        for stall in (one for one in site.stalls if one.level == level.id):
            _stall(markings, stall, up)
        for obstacle in (one for one in site.obstacles if one.level == level.id):
            _obstacle(solid, obstacle, up, rng)
        for portal in (one for one in site.portals if one.level == level.id and one.role == "boundary"):
            _barrier(solid, markings, portal, up, is_up=are_barriers_up)
        for landmark in (one for one in site.landmarks if one.level == level.id):
            lamps += _landmark(solid, markings, landmark, site, up)
        if level.elevation_m < 0 or _is_roofed(site, level):
            lamps += _ceiling_lamps(solid, site, level)
    if len(site.levels) == 1:
        _kerbs(solid, site)
    add_surroundings(ground, solid, extent, rng, _used(site))
    return Scenery(ground.build(), markings.build(), solid.build(), sky(extent), tuple(lamps), extent)


def _extent(site: Site) -> tuple[float, float, float, float]:
    rings = [zone.ring_m for zone in site.zones] + [stall.ring_m for stall in site.stalls]
    points = np.array([point for ring in rings for point in ring] or [(-20.0, -20.0), (20.0, 20.0)])
    (min_x, min_y), (max_x, max_y) = points.min(axis=0), points.max(axis=0)
    return float(min_x), float(min_y), float(max_x), float(max_y)


def _used(site: Site) -> BaseGeometry:
    """The ground that vehicles may be on, and what stands."""
    parts: list[BaseGeometry] = [Polygon(zone.ring_m) for zone in site.zones]
    parts += [shapely.LineString(lane.line_m).buffer(lane.width_m / 2) for lane in site.lanes]
    parts += [shapely.LineString(one.outline_m).convex_hull.buffer(0.5) for one in site.obstacles]
    return shapely.union_all(parts) if parts else Polygon()


def _floor(ground: MeshBuilder, solid: MeshBuilder, site: Site, level: Level) -> None:
    rings = [zone.ring_m for zone in site.zones if zone.level == level.id]
    if level.elevation_m == 0.0:
        return  # the surroundings' ground is its floor
    floor = (
        Polygon(level.ring_m)
        if level.ring_m
        else shapely.union_all([Polygon(ring) for ring in rings]).buffer(1.0, join_style="mitre")
    )
    for part in _polygons(floor):
        ring = list(part.exterior.coords)[:-1]
        ground.polygon(ring, level.elevation_m, _ASPHALT)
        solid.polygon(ring, level.elevation_m - _SLAB_M, _SLAB)
        for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
            normal = np.array([y1 - y0, x0 - x1, 0.0]) / max(math.hypot(x1 - x0, y1 - y0), 1e-9)
            top, bottom = level.elevation_m, level.elevation_m - _SLAB_M
            solid.quad([(x0, y0, bottom), (x1, y1, bottom), (x1, y1, top), (x0, y0, top)], normal, _SLAB)


def _is_roofed(site: Site, level: Level) -> bool:
    return any(other.elevation_m > level.elevation_m for other in site.levels)


def _ceiling_lamps(solid: MeshBuilder, site: Site, level: Level) -> list[tuple[float, float, float]]:
    min_x, min_y, max_x, max_y = _extent(site)
    above = [other.elevation_m for other in site.levels if other.elevation_m > level.elevation_m]
    z = (min(above) if above else level.elevation_m + 3.0) - _SLAB_M - 0.1
    lamps = list[tuple[float, float, float]]()
    for x in np.arange(min_x + 5.0, max_x, 12.0):
        for y in np.arange(min_y + 5.0, max_y, 12.0):
            solid.box((x, y, z), (0.6, 0.08, 0.04), _GLOW)
            lamps.append((float(x), float(y), float(z - 0.1)))
    return lamps


def _stall(markings: MeshBuilder, stall: Stall, up: float) -> None:
    """Lines along every edge but the one that vehicles drive over."""
    heading = math.radians(stall.heading_deg)
    nose = np.array([math.cos(heading), math.sin(heading)])
    points = np.array(stall.ring_m)
    middle = points.mean(axis=0)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if ((start + end) / 2 - middle) @ nose > -0.35 * np.ptp(points @ nose):
            _line(markings, start, end, up, _LINE)


def _line(builder: MeshBuilder, start: np.ndarray, end: np.ndarray, up: float, paint: Colour, width: float = _LINE_M) -> None:
    along = np.asarray(end, float) - start
    length = float(np.hypot(*along))
    if length < 1e-6:
        return
    aside = np.array([-along[1], along[0]]) / length * width / 2
    corners = [start - aside, end - aside, end + aside, start + aside]
    builder.quad([(x, y, up + _LINE_UP_M) for x, y in corners], (0, 0, 1), paint)


def _obstacle(solid: MeshBuilder, one: Obstacle, up: float, rng: np.random.Generator) -> None:
    if one.kind == "pillar":
        _prism(solid, one.outline_m, up, up + one.height_m, _PILLAR)
        low = [(x * 1.002, y * 1.002) for x, y in one.outline_m]
        _prism(solid, low, up + 0.4, up + 1.0, _YELLOW_PAINT)
        return
    wall = colour(
        np.array([1.0, 0.93, 0.85]) * rng.uniform(0.25, 0.5), Material.FACADE if one.height_m > 4.5 else Material.CONCRETE
    )
    is_closed = one.outline_m[0] == one.outline_m[-1] and len(one.outline_m) > 3
    for start, end in pairwise(one.outline_m):
        strip = shapely.LineString([start, end]).buffer(one.thickness_m / 2, cap_style="square")
        _prism(solid, list(strip.exterior.coords)[:-1], up, up + one.height_m, wall)
    if is_closed:
        roof = shapely.Polygon(one.outline_m)
        solid.polygon(list(roof.exterior.coords)[:-1], up + one.height_m - 0.3, colour((0.22, 0.22, 0.23), Material.CONCRETE))


def _prism(solid: MeshBuilder, ring: Iterable[tuple[float, ...]], bottom: float, top: float, paint: Colour) -> None:
    points = [(float(point[0]), float(point[1])) for point in ring]
    if Polygon(points).exterior.is_ccw is False:
        points.reverse()
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        normal = np.array([y1 - y0, x0 - x1, 0.0]) / max(math.hypot(x1 - x0, y1 - y0), 1e-9)
        solid.quad([(x0, y0, bottom), (x1, y1, bottom), (x1, y1, top), (x0, y0, top)], normal, paint)
    solid.polygon(points, top, paint)


def _barrier(solid: MeshBuilder, markings: MeshBuilder, portal: Portal, up: float, *, is_up: bool) -> None:
    """A gate's post with its arm, a ticket pillar, and a stop line across the lane."""
    start, end = np.array(portal.line_m[0]), np.array(portal.line_m[1])
    along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
    post = start - 0.35 * along
    _line(markings, start, end, up, _LINE, 0.3)
    solid.box((*post, up + 0.55), (0.16, 0.16, 0.55), _YELLOW_PAINT, math.atan2(along[1], along[0]))
    arm_m = min(float(np.hypot(*(end - start))), 4.0)
    lean = along * (0.15 if is_up else 1.0)
    rise = 0.98 if is_up else 0.0
    steps = np.linspace(0.0, arm_m, 9)
    for k, (near, far) in enumerate(pairwise(steps)):
        a, b = (np.array([*(post + lean * s), up + 1.0 + rise * s]) for s in (near, far))
        solid.tube(a, b, 0.05, _BARRIER_RED if k % 2 else _WHITE)


def _landmark(
    solid: MeshBuilder, markings: MeshBuilder, one: Landmark, site: Site, up: float
) -> list[tuple[float, float, float]]:
    """Draws a landmark; returns the lamps it holds."""
    x, y = one.point_m
    if one.kind == "lamp":
        top = up + max(one.height_m, 2.0)
        solid.tube((x, y, up), (x, y, top), 0.07, _POST, 8)
        solid.box((x, y, up + 0.25), (0.16, 0.16, 0.25), _PILLAR)
        middle = np.array(_extent(site)).reshape(2, 2).mean(axis=0)
        reach = (middle - (x, y)) / max(float(np.hypot(*(middle - (x, y)))), 1e-9) * 0.9
        solid.tube((x, y, top), (x + reach[0], y + reach[1], top + 0.1), 0.05, _POST)
        head = (x + reach[0], y + reach[1], top + 0.05)
        solid.box(head, (_LAMP_HEAD_M, 0.14, 0.05), _POST, math.atan2(reach[1], reach[0]))
        solid.box((head[0], head[1], top - 0.01), (_LAMP_HEAD_M * 0.85, 0.11, 0.015), _GLOW, math.atan2(reach[1], reach[0]))
        return [(float(head[0]), float(head[1]), float(top - 0.15))]
    if one.kind == "sign":
        _sign(solid, one, site, up)
    elif one.kind == "arrow":
        _arrow(markings, one, site, up)
    elif one.kind == "marking":
        markings.quad(
            [(x + a, y + b, up + _LINE_UP_M) for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))], (0, 0, 1), _LINE
        )
    else:
        height = max(one.height_m, 0.6)
        solid.tube((x, y, up), (x, y, up + height), 0.08, _YELLOW_PAINT, 8)
        solid.tube((x, y, up + 0.6 * height), (x, y, up + 0.8 * height), 0.085, _BARRIER_RED, 8)
    return []


def _sign(solid: MeshBuilder, one: Landmark, site: Site, up: float) -> None:
    """A board on a post, across the nearest lane, with the label's length drawn as a white band."""
    x, y = one.point_m
    turn = _lane_direction(site, one) + math.pi / 2
    top, half = up + max(one.height_m, 1.5), min(0.35 + 0.06 * len(one.label), 1.2)
    solid.tube((x, y, up), (x, y, top), 0.045, _GREY, 8)
    board = _SIGN_RED if "exit" in one.label.lower() else _SIGN_BLUE
    solid.box((x, y, top - 0.35), (half, 0.03, 0.35), board, turn)
    ahead = np.array([math.cos(turn + math.pi / 2), math.sin(turn + math.pi / 2)]) * 0.035
    for side in (-1.0, 1.0):
        solid.box((x + side * ahead[0], y + side * ahead[1], top - 0.35), (half * 0.75, 0.004, 0.09), _WHITE, turn)


def _arrow(markings: MeshBuilder, one: Landmark, site: Site, up: float) -> None:
    turn = _lane_direction(site, one)
    cos, sin = math.cos(turn), math.sin(turn)
    shaft, head = [(-1.4, -0.12), (0.4, -0.12), (0.4, 0.12), (-1.4, 0.12)], [(0.4, -0.42), (1.4, 0.0), (0.4, 0.42)]

    def placed(points: list[tuple[float, float]]) -> list[tuple[float, float, float]]:
        return [(one.point_m[0] + a * cos - b * sin, one.point_m[1] + a * sin + b * cos, up + _LINE_UP_M) for a, b in points]

    markings.quad(placed(shaft), (0, 0, 1), _LINE)
    markings.add(placed(head), (0, 0, 1), _LINE, [[0, 1, 2]])


def _lane_direction(site: Site, one: Landmark) -> float:
    """Radians; of the nearest lane at the landmark, 0 where the site has none."""
    point = shapely.Point(one.point_m)
    lanes = [shapely.LineString(lane.line_m) for lane in site.lanes if lane.level == one.level]
    if not lanes:
        return 0.0
    lane = min(lanes, key=point.distance)
    at = lane.project(point)
    a, b = lane.interpolate(max(at - 0.5, 0.0)), lane.interpolate(min(at + 0.5, lane.length))
    return math.atan2(b.y - a.y, b.x - a.x)


def _kerbs(solid: MeshBuilder, site: Site) -> None:
    """Around the paved area, where no vehicle passes."""
    paved = _used(site).buffer(0.4, join_style="mitre")
    openings = shapely.union_all(
        [shapely.LineString(lane.line_m).buffer(lane.width_m / 2 + 1.0, cap_style="square") for lane in site.lanes]
        + [Polygon(zone.ring_m).buffer(2.0) for zone in site.zones if zone.kind == "road"]
        + [Polygon()]
    )
    for part in _polygons(paved):
        for ring in (part.exterior, *part.interiors):
            edge = shapely.difference(shapely.LineString(ring.coords), openings)
            for piece in shapely.get_parts(edge):
                points = np.array(piece.coords)
                for start, end in pairwise(points):
                    along = end - start
                    length = float(np.hypot(*along))
                    if length > 0.3:
                        centre = (*((start + end) / 2), _KERB_UP_M / 2)
                        solid.box(centre, (length / 2, _KERB_M / 2, _KERB_UP_M / 2), _KERB, math.atan2(along[1], along[0]))


def _polygons(shape: BaseGeometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(shape) if isinstance(part, Polygon) and not part.is_empty]
