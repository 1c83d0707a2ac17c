"""Who stands before a gate, and whether a camera there delivers: from the state after the last closed tick."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from site_models.schema import Portal
from twin.events.facts import Direction
from twin.events.ids import CameraId, Micros
from twin.fusion.portals import side_m
from twin.fusion.scene import Scene
from twin.fusion.silence import Deliveries
from twin.fusion.state import FusionState, Track

_REACH_M = 8.0  # from the line to the centre of who stands first before it
_OVER_M = 1.5  # so far over the line its centre may be already
_BESIDE = 0.2  # share of the line's length beyond its ends
_ABREAST_M = 3.0  # whoever is not this much farther than the first may be meant too: nobody is that short
_OFF_MPS = 0.7  # who drives away from the line so fast does not want to pass it
_WAITS_M = 2.5  # before the line, where a camera must look


def approaching(fusion: FusionState, portal: Portal, direction: Direction) -> tuple[Track, ...]:
    """The vehicles before a portal that may be the one that wants to pass it, the nearest first.

    One that is out of sight only where no other is there.
    """
    near = sorted(_near(fusion.tracks.values(), portal, direction), key=lambda one: (one[0], one[1].id))
    near = [one for one in near if one[1].status != "hidden"] or near
    return tuple(track for away, track in near if away < near[0][0] + _ABREAST_M)


def _near(tracks: Iterable[Track], portal: Portal, direction: Direction) -> Iterable[tuple[float, Track]]:
    (ax, ay), (bx, by) = portal.line_m
    ahead = 1.0 if direction == "out" else -1.0  # on its left is the inside
    for track in tracks:
        is_elsewhere = track.level != portal.level or track.status == "left" or track.stall is not None
        if track.vehicle is None or is_elsewhere:
            continue
        away, along, length = side_m(portal, track.motion.x, track.motion.y)
        speed = ((bx - ax) * track.motion.vy - (by - ay) * track.motion.vx) / length * ahead
        is_before = -_OVER_M <= away * ahead <= _REACH_M and -_BESIDE <= along <= 1 + _BESIDE
        if is_before and speed < _OFF_MPS:
            yield away * ahead, track


def is_watched(fusion: FusionState, deliveries: Deliveries, scene: Scene, portal: Portal, direction: Direction) -> bool:
    """Whether a camera that delivers looks at where vehicles wait before a portal."""
    waits = _waiting_place(portal, direction)
    active = (name for name, one in deliveries.items() if one.is_active)
    newest = max((one.newest_at for one in deliveries.values()), default=0)
    return any(_sees(fusion, scene, name, newest, portal, waits) for name in active)


def _sees(fusion: FusionState, scene: Scene, name: CameraId, at: Micros, portal: Portal, place_m: tuple[float, float]) -> bool:
    found = scene.camera(name, at, fusion.calibrations.get(name, ()))
    if found is None or found[1] != portal.level:
        return False
    camera, (x, y) = found[0], place_m
    dx, dy = x - camera.origin_m[0], y - camera.origin_m[1]
    image = camera.to_pixels(np.array([[x, y, camera.elevation_m]]))
    ((u, v),), (is_ahead,) = image.points_px.tolist(), image.is_in_front.tolist()
    width, height = camera.frame_px
    return is_ahead and 0 <= u <= width and 0 <= v <= height and dx * dx + dy * dy <= camera.range_m * camera.range_m


def _waiting_place(portal: Portal, direction: Direction) -> tuple[float, float]:
    (ax, ay), (bx, by) = portal.line_m
    dx, dy = bx - ax, by - ay
    off = (_WAITS_M if direction == "out" else -_WAITS_M) / math.sqrt(dx * dx + dy * dy)
    return (ax + bx) / 2 - dy * off, (ay + by) / 2 + dx * off
