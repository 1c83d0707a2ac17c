"""Which cameras look at which pieces of ground, from their footprints as configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import shapely
from msgspec import Struct
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.validation import make_valid

from site_models.schema import CameraId, LevelId, Ring, Site, Stall, StallId, Zone, ZoneId
from twin.spatial.camera import GroundCamera

Piece = frozenset[CameraId]
"""The cameras that see one piece of a zone, never empty."""

PIECE_M2 = 1.5  # less ground than any vehicle covers; smaller overlaps are rounding of footprints


class Coverage(Struct, frozen=True):
    """What the cameras of a site look at.

    Attributes:
        seen: zones and then stalls that a camera sees in part, by camera.
        pieces_by_zone: which sets of cameras cover pieces of a zone.
    """

    seen: dict[CameraId, list[tuple[str, ZoneId | StallId]]]
    pieces_by_zone: dict[ZoneId, tuple[Piece, ...]]


@lru_cache(maxsize=8)  # a service makes several graphs of its sites
def coverage(site: Site) -> Coverage:
    """What each camera looks at; not to be changed."""
    views = footprints(site)
    level_by_camera = {camera.id: camera.level for camera in site.cameras}
    grounds = {level.id: _grounds(site, level.id) for level in site.levels}
    looks = dict[CameraId, list[tuple[str, ZoneId | StallId]]]()
    for camera, view in views.items():
        names, rings = grounds[level_by_camera[camera]]
        looks[camera] = [name for name, is_seen in zip(names, seen(view, rings), strict=True) if is_seen]
    return Coverage(looks, {zone.id: pieces(zone, views, level_by_camera) for zone in site.zones})


@lru_cache(maxsize=8)
def pieces_by_stall(site: Site) -> dict[StallId, tuple[Piece, ...]]:
    """Which sets of cameras cover pieces of each stall, as ``Coverage.pieces_by_zone``; not to be changed."""
    views = footprints(site)
    level_by_camera = {camera.id: camera.level for camera in site.cameras}
    return {stall.id: pieces(stall, views, level_by_camera) for stall in site.stalls}


def polygons(rings: Sequence[Ring]) -> NDArray[np.object_]:
    """(N,) rings as polygons, made together: one by one most of the time goes into calls."""
    corners = np.array([corner for ring in rings for corner in ring], dtype=np.float64).reshape(-1, 2)
    of_ring = np.array([n for n, ring in enumerate(rings) for _ in ring], dtype=np.intp)
    found = np.empty(len(rings), dtype=object)
    found[:] = shapely.polygons(shapely.linearrings(corners, indices=of_ring))
    return found


def footprints(site: Site) -> dict[CameraId, BaseGeometry]:
    """The ground each camera sees on its level, metres; a camera that sees none is left out."""
    level_by_id = {level.id: level for level in site.levels}
    views: dict[CameraId, BaseGeometry] = {}
    for camera in site.cameras:
        ring = GroundCamera.of(camera, level_by_id[camera.level]).footprint_m()
        if len(ring) >= 3:
            views[camera.id] = make_valid(Polygon(ring))
    return views


def seen(view: BaseGeometry, grounds: NDArray[np.object_]) -> list[bool]:
    """Of each area, whether a footprint covers enough of it to hold a vehicle. One that is covered wholly needs no overlay."""
    found = shapely.covers(view, grounds)
    found[found] = shapely.area(grounds[found]) >= PIECE_M2
    cut = ~found & shapely.intersects(view, grounds)
    found[cut] = shapely.area(shapely.intersection(view, grounds[cut])) >= PIECE_M2
    return found.tolist()


def pieces(
    zone: Zone | Stall, views: Mapping[CameraId, BaseGeometry], level_by_camera: Mapping[CameraId, LevelId]
) -> tuple[Piece, ...]:
    """Cut a zone or stall by the footprints of its level; the distinct camera sets of pieces that could hold a vehicle."""
    ring = Polygon(zone.ring_m)
    if ring.area < PIECE_M2:
        return ()
    names = [camera for camera in sorted(views) if level_by_camera[camera] == zone.level]
    is_near = shapely.intersects(ring, np.array([views[name] for name in names], dtype=object))
    owners, grounds = [Piece()], np.array([ring], dtype=object)
    for camera in (name for name, near in zip(names, is_near.tolist(), strict=True) if near):
        owners, grounds = _cut(owners, grounds, camera, views[camera])
    found = {cameras for cameras in owners if cameras}
    return tuple(sorted(found, key=sorted))


def _cut(
    owners: list[Piece], grounds: NDArray[np.object_], camera: CameraId, view: BaseGeometry
) -> tuple[list[Piece], NDArray[np.object_]]:
    """Pieces of ground and who sees them, cut by one more footprint. What it covers wholly needs no overlay."""
    is_covered = shapely.covers(view, grounds)
    is_cut = ~is_covered & shapely.intersects(view, grounds)
    whole = [cameras | {camera} if mine else cameras for cameras, mine in zip(owners, is_covered.tolist(), strict=True)]
    cut = [cameras for cameras, both in zip(owners, is_cut.tolist(), strict=True) if both]
    parts = np.concatenate((shapely.intersection(grounds[is_cut], view), shapely.difference(grounds[is_cut], view)))
    kept = [*(cameras for cameras, both in zip(whole, is_cut.tolist(), strict=True) if not both)]
    is_large = shapely.area(parts) >= PIECE_M2
    shares = [cameras | {camera} for cameras in cut] + cut
    kept += [cameras for cameras, large in zip(shares, is_large.tolist(), strict=True) if large]
    return kept, np.concatenate((grounds[~is_cut], parts[is_large]))


def _grounds(site: Site, level: LevelId) -> tuple[list[tuple[str, ZoneId | StallId]], NDArray[np.object_]]:
    """Zones, then stalls of a level, and their polygons."""
    zones = [("zone", zone.id, zone.ring_m) for zone in site.zones if zone.level == level]
    stalls = [("stall", stall.id, stall.ring_m) for stall in site.stalls if stall.level == level]
    members = [*zones, *stalls]
    return [(kind, name) for kind, name, _ in members], polygons([ring for _, _, ring in members])
