"""One camera's frame on the ground: boxes as measured places, and which of the tracks they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from msgspec import Struct

from twin.events.ids import CameraId, LevelId, Micros, TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.appearance import log_likelihood_ratio
from twin.fusion.arithmetic import ln1
from twin.fusion.association import LINK_NATS, assign, squared_mahalanobis
from twin.fusion.motion import Cov2, Motion, predict
from twin.fusion.place import CLEAR, COVERED, CUT
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, PendingFrame, Track, TrackId, TrackletLink
from twin.spatial.camera import Bools, Floats, GroundCamera
from twin.spatial.footprint import covered
from twin.spatial.zones import UNKNOWN, Unit

Links = Mapping[TrackletId, TrackletLink]
_NO_LINKS: Links = MappingProxyType({})
_TRUST_HEADING_MPS2 = 1.0
_NEAR_M = 4.0  # a box's nearest ground point to the centre of the vehicle that it may show
_LINKED_GATE = 4.0  # a linked pair may be this many times farther off
_NEIGHBOUR_M = 1.5  # a new box this near is nobody else's
_KNOWN_LOOKS = 3
_OWN_SHARE = 0.35  # of a look's variance: what a camera's looks at one place do not have in common
_APPEARANCE_WEIGHT = 0.5  # views of one tracklet are not independent of its link


class Measured(Struct, frozen=True):
    """A box with its place on the ground."""

    box: DetectedBox
    point_m: tuple[float, float]
    covariance_m2: Cov2
    is_fresh: bool  # False: an unchanged tracklet's last full box
    rank: int = CLEAR


class Seen(Struct, frozen=True):
    """A frame with its measured boxes."""

    at: Micros
    pending: PendingFrame
    level: LevelId
    camera: GroundCamera
    measured: tuple[Measured, ...]
    invisible: tuple[DetectedBox, ...]  # boxes that have no valid place; they still hide what is behind them


def measure(pending: PendingFrame, camera: GroundCamera, level: LevelId, state: FusionState, scene: Scene) -> Seen:
    """Place a frame's boxes on the ground."""
    boxes, links = pending.frame.boxes, state.tracklets.get(pending.camera, _NO_LINKS)
    unchanged = [link for name in pending.frame.unchanged if (link := links.get(name)) is not None]
    headings = _headings(boxes, links, camera, level, state, scene)
    is_covered: list[bool] = covered(boxes, [*boxes, *(link.box for link in unchanged)]).tolist()
    places = scene.placing.places(camera, boxes, headings, is_covered)
    floor = scene.parameters.floor_sigma_m * scene.parameters.floor_sigma_m
    measured: list[Measured] = []
    invisible: list[DetectedBox] = []
    for box, is_hidden, (x, y, xx, xy, yy, is_valid) in zip(boxes, is_covered, places, strict=True):
        if not is_valid or "bottom" in box.truncated:
            invisible.append(box)
            continue
        rank = CUT if box.truncated else COVERED if is_hidden else CLEAR
        measured.append(Measured(box, (x, y), (xx + floor, xy, yy + floor), True, rank))
    measured += (Measured(link.box, link.point_m, link.covariance_m2, False) for link in unchanged)
    return Seen(pending.at, pending, level, camera, tuple(measured), tuple(invisible))


def match(seen: Seen, state: FusionState, scene: Scene) -> list[tuple[TrackId, int]]:
    """Pairs of tracks and measured boxes of one frame; each track and each box at most once."""
    settled = _settled(seen, state)
    asked = set(range(len(seen.measured))) - set(settled.values())
    sure = {column for column in asked if seen.measured[column].box.score >= scene.parameters.sure_score}
    tracks = [track for track in state.tracks.values() if track.level == seen.level and track.status != "hidden"]
    matched = dict(settled)
    for columns in (sorted(sure), sorted(asked - sure)):  # a mere likeness gets what is left
        left = [track for track in tracks if track.id not in matched]
        if left and columns:
            matched |= _matched(left, columns, seen, state, scene)
    return sorted(matched.items())


def _settled(seen: Seen, state: FusionState) -> dict[TrackId, int]:
    """Boxes that have not changed, of tracks that are parked: these stay together without being asked."""
    settled: dict[TrackId, int] = {}
    links = state.tracklets.get(seen.pending.camera, _NO_LINKS)
    for column, one in enumerate(seen.measured):
        if not one.is_fresh:
            track = state.tracks.get(links[one.box.tracklet].track)
            if track is not None and track.status == "parked" and track.level == seen.level:
                settled.setdefault(track.id, column)
    return settled


def _matched(
    tracks: list[Track], columns: list[int], seen: Seen, state: FusionState, scene: Scene
) -> list[tuple[TrackId, int]]:
    """The best total among these tracks and boxes; only tracks that a box can be of are looked at closely."""
    acceleration, gate = scene.parameters.acceleration_m2ps3, scene.parameters.gate_d2
    measured = [seen.measured[column] for column in columns]
    tracks, predicted = _near(tracks, measured, seen.at, acceleration, _LINKED_GATE * gate)
    if not tracks:
        return []
    points, point_cov = np.array([one.point_m for one in measured]), np.array([one.covariance_m2 for one in measured])
    mean, cov = np.array([(one.x, one.y) for one in predicted]), np.array([one.covariance_m2 for one in predicted])
    d2, ln_determinant = squared_mahalanobis(mean, cov, points, point_cov)
    links = _links(tracks, measured, seen.pending.camera, state)
    _know_own(d2, ln_determinant, links, tracks, measured, points, seen.pending.camera)
    cost = 0.5 * (d2 + ln_determinant) - LINK_NATS * links
    is_allowed = (d2 <= gate) | ((links > 0) & (d2 <= _LINKED_GATE * gate))
    is_allowed &= (links != 0) | _is_near_parked(tracks, points)
    is_allowed &= ~np.array([[one.box.tracklet in track.refused for one in measured] for track in tracks])
    is_allowed &= _is_reachable(tracks, seen.at, points, scene)
    _add_appearance(cost, is_allowed, tracks, measured, state)
    return [(tracks[row].id, columns[column]) for row, column in assign(cost, is_allowed)]


def _know_own(
    d2: Floats,
    ln_determinant: Floats,
    links: Floats,
    tracks: list[Track],
    measured: list[Measured],
    points: Floats,
    camera: CameraId,
) -> None:
    """A parked vehicle that this camera knows: new boxes of it come where they came before; its tracklet's may drive off."""
    ranks = np.array([one.rank for one in measured])
    for row, track in enumerate(tracks):
        own = track.looks.get(camera)
        if track.status != "parked" or own is None or own.n < _KNOWN_LOOKS:
            continue
        xx, xy, yy = (_OWN_SHARE * value for value in own.covariance_m2)
        dx, dy = points[:, 0] - own.x, points[:, 1] - own.y
        determinant = xx * yy - xy * xy
        off = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant
        is_known = (ranks == own.rank) & (links[row] <= 0)
        d2[row] = np.where(is_known, off, d2[row])
        ln_determinant[row] = np.where(is_known, ln1(determinant), ln_determinant[row])


def _is_near_parked(tracks: list[Track], points: Floats) -> Bools:
    """(T, D) whether a box of a tracklet that belongs to nobody may be a parked vehicle: nearer than its neighbours are.

    What is farther begins a track of its own, which is told to be a double once more of its boxes say where it is.
    """
    places = np.array([(track.motion.x, track.motion.y) for track in tracks])
    is_moving = np.array([track.status != "parked" for track in tracks])
    dx, dy = (points[None, :, k] - places[:, None, k] for k in range(2))
    return is_moving[:, None] | (dx * dx + dy * dy <= _NEIGHBOUR_M * _NEIGHBOUR_M)


def _near(
    tracks: list[Track], measured: list[Measured], at: Micros, acceleration: float, gate: float
) -> tuple[list[Track], list[Motion]]:
    """The tracks that a box can be inside the gate of, with where they should be; a few more, none less.

    d² is at least the squared distance over the trace of S, and no box is nearer than the rectangle round them all.
    """
    left, right = min(one.point_m[0] for one in measured), max(one.point_m[0] for one in measured)
    low, high = min(one.point_m[1] for one in measured), max(one.point_m[1] for one in measured)
    widest = max(one.covariance_m2[0] + one.covariance_m2[2] for one in measured)
    found, predicted = list[Track](), list[Motion]()
    for track in tracks:
        motion = predicted_at(track, at, acceleration)
        x, y, p = motion.x, motion.y, motion.p
        dx = left - x if x < left else x - right if x > right else 0.0
        dy = low - y if y < low else y - high if y > high else 0.0
        if dx * dx + dy * dy <= gate * (p[0] + p[4] + widest):
            found.append(track)
            predicted.append(motion)
    return found, predicted


def predicted_at(track: Track, at: Micros, acceleration: float) -> Motion:
    """Where a track should be: what stands stays."""
    is_standing = track.status == "parked" or (track.status == "tentative" and track.still is not None)
    return track.motion if is_standing else predict(track.motion, at, acceleration)


def _headings(
    boxes: tuple[DetectedBox, ...], links: Links, camera: GroundCamera, level: LevelId, state: FusionState, scene: Scene
) -> list[Unit]:
    """D headings: of the track that the tracklet belongs to, or that is near; else what is usual there, or (0, 0)."""
    found: list[Unit | None] = []
    for box in boxes:
        link = links.get(box.tracklet)
        track = None if link is None else state.tracks.get(link.track)
        found.append(None if track is None else _heading_of(track, scene))
    unknown = [n for n, heading in enumerate(found) if heading is None]
    if unknown:
        corners = np.array([boxes[n].box_px for n in unknown])
        bottom = np.stack(((corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]), axis=1)
        ground = camera.to_ground(bottom, np.ones_like(bottom))
        for row, n in enumerate(unknown):
            x, y = ground.points_m[row].tolist()
            found[n] = _heading_near(level, x, y, state, scene) if ground.is_valid[row] else UNKNOWN
    return [heading or UNKNOWN for heading in found]


def _heading_of(track: Track, scene: Scene) -> Unit | None:
    """A track's heading. One that hardly moves in a stall stands as the stall does: its last motion was the turn into it."""
    if track.motion.speed2 < _TRUST_HEADING_MPS2:
        aligned = scene.map.stall_heading_at(track.level, track.motion.x, track.motion.y)
        if aligned is not None:
            return aligned
    return None if track.heading == UNKNOWN else track.heading


def _heading_near(level: LevelId, x: float, y: float, state: FusionState, scene: Scene) -> Unit:
    near, near_m2 = UNKNOWN, _NEAR_M * _NEAR_M
    for track in state.tracks.values():
        dx, dy = track.motion.x - x, track.motion.y - y
        if track.level == level and track.heading != UNKNOWN and dx * dx + dy * dy < near_m2:
            near, near_m2 = track.heading, dx * dx + dy * dy
    return scene.map.heading_at(level, x, y) if near == UNKNOWN else near


def _links(tracks: list[Track], measured: list[Measured], camera: CameraId, state: FusionState) -> Floats:
    """+1 where a box's tracklet belongs to the track, -1 where it belongs to another one that still lives."""
    links, known = np.zeros((len(tracks), len(measured))), state.tracklets.get(camera, _NO_LINKS)
    row_by_id = {track.id: row for row, track in enumerate(tracks)}
    for column, one in enumerate(measured):
        link = known.get(one.box.tracklet)
        if link is not None and link.track in state.tracks:
            links[:, column] = -1.0
            if (row := row_by_id.get(link.track)) is not None:
                links[row, column] = 1.0
    return links


def _is_reachable(tracks: list[Track], at: Micros, points: Floats, scene: Scene) -> Bools:
    """The physical cap: nothing is farther from where it was than it could have driven."""
    place = np.array([(track.motion.x, track.motion.y) for track in tracks])
    seconds = np.array([max(at - track.seen_at, 0) / 1e6 for track in tracks])
    limit = 3.0 + scene.parameters.max_speed_mps * seconds
    dx, dy = (points[None, :, k] - place[:, None, k] for k in range(2))
    return dx * dx + dy * dy <= (limit * limit)[:, None]


def _add_appearance(cost: Floats, is_allowed: Bools, tracks: list[Track], measured: list[Measured], state: FusionState) -> None:
    """Where a box could be one of several tracks, looks help to tell."""
    columns: list[int] = np.flatnonzero(is_allowed.sum(axis=0) > 1).tolist()
    for column in columns:
        tracklet: TrackletId = measured[column].box.tracklet
        views = state.views.get(tracklet, ())
        rows: list[int] = np.flatnonzero(is_allowed[:, column]).tolist()
        for row in rows if views else []:
            cost[row, column] -= _APPEARANCE_WEIGHT * log_likelihood_ratio(views, tracks[row].gallery, state.scores.nats)


def heading_of(motion: Motion, before: Unit) -> Unit:
    """The direction of motion, where there is enough of it to tell."""
    if motion.speed2 < _TRUST_HEADING_MPS2:
        return before
    speed = math.sqrt(motion.speed2)
    return motion.vx / speed, motion.vy / speed
