"""One camera's frame on the ground: boxes as measured places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from twin.events.ids import LevelId, Micros, TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.columns import TrackColumns
from twin.fusion.motion import Cov2, Motion
from twin.fusion.pending import PendingFrame
from twin.fusion.place import CLEAR, COVERED, CUT
from twin.fusion.put_right import put_right_by
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackletLink
from twin.spatial.camera import Floats, GroundCamera
from twin.spatial.placement import corners_of, covered, ground_point
from twin.spatial.pose_error import moved_by
from twin.spatial.zones import UNKNOWN, Unit

Links = Mapping[TrackletId, TrackletLink]
_NO_LINKS: Links = MappingProxyType({})
_TRUST_HEADING_MPS2 = 1.0
_NEAR_M = 4.0  # a box's nearest ground point to the centre of the vehicle that it may show


class Measured(Struct, frozen=True, gc=False):
    """A box with its place on the ground."""

    box: DetectedBox
    point_m: tuple[float, float]
    covariance_m2: Cov2
    is_fresh: bool  # False: an unchanged tracklet's last full box
    rank: int = CLEAR


class Seen(Struct, frozen=True, gc=False):
    """A frame with its measured boxes."""

    at: Micros
    pending: PendingFrame
    level: LevelId
    camera: GroundCamera
    measured: tuple[Measured, ...]
    invisible: tuple[DetectedBox, ...]  # boxes that have no valid place; they still hide what is behind them
    corners: Floats  # (N, 4) x1, y1, x2, y2 of the measured boxes and of the invisible ones after them


def measure(
    pending: PendingFrame, camera: GroundCamera, level: LevelId, state: FusionState, columns: TrackColumns, scene: Scene
) -> Seen:
    """Place a frame's boxes on the ground; ``columns`` are of the state's tracks."""
    boxes, links = pending.frame.boxes, state.tracklets.get(pending.camera, _NO_LINKS)
    unchanged = [link for name in pending.frame.unchanged if (link := links.get(name)) is not None]
    headings = _headings(boxes, links, camera, level, columns, scene)
    every = [*boxes, *(link.box for link in unchanged)]
    corners = corners_of(every)
    is_covered = covered(boxes, every[len(boxes) :], corners)
    places = scene.placing.places(camera, boxes, headings, is_covered)
    floor = scene.parameters.floor_sigma_m * scene.parameters.floor_sigma_m
    bias = put_right_by(state, pending.camera, pending.at)
    if bias is not None:
        floor -= bias.known * camera.sigma_m * camera.sigma_m  # which is part of each covariance
    measured: list[Measured] = []
    invisible: list[DetectedBox] = []
    for box, is_hidden, (x, y, xx, xy, yy, is_valid) in zip(boxes, is_covered.tolist(), places, strict=True):
        if not is_valid or "bottom" in box.truncated:
            invisible.append(box)
            continue
        east, north = (0.0, 0.0) if bias is None else moved_by(camera, bias.told, x, y)
        rank = CUT if box.truncated else COVERED if is_hidden else CLEAR
        measured.append(Measured(box, (x - east, y - north), (xx + floor, xy, yy + floor), True, rank))
    measured += [Measured(link.box, link.point_m, link.covariance_m2, False) for link in unchanged if link.is_placed]
    invisible += [link.box for link in unchanged if not link.is_placed]
    if invisible:  # they come last
        corners = corners_of([*(one.box for one in measured), *invisible])
    return Seen(pending.at, pending, level, camera, tuple(measured), tuple(invisible), corners)


def _headings(
    boxes: tuple[DetectedBox, ...], links: Links, camera: GroundCamera, level: LevelId, columns: TrackColumns, scene: Scene
) -> list[Unit]:
    """D headings: of the track that the tracklet belongs to, or that is near; else what is usual there, or (0, 0)."""
    found, rows, tracks = list[Unit](), columns.row_by_id, columns.tracks
    for box in boxes:
        link = links.get(box.tracklet)
        row = None if link is None else rows.get(link.track)
        heading = None if row is None else _heading_of(tracks[row], scene)
        if heading is None:
            x1, _, x2, y2 = box.box_px
            place = ground_point(camera, (x1 + x2) / 2, y2)
            heading = UNKNOWN if place is None else _heading_near(level, *place, columns, scene)
        found.append(heading)
    return found


def _heading_of(track: Track, scene: Scene) -> Unit | None:
    """A track's heading. One that hardly moves in a stall stands as the stall does: its last motion was the turn into it."""
    motion = track.motion
    if motion.vx * motion.vx + motion.vy * motion.vy < _TRUST_HEADING_MPS2:
        aligned = scene.map.stall_heading_at(track.level, motion.x, motion.y)
        if aligned is not None:
            return aligned
    return None if track.heading == UNKNOWN else track.heading


def _heading_near(level: LevelId, x: float, y: float, columns: TrackColumns, scene: Scene) -> Unit:
    near, near_m2 = UNKNOWN, _NEAR_M * _NEAR_M
    for track in columns.around(level, x, y, _NEAR_M):
        dx, dy = track.motion.x - x, track.motion.y - y
        if track.heading != UNKNOWN and dx * dx + dy * dy < near_m2:
            near, near_m2 = track.heading, dx * dx + dy * dy
    return scene.map.heading_at(level, x, y) if near == UNKNOWN else near


def heading_of(motion: Motion, before: Unit) -> Unit:
    """The direction of motion, where there is enough of it to tell."""
    if motion.speed2 < _TRUST_HEADING_MPS2:
        return before
    speed = math.sqrt(motion.speed2)
    return motion.vx / speed, motion.vy / speed
