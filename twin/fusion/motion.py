"""Constant-velocity Kalman filter on the ground, in closed form.

State [x, y, vx, vy]; the covariance's upper triangle is ten numbers. Scalar arithmetic only: no BLAS, the same bits anywhere.

Source: Bar-Shalom, Li & Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), 6.2.2 (continuous
white-noise acceleration) and 5.2.3 (update).
"""

from __future__ import annotations

from msgspec import Struct

from twin.events.ids import SECOND, Micros
from twin.spatial.compiled import compiled

Upper = tuple[float, float, float, float, float, float, float, float, float, float]
"""xx, xy, xu, xv, yy, yu, yv, uu, uv, vv with u = vx, v = vy."""

Cov2 = tuple[float, float, float]


class Motion(Struct, frozen=True, gc=False, array_like=True):
    """An estimate at a time: metres, metres a second, and their covariance."""

    at: Micros
    x: float
    y: float
    vx: float
    vy: float
    p: Upper

    @property
    def covariance_m2(self) -> Cov2:
        """xx, xy, yy of the position."""
        return self.p[0], self.p[1], self.p[4]

    @property
    def speed2(self) -> float:
        """Squared speed."""
        return self.vx * self.vx + self.vy * self.vy


def born(at: Micros, x: float, y: float, covariance_m2: Cov2, speed_sigma_mps: float) -> Motion:
    """A new estimate at a measured place, with an unknown velocity."""
    xx, xy, yy = covariance_m2
    var = speed_sigma_mps * speed_sigma_mps
    return Motion(at, x, y, 0.0, 0.0, (xx, xy, 0.0, 0.0, yy, 0.0, 0.0, var, 0.0, var))


def predict(motion: Motion, at: Micros, q: float) -> Motion:
    """The estimate at a later time; at an earlier or the same time, as it is.

    Args:
        q: power spectral density of the acceleration noise, m²/s³.
    """
    if at <= motion.at:
        return motion
    t = (at - motion.at) / SECOND
    return Motion(at, motion.x + t * motion.vx, motion.y + t * motion.vy, motion.vx, motion.vy, _predicted(motion.p, t, q))


@compiled
def _predicted(p: Upper, t: float, q: float) -> Upper:
    xx, xy, xu, xv, yy, yu, yv, uu, uv, vv = p
    q1, q2, q3 = q * t, q * t * t / 2.0, q * t * t * t / 3.0
    return (
        xx + 2.0 * t * xu + t * t * uu + q3,
        xy + t * (xv + yu) + t * t * uv,
        xu + t * uu + q2,
        xv + t * uv,
        yy + 2.0 * t * yv + t * t * vv + q3,
        yu + t * uv,
        yv + t * vv + q2,
        uu + q1,
        uv,
        vv + q1,
    )


def stopped(motion: Motion, at: Micros, sigma_mps: float) -> Motion:
    """The estimate after a look, not before it, that shows no motion since then: a measured velocity of 0, each axis by itself.

    The place is as it was, and as sure: what the speed could have done meanwhile it did not.
    """
    xx, xy, xu, xv, yy, yu, yv, uu, uv, vv = motion.p
    var = sigma_mps * sigma_mps
    ku, kv = var / (uu + var), var / (vv + var)
    p: Upper = (xx, xy, xu * ku, xv * kv, yy, yu * ku, yv * kv, uu * ku, uv * ku * kv, vv * kv)
    return Motion(max(at, motion.at), motion.x, motion.y, motion.vx * ku, motion.vy * kv, p)


def with_floor(motion: Motion, sigma_m: float) -> Motion:
    """The same estimate, its place no surer than ``sigma_m`` in x and in y."""
    xx, xy, xu, xv, yy, *velocity = motion.p
    least = sigma_m * sigma_m
    if xx >= least and yy >= least:
        return motion
    yu, yv, uu, uv, vv = velocity
    p: Upper = (max(xx, least), xy, xu, xv, max(yy, least), yu, yv, uu, uv, vv)
    return Motion(motion.at, motion.x, motion.y, motion.vx, motion.vy, p)


def update(motion: Motion, x: float, y: float, covariance_m2: Cov2) -> Motion:
    """The estimate after a measured position with its covariance R: P - K S Kᵀ with S = HPHᵀ + R."""
    xx, xy, yy = covariance_m2
    x, y, vx, vy, p = _updated(motion.x, motion.y, motion.vx, motion.vy, motion.p, x, y, xx, xy, yy)
    return Motion(motion.at, x, y, vx, vy, p)


@compiled
def _updated(
    x: float, y: float, vx: float, vy: float, p: Upper, to_x: float, to_y: float, r_xx: float, r_xy: float, r_yy: float
) -> tuple[float, float, float, float, Upper]:
    xx, xy, xu, xv, yy, yu, yv, uu, uv, vv = p
    a, b, c = xx + r_xx, xy + r_xy, yy + r_yy
    determinant = a * c - b * b
    ia, ib, ic = c / determinant, -b / determinant, a / determinant
    kx1, kx2 = xx * ia + xy * ib, xx * ib + xy * ic
    ky1, ky2 = xy * ia + yy * ib, xy * ib + yy * ic
    ku1, ku2 = xu * ia + yu * ib, xu * ib + yu * ic
    kv1, kv2 = xv * ia + yv * ib, xv * ib + yv * ic
    dx, dy = to_x - x, to_y - y
    after = (
        xx - kx1 * xx - kx2 * xy,
        xy - kx1 * xy - kx2 * yy,
        xu - kx1 * xu - kx2 * yu,
        xv - kx1 * xv - kx2 * yv,
        yy - ky1 * xy - ky2 * yy,
        yu - ky1 * xu - ky2 * yu,
        yv - ky1 * xv - ky2 * yv,
        uu - ku1 * xu - ku2 * yu,
        uv - ku1 * xv - ku2 * yv,
        vv - kv1 * xv - kv2 * yv,
    )
    moved = x + (kx1 * dx + kx2 * dy), y + (ky1 * dx + ky2 * dy), vx + (ku1 * dx + ku2 * dy), vy + (kv1 * dx + kv2 * dy)
    return moved[0], moved[1], moved[2], moved[3], after
