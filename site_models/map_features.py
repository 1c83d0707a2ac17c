"""``map.geojson``: each feature's properties by its ``kind``, and its geometry in the site frame. Both directions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from shapely import Polygon

from site_models.frame import FARTHEST_M, SiteFrame
from site_models.names import Name
from site_models.schema import (
    Landmark,
    LandmarkKind,
    Lane,
    Level,
    Obstacle,
    Point,
    Portal,
    PortalDirection,
    PortalRole,
    Ring,
    Site,
    Stall,
    Unreachable,
    Zone,
    ZoneKind,
)

_Metres = Annotated[float, Meta(ge=0, le=500)]
_Positive = Annotated[float, Meta(gt=0, le=500)]


class _Feature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    id: Name


class LevelFeature(_Feature, frozen=True, tag="level"):
    """Polygon: the outline of a level of site.toml."""


class ZoneFeature(_Feature, frozen=True, tag="zone"):
    """Polygon."""

    level: str
    zone_kind: ZoneKind


class StallFeature(_Feature, frozen=True, tag="stall"):
    """Polygon. Without ``heading_deg``, along its long side, nose away from the nearest lane."""

    level: str
    zone: str
    heading_deg: Annotated[float, Meta(ge=-360, le=360)] | None = None


class LaneFeature(_Feature, frozen=True, tag="lane"):
    """LineString in driving direction."""

    level: str
    width_m: _Positive
    one_way: bool = True
    follows: tuple[str, ...] = ()


class PortalFeature(_Feature, frozen=True, tag="portal"):
    """LineString of two points; crossing from its right to its left is "in"."""

    level: str
    role: PortalRole
    direction: PortalDirection
    to_level: str | None = None
    if_unreachable: Unreachable | None = None


class LandmarkFeature(_Feature, frozen=True, tag="landmark"):
    """Point."""

    level: str
    landmark_kind: LandmarkKind
    height_m: _Metres = 0.0
    label: str = ""


class WallFeature(_Feature, frozen=True, tag="wall"):
    """LineString."""

    level: str
    height_m: _Positive
    thickness_m: _Positive = 0.2


class PillarFeature(_Feature, frozen=True, tag="pillar"):
    """Polygon."""

    level: str
    height_m: _Positive


Properties = (
    LevelFeature | ZoneFeature | StallFeature | LaneFeature | PortalFeature | LandmarkFeature | WallFeature | PillarFeature
)
_SHAPE = {LandmarkFeature: "Point", LaneFeature: "LineString", PortalFeature: "LineString", WallFeature: "LineString"}
Mapped = Level | Zone | Stall | Lane | Portal | Landmark | Obstacle


def mapped(feature: Any, frame: SiteFrame) -> Mapped:
    """What one GeoJSON feature describes. A stall without a heading has NaN until lanes are known.

    Raises:
        ValueError: not a feature of this format; says what is wrong.
    """
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise ValueError("it is no GeoJSON Feature; features have type, properties and geometry")
    properties = msgspec.convert(feature.get("properties"), Properties)
    points = _points(feature.get("geometry"), _SHAPE.get(type(properties), "Polygon"), frame)
    return _made(properties, points)


def collection(site: Site, frame: SiteFrame) -> dict[str, Any]:
    """The FeatureCollection of a site; ``mapped`` reads it back."""
    features = [_feature(one, frame) for one in _all(site)]
    return {"type": "FeatureCollection", "features": features}


def _made(properties: Properties, points: tuple[Point, ...]) -> Mapped:
    given: Any = {name: getattr(properties, name) for name in properties.__struct_fields__}
    match properties:
        case LevelFeature():
            return Level(id=given["id"], ring_m=_ring(points))
        case ZoneFeature():
            return Zone(id=given["id"], level=given["level"], kind=properties.zone_kind, ring_m=_ring(points))
        case StallFeature():
            given["heading_deg"] = math.nan if properties.heading_deg is None else properties.heading_deg
            return Stall(**given, ring_m=_ring(points))
        case LaneFeature():
            return Lane(**given, line_m=_line(points))
        case PortalFeature():
            line = _line(points)
            if len(line) != 2:
                raise ValueError(f"a portal is a line of 2 points, this has {len(line)}; split it, or drop the inner ones")
            return Portal(**given, line_m=(line[0], line[1]))
        case LandmarkFeature():
            del given["landmark_kind"]
            return Landmark(**given, kind=properties.landmark_kind, point_m=points[0])
        case WallFeature():
            return Obstacle(**given, kind="wall", outline_m=_line(points))
        case PillarFeature():
            return Obstacle(**given, kind="pillar", outline_m=_ring(points))


def _points(geometry: Any, shape: str, frame: SiteFrame) -> tuple[Point, ...]:
    if not isinstance(geometry, dict) or geometry.get("type") != shape:
        found = geometry.get("type") if isinstance(geometry, dict) else geometry
        raise ValueError(f"its geometry is {found}, this kind is a {shape}; draw it as one")
    coordinates = geometry.get("coordinates")
    if shape == "Point":
        coordinates = [coordinates]
    elif shape == "Polygon":
        if not isinstance(coordinates, list) or len(coordinates) != 1:
            raise ValueError("a polygon here has exactly one ring, without holes; cut it into several")
        coordinates = coordinates[0]
    pairs = msgspec.convert(coordinates, list[list[float]])
    return tuple(_point(pair, frame) for pair in pairs)


def _point(pair: list[float], frame: SiteFrame) -> Point:
    if len(pair) not in (2, 3) or not all(math.isfinite(one) for one in pair):
        raise ValueError(f"coordinate {pair} is not [longitude, latitude]; give both in degrees")
    longitude, latitude = pair[:2]
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError(f"coordinate {pair} is outside WGS 84; the order is [longitude, latitude]")
    point = frame.to_m(longitude, latitude)
    if math.hypot(*point) > FARTHEST_M:
        raise ValueError(f"coordinate {pair} is {math.hypot(*point) / 1000:.0f} km from the datum; is longitude first?")
    return point


def _ring(points: tuple[Point, ...]) -> Ring:
    """Counter-clockwise, the first point not repeated."""
    if len(points) < 4 or points[0] != points[-1]:
        raise ValueError(f"a ring ends where it starts and has at least 4 points, this has {len(points)}")
    ring = points[:-1]
    outline = Polygon(ring)
    if not outline.is_valid or outline.area < 1e-3:
        raise ValueError("the outline crosses itself or has no area; redraw it")
    return ring if outline.exterior.is_ccw else ring[::-1]


def _line(points: tuple[Point, ...]) -> tuple[Point, ...]:
    if len(points) < 2 or any(math.dist(a, b) < 0.01 for a, b in pairwise(points)):
        raise ValueError("a line has at least two points, and none twice in a row; it has no length")
    return points


def _all(site: Site) -> Iterable[Mapped]:
    yield from (level for level in site.levels if level.ring_m)
    for group in (site.zones, site.stalls, site.lanes, site.portals, site.landmarks, site.obstacles):
        yield from group


def _feature(one: Mapped, frame: SiteFrame) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(one, name) for name in one.__struct_fields__}
    match one:
        case Level():
            shape, points, kind = "Polygon", fields.pop("ring_m"), "level"
            del fields["elevation_m"]
        case Zone():
            shape, points, kind = "Polygon", fields.pop("ring_m"), "zone"
            fields["zone_kind"] = fields.pop("kind")
        case Stall():
            shape, points, kind = "Polygon", fields.pop("ring_m"), "stall"
        case Lane():
            shape, points, kind = "LineString", fields.pop("line_m"), "lane"
        case Portal():
            shape, points, kind = "LineString", fields.pop("line_m"), "portal"
        case Landmark():
            shape, points, kind = "Point", (fields.pop("point_m"),), "landmark"
            fields["landmark_kind"] = fields.pop("kind")
        case Obstacle():
            shape, points, kind = (
                ("LineString" if one.kind == "wall" else "Polygon"),
                fields.pop("outline_m"),
                fields.pop("kind"),
            )
            if kind == "pillar":
                del fields["thickness_m"]
    coordinates: Any = [list(frame.to_wgs84(point)) for point in points]
    if shape == "Polygon":
        coordinates = [[*coordinates, coordinates[0]]]
    geometry = {"type": shape, "coordinates": coordinates[0] if shape == "Point" else coordinates}
    given = {name: value for name, value in fields.items() if value is not None}
    return {"type": "Feature", "properties": {"kind": kind, **given}, "geometry": geometry}
