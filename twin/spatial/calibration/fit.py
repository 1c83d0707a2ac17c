"""From marks to a calibration: which model, the fit, and what it is like without each pair."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from site_models.schema import CameraGeometry
from twin.spatial.calibration import remarks
from twin.spatial.calibration.least_squares import Fit, fit
from twin.spatial.calibration.marks import Marks
from twin.spatial.calibration.pinhole import begun
from twin.spatial.calibration.plane import Plane, ground_to_pixels
from twin.spatial.calibration.quality import (
    LEAST_SIGMA_M,
    Calibration,
    PairFit,
    focal_of,
    ground_sigma,
    horizon_row,
    off_ground_m,
)
from twin.spatial.calibration.remarks import Remark
from twin.spatial.compiled import Floats

Model = Literal["auto", "pinhole", "homography"]

LEAST_PAIRS, MAX_PAIRS = 4, 100
_N_STARTS = 3
_FOCAL_LOST = 0.4  # share of the focal length: where it is known no better, the ground alone is told
_MUCH_WORSE = 2.0  # times the homography's residuals: then the lens is not of this kind
_OUTLIER_D2 = 13.8  # of chi-squared with 2 degrees of freedom, once in a thousand
_OUTLIER_SIGMAS = 4.0


class Solution(Struct, frozen=True, kw_only=True):
    """What came of the marks: ``calibration`` is None where they give none, and a remark then says why."""

    calibration: Calibration | None
    remarks: tuple[Remark, ...]


class _LeftOut(Struct, frozen=True):
    """How the other pairs see one: metres on the ground, pixels, and squared Mahalanobis distance."""

    off_m: float | None
    off_px: float
    d2: float


def calibrate(marks: Marks, model: Model = "auto") -> Solution:
    """The camera's geometry that the marks say.

    ``auto`` looks for lens and pose, of which there are fewer unknowns than a homography has, and falls back to a homography
    of the ground where the focal length stays open or the lens does not fit.

    Args:
        marks: at most ``MAX_PAIRS`` pairs; the time grows with their square.
    """
    said = [*remarks.of_marks(marks)]
    if len(marks.pairs) < LEAST_PAIRS:
        there = f"{len(marks.pairs)} pair" + ("" if len(marks.pairs) == 1 else "s")
        text = f"There are {there}; a calibration needs at least {LEAST_PAIRS}, and 8 well spread are good."
        return Solution(calibration=None, remarks=(Remark(code="too_few", severity="error", text=text), *said))
    if (outside := remarks.outside(marks)) is not None:
        return Solution(calibration=None, remarks=(outside, *said))
    try:
        found = _chosen(marks, model)
        geometry = found.unknowns.geometry(found.parameters)
    except ValueError as wrong:
        code = "mirrored" if "mirrored" in str(wrong) else "degenerate"
        told = f"{str(wrong)[0].upper()}{str(wrong)[1:]}."
        return Solution(calibration=None, remarks=(Remark(code=code, severity="error", text=told), *said))
    others = [_left_out(found, marks, index) for index in range(len(marks.pairs))]
    made = _told(found, geometry, marks, others)
    said += [*_outliers(others, marks), *remarks.of_calibration(made, marks)]
    return Solution(calibration=made, remarks=tuple(said))


def _chosen(marks: Marks, model: Model) -> Fit:
    if model == "homography":
        return fit(Plane(marks))
    found = _lens_and_pose(marks)
    if model == "pinhole" or marks.lens is not None:
        return found
    flat = fit(Plane(marks))
    is_lost = math.sqrt(max(float(found.covariance[6, 6]), 0.0)) > _FOCAL_LOST
    is_worse = found.scale > _MUCH_WORSE and found.scale > _MUCH_WORSE * flat.scale
    return flat if is_lost or is_worse else found


def _lens_and_pose(marks: Marks) -> Fit:
    starts = begun(marks, ground_to_pixels(marks))[:_N_STARTS]
    return min((fit(one) for one in starts), key=lambda found: found.cost)


def _left_out(found: Fit, marks: Marks, index: int) -> _LeftOut | None:
    """How the calibration without a pair sees it; begun where the whole one ended."""
    if len(marks.pairs) <= LEAST_PAIRS:
        return None
    rest = marks.without(index)
    without = fit(found.unknowns.of(rest), found.parameters)
    try:
        (off_m,) = off_ground_m(without.unknowns.geometry(without.parameters), replace(marks, pairs=(marks.pairs[index],)))
    except ValueError:
        return None
    place = marks.ground()[index : index + 1]
    off: Floats = (without.unknowns.pixels(without.parameters, place) - marks.pixels()[index])[0]
    expected = _pixel_covariance(without, place) + np.eye(2) * (marks.sigma_px * without.scale) ** 2
    return _LeftOut(off_m, float(np.hypot(*off)), float(off @ np.linalg.solve(expected, off)))


def _pixel_covariance(found: Fit, place: Floats) -> Floats:
    here = found.unknowns.pixels(found.parameters, place)[0]
    columns = list[Floats]()
    for index, variance in enumerate(np.diag(found.covariance)):
        step = max(0.05 * math.sqrt(max(float(variance), 0.0)), 1e-9)
        moved = found.parameters.copy()
        moved[index] += step
        columns.append((found.unknowns.pixels(moved, place)[0] - here) / step)
    jacobian = np.column_stack(columns)
    return jacobian @ found.covariance @ jacobian.T


def _outliers(others: list[_LeftOut | None], marks: Marks) -> list[Remark]:
    """The pair that fits the others worst, where it does not fit them: one at a time, as a wrong one makes others look bad."""
    if len(marks.pairs) <= LEAST_PAIRS + 1:
        return []
    worst = max(range(len(others)), key=lambda index: _d2(others[index]))
    one = others[worst]
    if one is None or one.d2 < _OUTLIER_D2 or one.off_px < _OUTLIER_SIGMAS * marks.sigma_px:
        return []
    return [remarks.outlier(worst + 1, one.off_px)]


def _d2(one: _LeftOut | None) -> float:
    return -1.0 if one is None else one.d2


def _told(found: Fit, geometry: CameraGeometry, marks: Marks, others: list[_LeftOut | None]) -> Calibration:
    residuals = found.unknowns.pixels(found.parameters, marks.ground()) - marks.pixels()
    on_ground = off_ground_m(geometry, marks)
    left_out = [None if one is None else one.off_m for one in others]
    pairs = tuple(
        PairFit(
            residual_px=(round(float(dx), 3), round(float(dy), 3)),
            off_px=round(float(np.hypot(dx, dy)), 3),
            off_m=_rounded(off),
            left_out_m=_rounded(left),
        )
        for (dx, dy), off, left in zip(residuals, on_ground, left_out, strict=True)
    )
    ground = ground_sigma(found, marks)
    return Calibration(
        geometry=geometry,
        pairs=pairs,
        rms_px=round(float(np.sqrt((residuals**2).sum(axis=1).mean())), 3),
        rms_m=_rms(on_ground),
        left_out_m=_rms(left_out),
        ground=ground,
        sigma_m=max(LEAST_SIGMA_M, round(ground.median_m, 3)) if ground is not None else 0.1,
        focal_px=focal_of(found, geometry, marks),
        horizon_px=horizon_row(geometry, marks),
        covariance=tuple(float(f"{one:.6g}") for one in found.covariance.ravel()),
    )


def _rms(values: list[float | None]) -> float | None:
    told = [one for one in values if one is not None]
    return round(math.sqrt(sum(one * one for one in told) / len(told)), 4) if told else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
