"""The model that knows the ground alone: a homography between it and the picture."""

from __future__ import annotations

from copy import copy

import numpy as np

from site_models.camera_entries import fit_homography
from site_models.schema import GroundHomography
from twin.spatial.calibration.marks import Marks
from twin.spatial.compiled import Floats

_LEAST_WEIGHT = 1e-6


def ground_to_pixels(marks: Marks) -> Floats:
    """(3, 3) by the normalized direct linear transform, positive weight in front.

    Raises:
        ValueError: fewer than four pairs, all but one on a line, or on both sides of the horizon.

    Source: Hartley & Zisserman, "Multiple View Geometry" (2004), algorithm 4.2.
    """
    swapped = tuple((*pair.ground_m, *pair.pixel_px) for pair in marks.pairs)
    return np.array(fit_homography(swapped)).reshape(3, 3)


class Plane:
    """Eight numbers: the homography's entries between centred and scaled coordinates, the last of which is 1."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._pixels, self._ground = marks.pixels(), marks.ground()
        self._from_ground = _to_unit(self._ground)
        self._to_pixels = np.linalg.inv(_to_unit(self._pixels))
        unit = np.linalg.inv(self._to_pixels) @ ground_to_pixels(marks) @ np.linalg.inv(self._from_ground)
        self.start: Floats = (unit / unit[2, 2]).ravel()[:8]

    def of(self, marks: Marks) -> Plane:
        """The same parameters, judged by other marks of the same camera."""
        other = copy(self)
        other._marks, other._pixels, other._ground = marks, marks.pixels(), marks.ground()
        return other

    def residuals(self, parameters: Floats) -> Floats:
        """Distances of the pairs in the picture."""
        return ((self.pixels(parameters, self._ground) - self._pixels) / self._marks.sigma_px).ravel()

    def pixels(self, parameters: Floats, ground_m: Floats) -> Floats:
        """Of the ground's places."""
        h = self._matrix(parameters)
        flat = ground_m @ h[:, :2].T + h[:, 2]
        weight = np.where(np.abs(flat[:, 2]) > _LEAST_WEIGHT, flat[:, 2], _LEAST_WEIGHT)
        return flat[:, :2] / weight[:, None]

    def geometry(self, parameters: Floats) -> GroundHomography:
        """Pixel to ground, of weight 1 where the nearest ground is: at the bottom centre of the frame."""
        matrix = np.linalg.inv(self._matrix(parameters))
        width, height = self._marks.frame_px
        u, v = self._pixels.mean(axis=0)
        if (matrix[2] @ (u, v, 1.0)) * (matrix[2] @ (width / 2, height, 1.0)) <= 0:
            raise ValueError("the horizon runs below the bottom of the picture; check the pairs")
        matrix = matrix / (matrix[2] @ (width / 2, height, 1.0))
        return GroundHomography(matrix=tuple(float(f"{value:.12g}") + 0.0 for value in matrix.ravel()))  # pyright: ignore[reportArgumentType]

    def _matrix(self, parameters: Floats) -> Floats:
        return self._to_pixels @ np.append(parameters, 1.0).reshape(3, 3) @ self._from_ground


def _to_unit(points: Floats) -> Floats:
    centre = points.mean(axis=0)
    scale = np.sqrt(2.0) / max(float(np.sqrt(((points - centre) ** 2).sum(axis=1)).mean()), 1e-12)
    return np.array([[scale, 0.0, -scale * centre[0]], [0.0, scale, -scale * centre[1]], [0.0, 0.0, 1.0]])
