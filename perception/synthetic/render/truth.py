"""Ground truth of one rendered frame: each vehicle's box, and how much of it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from perception.synthetic.render.mesh import Mesh
from twin.spatial.camera import GroundCamera

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

_WAIST = 0.55  # share of the height where a body is cut into two parts, each nearly convex
_OVERLAP = 0.08
_RASTER_PX = 160
_FILL = 0.92  # of the hulls' union by a vehicle that nothing hides: the mean over all shapes, seen from 3 to 8 m up


class Outline(NamedTuple):
    """Points of a mesh that make its silhouette: the hulls of its lower and its upper part, each (K, 3) metres."""

    parts: tuple[Floats, ...]


class Seen(NamedTuple):
    """One vehicle in one frame.

    Attributes:
        box_px: around its visible pixels: x1, y1, x2, y2.
        full_box_px: around all of it, cut at the frame.
        visible: share of its silhouette that is seen; what the frame cuts off counts as unseen.
        is_truncated: the frame cuts it.
        n_px: visible pixels.
    """

    box_px: Box
    full_box_px: Box
    visible: float
    is_truncated: bool
    n_px: int


def outline(mesh: Mesh) -> Outline:
    """The silhouette's points of a vehicle's mesh."""
    points = mesh.positions.astype(float)
    top = float(points[:, 2].max())
    lower, upper = points[points[:, 2] <= (_WAIST + _OVERLAP) * top], points[points[:, 2] >= (_WAIST - _OVERLAP) * top]
    return Outline(tuple(part[ConvexHull(part).vertices] for part in (lower, upper) if len(part) > 8))


def seen(
    identities: NDArray[np.uint16],
    camera: GroundCamera,
    outlines: Mapping[int, Outline],
    poses: Mapping[int, tuple[float, float, float, float]],
) -> dict[int, Seen]:
    """What each actor shows.

    Args:
        identities: (H, W) which actor each pixel shows, 0 for none.
        outlines, poses: by actor; a pose is x, y, z (metres) and heading (radians).
    """
    height, width = identities.shape
    counts = np.bincount(identities.ravel())
    result = dict[int, Seen]()
    for number, found in enumerate(ndimage.find_objects(identities), start=1):
        if found is None or number not in outlines:
            continue
        rows, columns = found
        parts = [camera.to_pixels(_placed(part, poses[number])) for part in outlines[number].parts]
        silhouettes = [part.points_px[part.is_in_front] for part in parts if part.is_in_front.sum() >= 3]
        if not silhouettes:
            continue
        points = np.concatenate(silhouettes)
        (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
        is_whole = all(bool(part.is_in_front.all()) for part in parts) and x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height
        n_px = int(counts[number])
        result[number] = Seen(
            box_px=(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)),
            full_box_px=(max(float(x1), 0.0), max(float(y1), 0.0), min(float(x2), width), min(float(y2), height)),
            visible=min(n_px / max(_FILL * _area_px(silhouettes), 1.0), 1.0),
            is_truncated=not is_whole,
            n_px=n_px,
        )
    return result


def _placed(points: Floats, pose: tuple[float, float, float, float]) -> Floats:
    x, y, z, heading = pose
    cos, sin = np.cos(heading), np.sin(heading)
    return np.stack(
        [x + points[:, 0] * cos - points[:, 1] * sin, y + points[:, 0] * sin + points[:, 1] * cos, z + points[:, 2]], axis=1
    )


def _area_px(silhouettes: list[Floats]) -> float:
    """Area of the union of the parts' convex hulls, also outside the frame."""
    import cv2

    low = np.min([part.min(axis=0) for part in silhouettes], axis=0)
    size = np.max([part.max(axis=0) for part in silhouettes], axis=0) - low
    scale = _RASTER_PX / max(float(size.max()), 1.0)
    raster = np.zeros((int(size[1] * scale) + 2, int(size[0] * scale) + 2), np.uint8)
    for part in silhouettes:
        hull = cv2.convexHull(((part - low) * scale).astype(np.float32))
        cv2.fillConvexPoly(raster, np.rint(hull).astype(np.int32), 1)
    return float(raster.sum()) / scale**2
