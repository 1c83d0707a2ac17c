"""How good a calibration is: at its pairs, at pairs that it did not see, and over the ground that the camera shows."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from site_models.schema import CameraGeometry, Pinhole
from twin.spatial.calibration.least_squares import Fit
from twin.spatial.calibration.marks import Marks
from twin.spatial.camera import GroundCamera
from twin.spatial.compiled import Floats

_COLUMNS, _ROWS = 24, 16  # of pixels at which the ground's uncertainty is told
_STEP = 0.05  # of a parameter's standard deviation
LEAST_SIGMA_M = 0.05
"""No plan and no ground is truer than that."""


class PairFit(Struct, frozen=True, kw_only=True):
    """How far a pair is from where the calibration has it.

    Attributes:
        residual_px: the model's pixel less the marked one, x and y.
        off_px, off_m: distances in the picture and on the ground; ``off_m`` is None where the pixel sees no ground in range.
        left_out_m: the same of the calibration that is made without this pair; None where that cannot be.
    """

    residual_px: tuple[float, float]
    off_px: float
    off_m: float | None
    left_out_m: float | None


class GroundSigma(Struct, frozen=True, kw_only=True):
    """Standard deviation, in one direction, of places over the ground that the picture shows in range: the marks' noise, as far
    as the model is right. By area of the picture."""

    median_m: float
    p95_m: float
    worst_m: float


class Calibration(Struct, frozen=True, kw_only=True):
    """A camera's geometry, and how well it is known.

    Attributes:
        rms_px, rms_m: root mean square of the pairs' distances.
        left_out_m: root mean square of ``PairFit.left_out_m``: what to expect of a point that was not marked.
        sigma_m: what to tell the twin: the larger of the median of ``ground`` and 0.05 m.
        focal_px: focal length and its standard deviation; None of a homography.
        horizon_px: row of the horizon in the middle column; None where it is not in the picture.
        covariance: row-major, of the parameters as they were fitted: a turn (radians), a position (metres) and, of a lens that
            was looked for, the logarithm of its focal length, k1 and k2; or eight entries of a homography in unit coordinates.
    """

    geometry: CameraGeometry
    pairs: tuple[PairFit, ...]
    rms_px: float
    rms_m: float | None
    left_out_m: float | None
    ground: GroundSigma | None
    sigma_m: float
    focal_px: tuple[float, float] | None
    horizon_px: float | None
    covariance: tuple[float, ...]


def off_ground_m(geometry: CameraGeometry, marks: Marks) -> list[float | None]:
    """How far each pair's pixel meets the ground from its place; None where it meets none in range."""
    camera = GroundCamera(geometry, marks.frame_px, marks.elevation_m, LEAST_SIGMA_M, 10.0 * marks.range_m)
    pixels = marks.pixels()
    found = camera.to_ground(pixels, np.ones_like(pixels))
    off = np.hypot(*(found.points_m - marks.ground()).T)
    return [float(one) if is_valid else None for one, is_valid in zip(off, found.is_valid, strict=True)]


def ground_sigma(fit: Fit, marks: Marks) -> GroundSigma | None:
    """Of a fit's covariance over the picture; None where it shows no ground in range.

    First order: C_ground = J C Jᵀ with J by differences, at pixels of a grid.
    """
    pixels = _grid(marks)
    here, is_seen = _ground(fit.unknowns.geometry(fit.parameters), marks, pixels)
    jacobian = np.zeros((len(pixels), 2, len(fit.parameters)))
    spread = np.sqrt(np.maximum(np.diag(fit.covariance), 0.0))
    for index, sigma in enumerate(spread):
        step = max(_STEP * float(sigma), 1e-9)
        moved = fit.parameters.copy()
        moved[index] += step
        there, is_there = _ground(fit.unknowns.geometry(moved), marks, pixels, 3.0)
        jacobian[:, :, index] = np.where(is_there[:, None], there - here, 0.0) / step
    if not is_seen.any():
        return None
    jacobian = jacobian[is_seen]
    variances = np.einsum("nip,pq,niq->ni", jacobian, fit.covariance, jacobian)
    sigmas = np.sqrt(variances.mean(axis=1))
    return GroundSigma(
        median_m=round(float(np.median(sigmas)), 4),
        p95_m=round(float(np.quantile(sigmas, 0.95)), 4),
        worst_m=round(float(sigmas.max()), 4),
    )


def horizon_row(geometry: CameraGeometry, marks: Marks) -> float | None:
    """The row in the middle column above which no ground is seen; None where it is outside of the picture."""
    rows = np.arange(marks.frame_px[1], dtype=np.float64)
    pixels = np.column_stack((np.full_like(rows, marks.frame_px[0] / 2.0), rows))
    camera = GroundCamera(geometry, marks.frame_px, marks.elevation_m, LEAST_SIGMA_M, 1e6)
    is_ground = camera.to_ground(pixels, np.ones_like(pixels)).is_valid
    blind = np.flatnonzero(~is_ground)
    return None if len(blind) == 0 else float(rows[blind[-1]] + 1.0)


def ground_pixels(geometry: CameraGeometry, marks: Marks) -> tuple[Floats, Floats]:
    """Pixels of a grid that see ground in range, and that ground: (N, 2) both."""
    pixels = _grid(marks)
    ground, is_seen = _ground(geometry, marks, pixels)
    return pixels[is_seen], ground[is_seen]


def focal_of(fit: Fit, geometry: CameraGeometry, marks: Marks) -> tuple[float, float] | None:
    """Focal length and its standard deviation, pixels."""
    if not isinstance(geometry, Pinhole):
        return None
    if marks.lens is not None:
        return geometry.k[0], 0.0
    return geometry.k[0], round(geometry.k[0] * math.sqrt(max(float(fit.covariance[6, 6]), 0.0)), 2)


def _grid(marks: Marks) -> Floats:
    width, height = marks.frame_px
    x = (np.arange(_COLUMNS) + 0.5) * width / _COLUMNS
    y = (np.arange(_ROWS) + 0.5) * height / _ROWS
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _ground(geometry: CameraGeometry, marks: Marks, pixels: Floats, slack: float = 1.0) -> tuple[Floats, np.ndarray]:
    camera = GroundCamera(geometry, marks.frame_px, marks.elevation_m, LEAST_SIGMA_M, slack * marks.range_m)
    found = camera.to_ground(pixels, np.ones_like(pixels))
    return found.points_m, found.is_valid
