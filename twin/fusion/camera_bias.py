"""What a camera gets wrong everywhere: the error of its pose, estimated from vehicles that stand.

The residual of a camera's own mean of looks against what others say is linear in a few errors of its pose. They are estimated
by recursive least squares in information form, with a prior of zero that never fades, while stays do. So two cameras that
disagree share the error, as each is unsure of the other; who has many partners is hardly moved by one of them. A stay that
does not fit counts less the less it fits, as under a Student t distribution.

Sources: Bar-Shalom, Willett & Tian, "Tracking and Data Fusion" (2011), on sensor registration; Ljung, "System
Identification" (1999), 11.2, on forgetting; Lange, Little & Taylor, "Robust statistical modeling using the t distribution"
(1989), on the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from twin.events.ids import Micros
from twin.fusion.motion import Cov2
from twin.fusion.place import squared_distance
from twin.spatial.camera import GroundCamera
from twin.spatial.pose_error import N_ERRORS, Effects, Errors, effects

Upper = tuple[float, ...]
"""K (K + 1) / 2: the upper triangle of a symmetric (K, K) matrix, by rows."""

NO_ERRORS: Errors = (0.0,) * N_ERRORS

_TILT_SIGMA, _PAN_SIGMA = 0.006, 0.012  # rad: a plumb line tells how a camera is tilted, nothing so well where it looks
_AWAY_SIGMA_M = 0.15
_LEAST_SHIFT_SIGMA_M = 0.1
_MEMORY = 80  # stays after which the oldest begin to fade
_FREEDOM = 4.0  # degrees of, of the t distribution
_NO_INFORMATION: Upper = (0.0,) * (N_ERRORS * (N_ERRORS + 1) // 2)


class CameraBias(Struct, frozen=True, gc=False, array_like=True):
    """What stays have told of a camera's pose.

    Attributes:
        since: when the geometry that it is of was calibrated; None: as the site has it.
        n: stays that were counted.
        information, vector: sums of Jᵀ W J and Jᵀ W r over them, without the prior.
        x, y: the mean of where they stood.
        told: the errors that were told last, and that measured places are put right by; empty before.
        known: 0..1, how much of the calibration's own variance the told errors take away.
    """

    since: Micros | None = None
    n: int = 0
    information: Upper = _NO_INFORMATION
    vector: Errors = NO_ERRORS
    x: float = 0.0
    y: float = 0.0
    told: Errors = ()
    known: float = 0.0


class Estimate(Struct, frozen=True):
    """A camera's errors: (K,) means and (K, K) covariance, by rows."""

    errors: Errors
    covariance: tuple[Errors, ...]


def estimate(bias: CameraBias, camera: GroundCamera) -> Estimate:
    """The most likely errors after the stays that were counted, and how sure they are."""
    rows, at = [[0.0] * N_ERRORS for _ in range(N_ERRORS)], 0
    for i, sigma in enumerate(_prior(camera)):
        for j in range(i, N_ERRORS):
            rows[i][j] = rows[j][i] = bias.information[at]
            at += 1
        rows[i][i] += 1.0 / (sigma * sigma)
    covariance = _inverse(rows)
    return Estimate(tuple(_dot(row, bias.vector) for row in covariance), covariance)


def spread(known: Estimate, by: Effects) -> Cov2:
    """xx, xy, yy of how uncertain a camera's errors leave a place."""
    (east, north), covariance = by, known.covariance
    across = [_dot(row, north) for row in covariance]
    return _dot([_dot(row, east) for row in covariance], east), _dot(across, east), _dot(across, north)


def share_known(bias: CameraBias, camera: GroundCamera) -> float:
    """0..1, by how much the stays that were counted have lessened the variance where they stood."""
    by = effects(camera, bias.x, bias.y)
    before, after = spread(estimate(CameraBias(), camera), by), spread(estimate(bias, camera), by)
    return max(0.0, 1.0 - (after[0] + after[2]) / (before[0] + before[2]))


def counted(
    bias: CameraBias, camera: GroundCamera, place_m: tuple[float, float], residual_m: tuple[float, float], noise_m2: Cov2
) -> CameraBias:
    """After another vehicle's stay.

    Args:
        place_m: where it stands.
        residual_m: the camera's own mean, as measured, minus what others say.
        noise_m2: of the residual, without what the camera's own errors add.
    """
    (x, y), by = place_m, effects(camera, *place_m)
    known = estimate(bias, camera)
    off_x, off_y = residual_m[0] - _dot(known.errors, by[0]), residual_m[1] - _dot(known.errors, by[1])
    own = spread(known, by)
    d2 = squared_distance(off_x, off_y, (noise_m2[0] + own[0], noise_m2[1] + own[1], noise_m2[2] + own[2]))
    weight = min(1.0, (_FREEDOM + 2.0) / (_FREEDOM + d2))
    keep = 1.0 if bias.n < _MEMORY else 1.0 - 1.0 / _MEMORY
    a, b, c = (weight * one for one in _inverse_2x2(noise_m2))
    east = [a * e + b * n for e, n in zip(*by, strict=True)]
    north = [b * e + c * n for e, n in zip(*by, strict=True)]
    added = [by[0][i] * east[j] + by[1][i] * north[j] for i in range(N_ERRORS) for j in range(i, N_ERRORS)]
    gain = 1.0 / min(bias.n + 1, _MEMORY)
    return CameraBias(
        bias.since,
        bias.n + 1,
        tuple(keep * before + more for before, more in zip(bias.information, added, strict=True)),
        tuple(
            keep * before + e * residual_m[0] + n * residual_m[1] for before, e, n in zip(bias.vector, east, north, strict=True)
        ),
        bias.x + gain * (x - bias.x),
        bias.y + gain * (y - bias.y),
        bias.told,
        bias.known,
    )


def _inverse_2x2(matrix: Cov2) -> Cov2:
    """Of a symmetric positive definite matrix xx, xy, yy."""
    xx, xy, yy = matrix
    determinant = xx * yy - xy * xy
    return yy / determinant, -xy / determinant, xx / determinant


def _prior(camera: GroundCamera) -> tuple[float, ...]:
    """(K,) standard deviations."""
    shift = max(camera.sigma_m, _LEAST_SHIFT_SIGMA_M)
    return _TILT_SIGMA, _TILT_SIGMA, _PAN_SIGMA, shift, shift, _AWAY_SIGMA_M


def _inverse(rows: Sequence[Sequence[float]]) -> tuple[Errors, ...]:
    """Of a symmetric positive definite (K, K) matrix, by Gauss-Jordan elimination, which then needs no pivots.

    Source: Higham, "Accuracy and Stability of Numerical Algorithms" (2002), 14.4.
    """
    n = len(rows)
    work = [[*row, *(1.0 if i == j else 0.0 for j in range(n))] for i, row in enumerate(rows)]
    for i in range(n):
        pivot = work[i] = [value / work[i][i] for value in work[i]]
        for k in range(n):
            if k != i and (factor := work[k][i]) != 0.0:
                work[k] = [value - factor * other for value, other in zip(work[k], pivot, strict=True)]
    return tuple(tuple(row[n:]) for row in work)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    total = 0.0
    for a, b in zip(one, other, strict=True):
        total += a * b
    return total
