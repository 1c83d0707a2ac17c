"""Which cameras look at which pieces of ground, from their footprints as configured."""

from __future__ import annotations

from collections.abc import Mapping

from shapely import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.validation import make_valid

from site_models.schema import CameraId, Site, Zone
from twin.spatial.camera import GroundCamera

Piece = frozenset[CameraId]
"""The cameras that see one piece of a zone, never empty."""

PIECE_M2 = 1.5  # less ground than any vehicle covers; smaller overlaps are rounding of footprints


def footprints(site: Site) -> dict[CameraId, BaseGeometry]:
    """The ground each camera sees on its level, metres; a camera that sees none is left out."""
    level_by_id = {level.id: level for level in site.levels}
    views: dict[CameraId, BaseGeometry] = {}
    for camera in site.cameras:
        ring = GroundCamera.of(camera, level_by_id[camera.level]).footprint_m()
        if len(ring) >= 3:
            views[camera.id] = make_valid(Polygon(ring))
    return views


def sees(view: BaseGeometry, area: Polygon) -> bool:
    """Whether a footprint covers enough of an area to hold a vehicle."""
    return view.intersects(area) and view.intersection(area).area >= PIECE_M2


def pieces(zone: Zone, views: Mapping[CameraId, BaseGeometry], level_by_camera: Mapping[CameraId, str]) -> tuple[Piece, ...]:
    """Cut a zone by the footprints of its level; the distinct camera sets of pieces that could hold a vehicle."""
    cells: list[tuple[Piece, BaseGeometry]] = [(frozenset(), Polygon(zone.ring_m))]
    for camera in sorted(views):
        if level_by_camera[camera] == zone.level:
            cells = [part for cell in cells for part in _cut(cell, camera, views[camera])]
    found = {cameras for cameras, _ in cells if cameras}
    return tuple(sorted(found, key=sorted))


def _cut(cell: tuple[Piece, BaseGeometry], camera: CameraId, view: BaseGeometry) -> list[tuple[Piece, BaseGeometry]]:
    cameras, ground = cell
    if not ground.intersects(view):
        return [cell]
    parts = [(cameras | {camera}, ground.intersection(view)), (cameras, ground.difference(view))]
    return [(seen, part) for seen, part in parts if part.area >= PIECE_M2]
