"""What a camera could see of each vehicle: its box, what the frame cuts off, and how much is hidden.

A vehicle is a body over wheels: its box ends where the nearest tyre stands or the bumper does, not at the corners of a cuboid
on the ground, which no vehicle has. Nearer vehicles hide the share of a box that their boxes cover (painter's order); walls
and pillars hide the points of the body whose line of sight they cut, heights considered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.traffic import VehicleState
from site_models.schema import Camera, Level, Obstacle, Pinhole, Site
from twin.events.observations import Edge
from twin.spatial.camera import GroundCamera

Floats = NDArray[np.float64]

_LEAST_IN_FRAME = 0.15  # share of a box that the frame has to hold
_GRID = 8
_CLEARANCE = 0.13  # under the body, of its height: 0.2 m of a car's 1.5 m
_BODY = np.array([[x, y, z] for z in (_CLEARANCE, 1.0) for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
_TYRES = np.array([[x, y, 0.0] for x in (-0.3, 0.3) for y in (-0.43, 0.43)])  # wheelbase 0.6 lengths, track 0.86 widths
_BUMPERS = [(0.5, -0.4), (0.5, 0.4), (0.4, 0.5), (-0.4, 0.5), (-0.5, 0.4), (-0.5, -0.4), (-0.4, -0.5), (0.4, -0.5)]
_ROUND = np.array(  # along them, corners rounded off
    [
        [x + part * (u - x), y + part * (v - y), _CLEARANCE]
        for (x, y), (u, v) in pairwise([*_BUMPERS, _BUMPERS[0]])
        for part in (0.0, 0.2, 0.4, 0.6, 0.8)
    ]
)
_SIGHTS = np.array([[x, y, z] for z in (0.3, 0.8) for x in (-0.4, 0.0, 0.4) for y in (-0.35, 0.35)])


class View(NamedTuple):
    """One vehicle in one camera.

    Attributes:
        box_px: x1, y1, x2, y2 inside the frame.
        truncated: the frame's edges that cut it.
        nearness: larger is nearer to the camera.
        behind_walls: share that walls and pillars hide.
    """

    state: VehicleState
    box_px: tuple[float, float, float, float]
    truncated: tuple[Edge, ...]
    nearness: float
    behind_walls: float


class Viewer:
    """Projects vehicles into one camera."""

    def __init__(self, site: Site, camera: Camera) -> None:
        level = next(level for level in site.levels if level.id == camera.level)
        self.camera, self._level, self._up = camera, level, np.array([0.0, 0.0, level.elevation_m])
        self._projection = GroundCamera.of(camera, level)
        self._eye = np.array(camera.geometry.position_m) if isinstance(camera.geometry, Pinhole) else None
        self._edges = _edges([one for one in site.obstacles if one.level == level.id], level)

    @property
    def eye_m(self) -> tuple[float, float] | None:
        """Where the camera is on the map; None where only its picture of the ground is known."""
        return None if self._eye is None else (float(self._eye[0]), float(self._eye[1]))

    def views(self, states: Sequence[VehicleState]) -> list[View | None]:
        """One entry a state; None where the camera cannot have it in its frame."""
        if not states:
            return []
        poses = np.array([(one.x_m, one.y_m, math.radians(one.heading_deg)) for one in states])
        sizes = np.array([(s.length_m, s.width_m, s.height_m) for s in (one.vehicle.shape for one in states)])
        boxes, is_whole = self._boxes(poses, sizes)
        is_there = np.array([one.level == self._level.id for one in states]) & is_whole
        return [self._view(*one) for one in zip(states, boxes, is_there, poses, sizes, strict=True)]

    def _view(self, state: VehicleState, box: Floats, is_there: bool, pose: Floats, size: Floats) -> View | None:
        width, height = self.camera.frame_px
        x1, y1, x2, y2 = (float(edge) for edge in box)
        inside = max(0.0, min(x2, width) - max(x1, 0.0)) * max(0.0, min(y2, height) - max(y1, 0.0))
        if not is_there or inside <= _LEAST_IN_FRAME * (x2 - x1) * (y2 - y1) or x2 - x1 > 2 * width or y2 - y1 > 2 * height:
            return None
        cuts: tuple[tuple[Edge, bool], ...] = (
            ("left", x1 < 0),
            ("top", y1 < 0),
            ("right", x2 > width),
            ("bottom", y2 > height),
        )
        return View(
            state=state,
            box_px=(max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))),
            truncated=tuple(edge for edge, is_cut in cuts if is_cut),
            nearness=-float(np.hypot(*(pose[:2] - self._eye[:2]))) if self._eye is not None else y2,
            behind_walls=self._behind_walls(pose, size),
        )

    def _boxes(self, poses: Floats, sizes: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """(N, 4) boxes, not cut by the frame but at the bottom of what is inside, and (N,) whether all is before the camera."""
        is_flat = self._eye is None  # a ground homography knows no heights
        points, is_ahead = self._appear(poses, sizes, _BODY * [1.0, 1.0, 0.0] if is_flat else _BODY)
        lower, _ = self._appear(poses, sizes, _TYRES if is_flat else np.concatenate([_TYRES, _ROUND, _BODY[4:]]))
        boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
        is_inside = (lower[:, :, 0] >= 0.0) & (lower[:, :, 0] <= self.camera.frame_px[0])
        is_inside |= ~is_inside.any(axis=1, keepdims=True)  # wholly outside: cut away later
        boxes[:, 3] = np.where(is_inside, lower[:, :, 1], -np.inf).max(axis=1)
        if is_flat:
            boxes[:, 1] -= sizes[:, 2] * self._pixels_a_metre(poses)
        return boxes, is_ahead

    def _appear(self, poses: Floats, sizes: Floats, unit: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """(N, P, 2) pixels of points of each vehicle, and (N,) whether all of them are before the camera."""
        image = self._projection.to_pixels((_placed(poses, sizes, unit) + self._up).reshape(-1, 3))
        is_ahead = image.is_in_front.reshape(len(poses), -1).all(axis=1)
        return image.points_px.reshape(len(poses), -1, 2), np.asarray(is_ahead)

    def _pixels_a_metre(self, poses: Floats) -> Floats:
        """(N,) pixels that a metre across the line of sight takes: the larger axis of the local scale, also upright."""
        points = np.concatenate([poses[:, :2] + step for step in ((-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5))])
        flat = np.concatenate([points, np.full((len(points), 1), self._level.elevation_m)], axis=1)
        west, east, south, north = self._projection.to_pixels(flat).points_px.reshape(4, -1, 2)
        jacobians = np.stack([east - west, north - south], axis=2)
        return np.asarray(np.linalg.svd(jacobians, compute_uv=False)[:, 0], dtype=np.float64)

    def _behind_walls(self, pose: Floats, size: Floats) -> float:
        if self._eye is None or not len(self._edges):
            return 0.0
        points = _placed(pose[None], size[None], _SIGHTS)[0] + self._up
        start, step, top = self._edges[:, :2], self._edges[:, 2:4], self._edges[:, 4]
        sight = points[:, None, :2] - self._eye[:2]
        away = start - self._eye[:2]
        turn = sight[..., 0] * step[:, 1] - sight[..., 1] * step[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (away[:, 0] * step[:, 1] - away[:, 1] * step[:, 0]) / turn
            across = (away[:, 0] * sight[..., 1] - away[:, 1] * sight[..., 0]) / turn
        height = self._eye[2] + along * (points[:, None, 2] - self._eye[2])
        is_cut = (along > 0) & (along < 1) & (across >= 0) & (across <= 1) & (height < top)
        return float(is_cut.any(axis=1).mean())


def covered(views: Sequence[View]) -> Floats:
    """(N,) share of each box that nearer vehicles' boxes cover, on a grid of 8 x 8 points."""
    if len(views) < 2:
        return np.zeros(len(views))
    boxes, near = np.array([view.box_px for view in views]), np.array([view.nearness for view in views])
    shares = (np.arange(_GRID) + 0.5) / _GRID
    x = boxes[:, 0, None] + shares * (boxes[:, 2] - boxes[:, 0])[:, None]
    y = boxes[:, 1, None] + shares * (boxes[:, 3] - boxes[:, 1])[:, None]
    hides = (near[None, :] > near[:, None])[:, None, :]
    in_x = (x[:, :, None] > boxes[:, 0]) & (x[:, :, None] < boxes[:, 2]) & hides
    in_y = (y[:, :, None] > boxes[:, 1]) & (y[:, :, None] < boxes[:, 3])
    return (in_x[:, :, None, :] & in_y[:, None, :, :]).any(axis=3).mean(axis=(1, 2))


def _placed(poses: Floats, sizes: Floats, unit: Floats) -> Floats:
    """(N, P, 3) points of each vehicle, given in shares of its size from its middle on the ground."""
    local = unit[None] * sizes[:, None, :]
    cos, sin = np.cos(poses[:, 2])[:, None], np.sin(poses[:, 2])[:, None]
    x = poses[:, 0, None] + local[..., 0] * cos - local[..., 1] * sin
    y = poses[:, 1, None] + local[..., 0] * sin + local[..., 1] * cos
    return np.stack([x, y, local[..., 2]], axis=2)


def _edges(obstacles: Sequence[Obstacle], level: Level) -> Floats:
    """(E, 5) edges in plan: start, step, and the height of their top above the datum."""
    rows = list[tuple[float, ...]]()
    for one in obstacles:
        points = np.array(one.outline_m if one.kind == "wall" else (*one.outline_m, one.outline_m[0]), dtype=float)
        rows += [(*start, *(end - start), level.elevation_m + one.height_m) for start, end in pairwise(points)]
    return np.array(rows, dtype=float).reshape(-1, 5)
