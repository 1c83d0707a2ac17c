"""The model that knows lens and pose: position, rotation, one focal length and two coefficients of radial distortion."""

from __future__ import annotations

import math
from copy import copy

import numpy as np

from site_models.schema import Pinhole
from twin.spatial.calibration.marks import Lens, Marks
from twin.spatial.calibration.plumb_lines import PlumbLines
from twin.spatial.compiled import Floats

FOCAL_PRIOR = 0.7  # of its logarithm
_FOCAL_SHARE = 0.8  # of the frame's width: a lens that sees 64 degrees
K1_PRIOR, K2_PRIOR = 0.1, 0.03
"""Standard deviations of what is believed of a lens before it is seen: what pairs and lines say little of stays near a
common lens, and the covariance says so."""
_STARTS = (0.35, 0.55, 0.8, 1.2, 2.0, 3.5)  # shares of the width
_LEAST_DEPTH = 1e-3
_MOST_SLOPE = 10.0
_POSE = 6  # parameters: a turn about three axes, and a position


class LensAndPose:
    """Parameters: turn about x, y, z of the camera from where it began (radians), position less the pairs' middle (metres);
    and, of an unknown lens, the logarithm of the focal length, k1 and k2."""

    def __init__(self, marks: Marks, focal_px: float, rotation: Floats, position_m: Floats) -> None:
        width, height = marks.frame_px
        self._marks = marks
        self._pixels, self._ground = marks.pixels(), marks.ground()
        self._middle = np.array((*self._ground.mean(axis=0), marks.elevation_m))
        self._rotation = rotation
        self._lines = PlumbLines(marks.lines_px)
        self._centre = np.array((width / 2.0, height / 2.0) if marks.lens is None else marks.lens.k[2:])
        self._usual = math.log(_FOCAL_SHARE * width)
        begun = (0.0, 0.0, 0.0, *(position_m - self._middle))
        self.start: Floats = np.array(begun if marks.lens is not None else (*begun, math.log(focal_px), 0.0, 0.0))

    def of(self, marks: Marks) -> LensAndPose:
        """The same parameters, judged by other marks of the same camera."""
        other = copy(self)
        other._marks, other._pixels, other._ground = marks, marks.pixels(), marks.ground()
        return other

    def residuals(self, parameters: Floats) -> Floats:
        """Distances of the pairs in the picture, of the lines from straight ones, and of the lens from a common one."""
        sigma = self._marks.sigma_px
        pairs = ((self.pixels(parameters, self._ground) - self._pixels) / sigma).ravel()
        if self._marks.lens is not None:
            return pairs
        log_f, k1, k2 = parameters[_POSE:]
        lens = self._lens(parameters)
        lines = self._lines.off_straight(lens) * self._lines.weights / sigma
        believed = np.array(((log_f - self._usual) / FOCAL_PRIOR, k1 / K1_PRIOR, k2 / K2_PRIOR))
        return np.concatenate((pairs, lines, believed))

    def pixels(self, parameters: Floats, ground_m: Floats) -> Floats:
        """Of the ground's places; what is behind the camera comes out far away."""
        lens, turned = self._lens(parameters), turn(parameters[:3]) @ self._rotation
        apart = np.column_stack((ground_m, np.full(len(ground_m), self._middle[2]))) - self._middle - parameters[3:_POSE]
        seen = apart @ turned.T
        slopes = np.clip(seen[:, :2] / np.maximum(seen[:, 2:], _LEAST_DEPTH), -_MOST_SLOPE, _MOST_SLOPE)
        x, y = slopes[:, 0], slopes[:, 1]
        k1, k2, p1, p2, k3 = lens.distortion
        r2 = x * x + y * y
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        at_x = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        at_y = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
        return np.column_stack((at_x, at_y)) * lens.k[:2] + self._centre

    def geometry(self, parameters: Floats) -> Pinhole:
        """Rounded as a site is when it is loaded."""
        lens, position = self._lens(parameters), parameters[3:_POSE] + self._middle
        rotation = turn(parameters[:3]) @ self._rotation
        return Pinhole(
            k=tuple(round(float(one), 4) for one in lens.k),  # pyright: ignore[reportArgumentType]
            distortion=tuple(round(float(one), 9) + 0.0 for one in lens.distortion),  # pyright: ignore[reportArgumentType]
            position_m=tuple(round(float(one), 4) + 0.0 for one in position),  # pyright: ignore[reportArgumentType]
            rotation=tuple(round(float(one), 9) + 0.0 for one in rotation.ravel()),  # pyright: ignore[reportArgumentType]
        )

    def _lens(self, parameters: Floats) -> Lens:
        if self._marks.lens is not None:
            return self._marks.lens
        focal = math.exp(min(max(float(parameters[_POSE]), 0.0), 12.0))
        k1, k2 = float(parameters[_POSE + 1]), float(parameters[_POSE + 2])
        return Lens(k=(focal, focal, float(self._centre[0]), float(self._centre[1])), distortion=(k1, k2, 0.0, 0.0, 0.0))


def begun(marks: Marks, ground_to_pixels: Floats) -> list[LensAndPose]:
    """Where a fit may begin, the most likely first: a pose for each of several focal lengths, from the ground's homography.

    Raises:
        ValueError: all of them would look at the ground from below: the pairs are mirrored.

    Source: Zhang, "A flexible new technique for camera calibration" (2000), section 3.1.
    """
    width = marks.frame_px[0]
    focals = [share * width for share in _STARTS] if marks.lens is None else [marks.lens.k[0]]
    tried: list[tuple[float, LensAndPose]] = []
    for focal in focals:
        rotation, position = _pose(marks, ground_to_pixels, focal)
        if position[2] <= marks.elevation_m:
            continue
        one = LensAndPose(marks, focal, rotation, position)
        tried.append((float((one.residuals(one.start) ** 2).sum()), one))
    if not tried:
        raise ValueError("the pairs show the ground from below, mirrored; check that x is to the east and y to the north")
    return [one for _, one in sorted(tried, key=lambda pair: pair[0])]


def turn(about: Floats) -> Floats:
    """(3, 3) rotation by an axis times an angle, radians (Rodrigues)."""
    angle = float(np.linalg.norm(about))
    x, y, z = about / angle if angle > 1e-12 else about
    cross = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
    if angle <= 1e-12:
        return np.eye(3) + cross
    return np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross


def _pose(marks: Marks, ground_to_pixels: Floats, focal: float) -> tuple[Floats, Floats]:
    """Rotation and position that see the ground by the homography with this focal length, as nearly as a rotation can."""
    width, height = marks.frame_px
    cx, cy = (width / 2.0, height / 2.0) if marks.lens is None else marks.lens.k[2:]
    inverse = np.array(((1.0 / focal, 0.0, -cx / focal), (0.0, 1.0 / focal, -cy / focal), (0.0, 0.0, 1.0)))
    columns = inverse @ ground_to_pixels
    columns = columns / math.sqrt(float(np.linalg.norm(columns[:, 0]) * np.linalg.norm(columns[:, 1])))
    if (marks.ground() @ columns[2, :2] + columns[2, 2]).mean() < 0.0:
        columns = -columns
    first, second, shift = columns.T
    left, _, right = np.linalg.svd(np.column_stack((first, second, np.cross(first, second))))
    rotation = left @ np.diag((1.0, 1.0, np.linalg.det(left @ right))) @ right
    return rotation, -rotation.T @ shift + (0.0, 0.0, marks.elevation_m)
