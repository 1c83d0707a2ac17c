"""A vehicle's centre on the ground from its box.

The bottom centre of a box is near the vehicle's nearest side, not its middle: two cameras that face each other would
place one car four metres apart. An outline of the kind's usual size, a body over wheels at the vehicle's heading, is moved
until its projection has the box's bottom edge and horizontal middle. Shape letters: N boxes, P points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from site_models.schema import Pinhole
from twin.events.observations import DetectedBox, VehicleKind
from twin.spatial.camera import Bools, Floats, GroundCamera, GroundPoints
from twin.spatial.ground import (
    BODY,
    BUMPERS,
    COVERED_ASIDE_SIGMA_M,
    COVERED_SIGMA_M,
    COVERING_PX,
    COVERING_SHARE,
    CUT_SHARE,
    KNOWN_SIGMA_M,
    REFINEMENTS,
    TOLD_CUT_SHARE,
    UNKNOWN_SIGMA_M,
    WHEELS,
)

SIZE_M: Mapping[VehicleKind, tuple[float, float, float]] = MappingProxyType(
    {
        "car": (4.4, 1.8, 1.5),
        "van": (5.2, 2.0, 2.1),
        "truck": (7.5, 2.4, 3.0),
        "bus": (11.5, 2.55, 3.1),
        "motorcycle": (2.1, 0.8, 1.2),
        "bicycle": (1.8, 0.6, 1.2),
    }
)
"""Length, width, height. Rounded means of common models; cars after the European fleet's B to D segments."""


def centres(
    camera: GroundCamera, boxes: Sequence[DetectedBox], headings: Floats, is_covered: Bools | None = None
) -> GroundPoints:
    """Ground centres of the vehicles in these boxes.

    Args:
        boxes: N boxes of one frame.
        headings: (N, 2) unit vectors in the site frame; (0, 0) where the heading is not known.
        is_covered: (N,) whether something nearer hides the box's lower edge, as ``covered`` tells; None: nothing does.

    Returns:
        N points with covariances: the box's, the calibration's and the size prior's.
    """
    if not boxes:
        empty = np.zeros((0, 2))
        return GroundPoints(points_m=empty, covariance_m2=np.zeros((0, 3)), is_valid=np.zeros(0, dtype=np.bool_))
    corners = np.array([box.box_px for box in boxes])
    bottom = np.stack(((corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]), axis=1)
    cut = np.array([_cut_side(box) for box in boxes])
    is_known = (headings[:, 0] != 0) | (headings[:, 1] != 0)
    ground = camera.to_ground(bottom, _sigmas(boxes, corners, is_known))
    sizes = np.array([SIZE_M[box.kind] for box in boxes])
    sight = _unit(ground.points_m - np.array(camera.origin_m))
    points = ground.points_m + sight * _reach(sizes, sight, headings, is_known)[:, None]
    bottom[:, 0] = np.where(cut < 0, corners[:, 2], np.where(cut > 0, corners[:, 0], bottom[:, 0]))
    edges = np.where(cut < 0, corners[:, 0], corners[:, 2])
    points = _refined(camera, points, sizes, headings, is_known & ground.is_valid, bottom, cut, edges)
    spread = np.where(is_known, KNOWN_SIGMA_M, UNKNOWN_SIGMA_M)
    aside = np.zeros(len(boxes))
    if is_covered is not None:
        spread = np.where(is_covered, COVERED_SIGMA_M, spread)
        aside = np.where(is_covered, COVERED_ASIDE_SIGMA_M, 0.0)
    return GroundPoints(
        points_m=points,
        covariance_m2=ground.covariance_m2
        + (spread * spread)[:, None] * _outer(sight)
        + (aside * aside)[:, None] * _outer(np.stack((-sight[:, 1], sight[:, 0]), axis=1)),
        is_valid=ground.is_valid,
    )


def covered(boxes: Sequence[DetectedBox], others: Sequence[DetectedBox]) -> Bools:
    """(N,) whether one of ``others``, nearer to the camera as it reaches lower, lies over a good part of a box's lower edge."""
    found = [any(_covers(other, box) for other in others if other.tracklet != box.tracklet) for box in boxes]
    return np.array(found, dtype=np.bool_)


def _covers(other: DetectedBox, box: DetectedBox) -> bool:
    (x1, _, x2, y2), (left, top, right, bottom) = box.box_px, other.box_px
    if not top < y2 < bottom - COVERING_PX:
        return False
    return min(right, x2) - max(left, x1) > COVERING_SHARE * (x2 - x1)


def _cut_side(box: DetectedBox) -> int:
    """-1 where the frame cuts the box on its left only, +1 on its right only, else 0."""
    return int("right" in box.truncated) - int("left" in box.truncated)


def _sigmas(boxes: Sequence[DetectedBox], corners: Floats, is_known: Bools) -> Floats:
    """Standard deviations of the boxes' bottom centres; where the frame cuts one side, the other tells where a vehicle is."""
    sigma = np.array([box.box_sigma_px for box in boxes])
    is_cut_aside = np.array(["left" in box.truncated or "right" in box.truncated for box in boxes])
    is_told = is_known & np.array([_cut_side(box) != 0 for box in boxes])
    is_cut_below = np.array(["bottom" in box.truncated or {"left", "right"} <= set(box.truncated) for box in boxes])
    share = np.where(is_told, TOLD_CUT_SHARE, CUT_SHARE)
    sigma[:, 0] += np.where(is_cut_aside, share * (corners[:, 2] - corners[:, 0]), 0.0)
    sigma[:, 1] += np.where(is_cut_below, CUT_SHARE * (corners[:, 3] - corners[:, 1]), 0.0)
    return sigma


def _reach(sizes: Floats, sight: Floats, headings: Floats, is_known: Bools) -> Floats:
    """How far the centre lies behind the nearest wheel: their rectangle's support along the line of sight."""
    wheels = 2.0 * np.array(WHEELS[0][:2]) * sizes[:, :2]
    along = np.abs(sight[:, 0] * headings[:, 0] + sight[:, 1] * headings[:, 1])
    across = np.abs(sight[:, 0] * headings[:, 1] - sight[:, 1] * headings[:, 0])
    support = (wheels[:, 0] * along + wheels[:, 1] * across) / 2
    return np.where(is_known, support, (wheels[:, 0] + wheels[:, 1]) / 4)


def _refined(
    camera: GroundCamera,
    points: Floats,
    sizes: Floats,
    headings: Floats,
    is_usable: Bools,
    bottom: Floats,
    cut: NDArray[np.int64],
    edges: Floats,
) -> Floats:
    """Move the outlines until their projections' bottom and middle, or the side that is not cut, meet the boxes'."""
    ones = np.ones_like(bottom)
    wanted = camera.to_ground(bottom, ones)
    for _ in range(REFINEMENTS):
        place, is_seen = _projected(camera, points, sizes, headings, cut, edges)
        now = camera.to_ground(place, ones)
        may_move = is_usable & is_seen & now.is_valid & wanted.is_valid
        points = points + np.where(may_move[:, None], wanted.points_m - now.points_m, 0.0)
    return points


def _projected(
    camera: GroundCamera, points: Floats, sizes: Floats, headings: Floats, cut: NDArray[np.int64], edges: Floats
) -> tuple[Floats, Bools]:
    """Bottom pixels of the outlines' boxes, (N, 2), in the middle or at the side that is not cut; whether they are in front.

    Args:
        edges: (N,) columns where the frame cuts the boxes: only what is inside has a bottom.
    """
    is_flat = not isinstance(camera.geometry, Pinhole)
    u, v, is_in_front = _outlined(camera, points, sizes, headings, BODY)
    left: Floats = u.min(axis=0)
    right: Floats = u.max(axis=0)
    across: Floats = np.where(cut < 0, right, np.where(cut > 0, left, (left + right) / 2))
    lows = [] if is_flat else [np.where((edges - u) * cut >= 0.0, v, -np.inf)]
    u, v, is_seen = _outlined(camera, points, sizes, headings, WHEELS)
    lows.append(np.where(is_seen & ((edges - u) * cut >= 0.0), v, -np.inf))
    if not is_flat:
        u, v, is_seen = _outlined(camera, points, sizes, headings, BUMPERS)
        is_inside = (edges - u) * cut >= 0.0
        lows.append(np.where(is_seen & is_inside, v, -np.inf))
        before_u, before_v = np.roll(u, 1, axis=0), np.roll(v, 1, axis=0)
        is_leaving = is_seen & np.roll(is_seen, 1, axis=0) & (is_inside != np.roll(is_inside, 1, axis=0))
        share = (edges - before_u) / np.where(is_leaving, u - before_u, 1.0)
        lows.append(np.where(is_leaving, before_v + share * (v - before_v), -np.inf))
    low: Floats = np.concatenate(lows).max(axis=0)
    is_there = np.min(is_in_front, axis=0, initial=True) & (low > -np.inf)
    return np.stack((across, np.where(is_there, low, 0.0)), axis=1), is_there


def _outlined(
    camera: GroundCamera, points: Floats, sizes: Floats, headings: Floats, part: Sequence[tuple[float, float, float]]
) -> tuple[Floats, Floats, Bools]:
    """Where a part of the outlines appears: (P, N) columns, rows, and whether each is in front."""
    lefts = np.stack((-headings[:, 1], headings[:, 0]), axis=1)
    places: list[Floats] = []
    for ahead, aside, up in part:
        place = points + headings * (ahead * sizes[:, :1]) + lefts * (aside * sizes[:, 1:2])
        places.append(np.concatenate((place, camera.elevation_m + up * sizes[:, 2:]), axis=1))
    seen = camera.to_pixels(np.concatenate(places))
    pixels = seen.points_px.reshape(len(part), len(points), 2)
    return pixels[:, :, 0], pixels[:, :, 1], seen.is_in_front.reshape(len(part), len(points))


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt(vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1])
    return vectors / np.where(length > 0, length, 1.0)[:, None]


def _outer(unit: Floats) -> Floats:
    return np.stack((unit[:, 0] * unit[:, 0], unit[:, 0] * unit[:, 1], unit[:, 1] * unit[:, 1]), axis=1)
