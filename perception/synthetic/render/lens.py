"""From an ideal pinhole's picture to the lens that the site's camera has."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.stage import Canvas, Shot
from site_models.schema import Camera, Pinhole
from twin.errors import BadInput
from twin.spatial.camera import distort

Floats = NDArray[np.float64]

_NEWTON_STEPS = 8


class Lens(NamedTuple):
    """How a camera's pixels are read off a larger undistorted canvas.

    Attributes:
        canvas_px: width and height of the canvas.
        canvas: that canvas.
        map_x, map_y: (H, W) where on the canvas each pixel of the camera lies.
    """

    canvas_px: tuple[int, int]
    canvas: Canvas
    map_x: NDArray[np.float32]
    map_y: NDArray[np.float32]

    def through(self, shot: Shot) -> Shot:
        """The camera's own picture and identities."""
        import cv2

        bgr = cv2.remap(shot.bgr, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        who = cv2.remap(shot.identities, self.map_x, self.map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        return Shot(np.asarray(bgr, np.uint8), np.asarray(who, np.uint16))


def lens_of(camera: Camera, scale: float = 1.0) -> Lens:
    """The lens of a site's camera.

    Args:
        scale: pixels of the canvas for one of the camera's; more than 1 smooths edges.

    Raises:
        BadInput: the camera is a ground homography, which has no lens, or its distortion folds the picture over.
    """
    if not isinstance(camera.geometry, Pinhole):
        raise BadInput(
            f"camera '{camera.id}' is a ground homography, which has no height or lens to draw with; give it K and a pose"
        )
    width, height = camera.frame_px
    fx, fy, cx, cy = camera.geometry.k
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    slopes = _undistorted(camera, (columns - cx) / fx, (rows - cy) / fy)
    focal, margin = max(fx, fy) * scale, 2.0
    left, top = slopes[..., 0].min() - margin / focal, slopes[..., 1].min() - margin / focal
    right, bottom = slopes[..., 0].max() + margin / focal, slopes[..., 1].max() + margin / focal
    canvas_px = (math.ceil((right - left) * focal), math.ceil((bottom - top) * focal))
    map_x, map_y = (slopes[..., 0] - left) * focal - 0.5, (slopes[..., 1] - top) * focal - 0.5
    return Lens(canvas_px, Canvas(float(focal), float(left), float(top)), map_x.astype(np.float32), map_y.astype(np.float32))


def _undistorted(camera: Camera, seen_x: Any, seen_y: Any) -> Floats:
    """(H, W, 2) slopes of the rays that the lens bends to these, by Newton's method."""
    assert isinstance(camera.geometry, Pinhole)
    x, y = seen_x, seen_y
    for _ in range(_NEWTON_STEPS):
        at_x, at_y, (a, b, c, d) = distort(camera.geometry.distortion, x, y)
        determinant = a * d - b * c
        if np.min(determinant) < 1e-3:
            raise BadInput(
                f"the distortion {camera.geometry.distortion} of camera '{camera.id}' folds its picture over at the edge"
            )
        off_x, off_y = at_x - seen_x, at_y - seen_y
        x, y = x - (d * off_x - b * off_y) / determinant, y - (a * off_y - c * off_x) / determinant
    return np.stack([x, y], axis=-1)
