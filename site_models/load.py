"""A folder to a ``Site``, and back. Reports every fault at once, with its file and feature."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from site_models.camera_entries import CameraEntry, camera_of
from site_models.check import check
from site_models.faults import Faults
from site_models.frame import SiteFrame
from site_models.gate_entries import GatesEntry, gate_terms
from site_models.map_features import mapped
from site_models.names import Name
from site_models.schema import (
    Camera,
    Datum,
    Landmark,
    Lane,
    Level,
    LevelId,
    Obstacle,
    Portal,
    Ring,
    Site,
    SiteId,
    Stall,
    Zone,
)
from site_models.tariff_entries import TariffEntry, tariffs_of
from twin.errors import NotFound, SiteFault

PACKAGED = Path(__file__).parent / "sites"
_MAX_BYTES = 50_000_000
_LARGEST = 1e12  # far beyond any pixel or metre; squares of it do not overflow
_DEEPEST = 8  # tables and arrays within each other; the format has 4


class _LevelEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Name
    elevation_m: float = 0.0


class _DatumEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    latitude: Annotated[float, Meta(ge=-85, le=85)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    bearing_deg: Annotated[float, Meta(ge=-360, le=360)] = 0.0


class _SiteFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal["twin.site/1"]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
    datum: _DatumEntry
    levels: Annotated[tuple[_LevelEntry, ...], Meta(min_length=1)]
    tariffs: tuple[TariffEntry, ...] = ()
    gates: GatesEntry = GatesEntry()


class _CamerasFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Literal["twin.cameras/1"]
    cameras: tuple[Any, ...] = ()


def resolve(name_or_path: str) -> Path:
    """The folder of a site: a path, or the name of a packaged site.

    Raises:
        NotFound: neither; names the packaged ones.
    """
    path = Path(name_or_path)
    if path.is_dir():
        return path
    if (packaged := PACKAGED / name_or_path).is_dir() and path.name == name_or_path:
        return packaged
    known = ", ".join(sorted(folder.name for folder in PACKAGED.iterdir() if folder.is_dir()))
    raise NotFound(f"'{name_or_path}' is neither a folder nor a packaged site; packaged are {known}")


def load_site(folder: Path) -> Site:
    """Load a site.

    Raises:
        SiteFault: the site has faults; all of them are listed.
    """
    site, faults = check_site(folder)
    if site is None or faults:
        raise SiteFault(folder.name if site is None else site.name, faults)
    return site


def check_site(folder: Path) -> tuple[Site | None, tuple[str, ...]]:
    """The site as far as it can be read, and every fault; None when site.toml cannot be read."""
    faults = Faults()
    head = _site_file(folder, faults)
    cameras = _cameras(folder, faults)
    if head is None:
        _collection(folder, faults)
        return None, tuple(faults.lines)
    datum = Datum(latitude=head.datum.latitude, longitude=head.datum.longitude, bearing_deg=head.datum.bearing_deg)
    features = _features(folder, SiteFrame(datum), faults)
    site = _assembled(head, datum, cameras, features, faults)
    check(site, faults)
    return site, tuple(faults.lines)


def _read(folder: Path, name: str, faults: Faults) -> str | None:
    try:
        if (folder / name).stat().st_size > _MAX_BYTES:
            faults.add(name, f"is larger than {_MAX_BYTES} bytes; a site this large is several sites")
            return None
        return (folder / name).read_text(encoding="utf-8")
    except OSError as wrong:
        faults.add(name, f"cannot be read: {wrong.strerror}; a site has site.toml, cameras.toml and map.geojson")
    except UnicodeDecodeError as wrong:
        faults.add(name, f"is not UTF-8 at byte {wrong.start}; save it as UTF-8")
    return None


def _toml(folder: Path, name: str, faults: Faults) -> dict[str, Any] | None:
    text = _read(folder, name, faults)
    if text is None:
        return None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:  # ValueError: also an integer of more digits than Python reads
        faults.add(name, f"is not TOML: {wrong}; correct it there")
    return None


def _site_file(folder: Path, faults: Faults) -> _SiteFile | None:
    given = _toml(folder, "site.toml", faults)
    if given is not None:
        with faults.gathered("site.toml"):
            return msgspec.convert(_finite(given), _SiteFile)
    return None


def _cameras(folder: Path, faults: Faults) -> list[Camera]:
    given, cameras = _toml(folder, "cameras.toml", faults), list[Camera]()
    if given is None:
        return cameras
    with faults.gathered("cameras.toml"):
        for number, entry in enumerate(msgspec.convert(given, _CamerasFile).cameras, start=1):
            name = entry.get("id", f"number {number}") if isinstance(entry, dict) else f"number {number}"
            with faults.gathered(f"cameras.toml: camera '{name}'"):
                cameras.append(camera_of(msgspec.convert(_finite(entry), CameraEntry)))
    return cameras


def _collection(folder: Path, faults: Faults) -> list[Any]:
    text = _read(folder, "map.geojson", faults)
    if text is None:
        return []
    try:
        given = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as wrong:
        faults.add("map.geojson", f"is not JSON: {wrong}; correct it there")
        return []
    if not isinstance(given, dict) or given.get("type") != "FeatureCollection" or not isinstance(given.get("features"), list):
        faults.add("map.geojson", "is no GeoJSON FeatureCollection; put the features into one")
        return []
    return given["features"]


def _features(folder: Path, frame: SiteFrame, faults: Faults) -> list[Any]:
    found: list[Any] = []
    for number, feature in enumerate(_collection(folder, faults), start=1):
        properties = feature.get("properties") if isinstance(feature, dict) else None
        name = properties.get("id", f"number {number}") if isinstance(properties, dict) else f"number {number}"
        with faults.gathered(f"map.geojson: feature '{name}'"):
            found.append(mapped(feature, frame))
    return found


def _assembled(head: _SiteFile, datum: Datum, cameras: list[Camera], features: list[Any], faults: Faults) -> Site:
    outlines: dict[LevelId, Ring] = {}
    for one in (one for one in features if isinstance(one, Level)):
        if one.id in outlines:
            faults.add(f"map.geojson: feature '{one.id}'", "outlines its level a second time; keep one of them")
        outlines[one.id] = one.ring_m
    levels = [_level(one, outlines) for one in head.levels]
    for name in outlines:
        faults.add(f"map.geojson: feature '{name}'", "outlines a level that site.toml does not have; add it there")

    def of(kind: type) -> tuple[Any, ...]:
        return tuple(sorted((one for one in features if isinstance(one, kind)), key=lambda one: one.id))

    lanes: tuple[Lane, ...] = of(Lane)
    return Site(
        name=SiteId(head.name),
        datum=datum,
        levels=tuple(sorted(levels, key=lambda one: one.id)),
        zones=of(Zone),
        stalls=tuple(_headed(stall, lanes) for stall in of(Stall)),
        lanes=lanes,
        portals=of(Portal),
        landmarks=of(Landmark),
        obstacles=of(Obstacle),
        cameras=tuple(sorted(cameras, key=lambda one: one.id)),
        tariffs=tariffs_of(head.tariffs, faults),
        gates=gate_terms(head.gates),
    )


def _level(entry: _LevelEntry, outlines: dict[LevelId, Ring]) -> Level:
    name = LevelId(entry.id)
    return Level(id=name, elevation_m=entry.elevation_m, ring_m=outlines.pop(name, ()))


def _headed(stall: Stall, lanes: tuple[Lane, ...]) -> Stall:
    """A stall with a heading: where none is given, along its long side, nose away from the nearest lane."""
    if not math.isnan(stall.heading_deg):
        return stall
    ring = stall.ring_m
    ends = [(a, b) for a, b in zip(ring, (*ring[1:], ring[0]), strict=True)]
    (ax, ay), (bx, by) = max(ends, key=lambda pair: math.dist(*pair))
    x, y = sum(p[0] for p in ring) / len(ring), sum(p[1] for p in ring) / len(ring)
    points = [point for lane in lanes if lane.level == stall.level for point in _along(lane)]
    near = min(points, key=lambda point: math.dist(point, (x, y)), default=(x, y))
    dx, dy = bx - ax, by - ay
    if dx * (x - near[0]) + dy * (y - near[1]) < 0:
        dx, dy = -dx, -dy
    return replace(stall, heading_deg=round(math.degrees(math.atan2(dy, dx)), 3))


def _along(lane: Lane) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for (ax, ay), (bx, by) in zip(lane.line_m, lane.line_m[1:], strict=False):
        n = max(1, round(math.dist((ax, ay), (bx, by))))
        points += [(ax + (bx - ax) * k / n, ay + (by - ay) * k / n) for k in range(n + 1)]
    return points


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(value: Any, depth: int = 0) -> Any:
    """Refuse what TOML can say and msgspec's bounds let pass: nan, inf, absurd numbers, and endless nesting."""
    if depth > _DEEPEST:
        raise ValueError(f"tables are nested more than {_DEEPEST} deep; this format has no such key, take it out")
    if isinstance(value, float) and not abs(value) <= _LARGEST:
        raise ValueError(f"{value:g} is not a number that can be measured; give one within ±{_LARGEST:g}")
    if isinstance(value, dict):
        return {key: _finite(item, depth + 1) for key, item in value.items()}
    return [_finite(item, depth + 1) for item in value] if isinstance(value, list) else value
