"""Pixels to ground and back, with covariance.

Elementwise ``+ - * /`` and ``sqrt`` only: no BLAS and no transcendental, so every machine gets the same bits.
Shape letters: N points, M corners.
"""

from __future__ import annotations

from typing import Self, TypeVar

import numpy as np
from msgspec import Struct

from site_models.schema import Camera, CameraGeometry, GroundHomography, Level, Pinhole
from twin.errors import ShapeError
from twin.spatial.compiled import Bools, Floats
from twin.spatial.ground import INVERTED, LEAST_DEPTH_M, LEAST_WEIGHT, MAX_SLOPE, NEWTON_STEPS, SHARP, SINGULAR

Slopes = TypeVar("Slopes", Floats, float)

_FEW = 8
"""Up to so many points are projected one by one."""


class GroundPoints(Struct, frozen=True, kw_only=True):
    """Where pixels meet the ground.

    Attributes:
        points_m: (N, 2) site frame; zero where not valid.
        covariance_m2: (N, 3) xx, xy, yy.
        is_valid: (N,) the ray hits the ground in front of the camera, within its range.
    """

    points_m: Floats
    covariance_m2: Floats
    is_valid: Bools


class ImagePoints(Struct, frozen=True, kw_only=True):
    """Where points of the site appear.

    Attributes:
        points_px: (N, 2); may lie outside the frame; zero where not in front.
        is_in_front: (N,) bool.
    """

    points_px: Floats
    is_in_front: Bools


class GroundCamera:
    """One camera over one horizontal plane."""

    def __init__(
        self,
        geometry: CameraGeometry,
        frame_px: tuple[int, int],
        elevation_m: float = 0.0,
        sigma_m: float = 0.1,
        range_m: float = 60.0,
    ) -> None:
        self.geometry = geometry
        self.frame_px = frame_px
        self.elevation_m = elevation_m
        self.sigma_m = sigma_m
        self.range_m = range_m
        self._to_ground = _ground_homography(geometry, elevation_m)
        self._from_ground = inverse_3x3(self._to_ground)
        self._origin_m = _origin(geometry, self._to_ground, frame_px)
        self.numbers = self._numbers()

    @classmethod
    def of(cls, camera: Camera, level: Level) -> Self:
        """The camera as the site configures it, over its level's ground."""
        return cls(camera.geometry, camera.frame_px, level.elevation_m, camera.sigma_m, camera.range_m)

    def _numbers(self) -> Floats:
        """All that kernels need, (45,): 1 for a pinhole; k; distortion; rotation; position; the homographies to and from the
        ground by rows; origin, elevation, sigma and range, in metres. A homography has no lens and no pose."""
        lens, pose = (1.0, 1.0, 0.0, 0.0, *(0.0,) * 5), (0.0,) * 12
        if isinstance(self.geometry, Pinhole):
            lens, pose = (*self.geometry.k, *self.geometry.distortion), (*self.geometry.rotation, *self.geometry.position_m)
        is_pinhole = float(isinstance(self.geometry, Pinhole))
        rest = (*self._origin_m, self.elevation_m, self.sigma_m, self.range_m)
        return np.array((is_pinhole, *lens, *pose, *self._to_ground, *self._from_ground, *rest), dtype=np.float64)

    @property
    def origin_m(self) -> tuple[float, float]:
        """The point on the ground from which range is measured: under the lens, or where the nearest ground is seen."""
        return self._origin_m

    def to_ground(self, points_px: Floats, sigma_px: Floats) -> GroundPoints:
        """Ground points of pixels, with first-order covariance R = J Σ Jᵀ + sigma_m² I.

        Args:
            points_px: (N, 2) pixels of the full frame, distorted as the camera sees them.
            sigma_px: (N, 2) standard deviations in x and y.

        Raises:
            ShapeError: the arguments are not both (N, 2).
        """
        check_columns("points_px", points_px, 2)
        check_columns("sigma_px", sigma_px, 2)
        if len(points_px) != len(sigma_px):
            raise ShapeError(f"points_px has {len(points_px)} rows but sigma_px has {len(sigma_px)}; give one each")
        if len(points_px) <= _FEW:
            return self._few_to_ground(points_px, sigma_px)
        x, y, jacobian_lens, is_sharp = self._undistorted(points_px[:, 0], points_px[:, 1])
        east, north, jacobian_plane, is_ahead = self._project(x, y)
        jacobian = _chain(jacobian_plane, jacobian_lens)
        covariance = _covariance(jacobian, sigma_px, self.sigma_m)
        dx, dy = east - self._origin_m[0], north - self._origin_m[1]
        is_near = dx * dx + dy * dy <= self.range_m * self.range_m
        is_valid = is_sharp & is_ahead & is_near
        points = np.where(is_valid[:, None], np.stack((east, north), axis=1), 0.0)
        return GroundPoints(points_m=points, covariance_m2=np.where(is_valid[:, None], covariance, 0.0), is_valid=is_valid)

    def _few_to_ground(self, points_px: Floats, sigma_px: Floats) -> GroundPoints:
        """``to_ground`` point by point, to the same bits: for a few points numpy's calls cost more than their arithmetic."""
        n = len(points_px)
        points, covariance, is_valid = np.zeros((n, 2)), np.zeros((n, 3)), np.zeros(n, dtype=np.bool_)
        for row, ((u, v), (sigma_u, sigma_v)) in enumerate(zip(points_px.tolist(), sigma_px.tolist(), strict=True)):
            ray = self._ray(u, v)
            if ray is None:
                continue
            x, y, (e, f, g, h) = ray
            plane = self._to_ground
            weight = plane[6] * x + plane[7] * y + plane[8]
            if not weight > LEAST_WEIGHT:
                continue
            inverse = 1.0 / weight
            east = (plane[0] * x + plane[1] * y + plane[2]) * inverse
            north = (plane[3] * x + plane[4] * y + plane[5]) * inverse
            dx, dy = east - self._origin_m[0], north - self._origin_m[1]
            if not dx * dx + dy * dy <= self.range_m * self.range_m:
                continue
            p, q = (plane[0] - east * plane[6]) * inverse, (plane[1] - east * plane[7]) * inverse
            r, s = (plane[3] - north * plane[6]) * inverse, (plane[4] - north * plane[7]) * inverse
            a, b, c, d = p * e + q * g, p * f + q * h, r * e + s * g, r * f + s * h
            var_u, var_v, own = sigma_u * sigma_u, sigma_v * sigma_v, self.sigma_m * self.sigma_m
            points[row] = east, north
            covariance[row, 0] = a * a * var_u + b * b * var_v + own
            covariance[row, 1] = a * c * var_u + b * d * var_v
            covariance[row, 2] = c * c * var_u + d * d * var_v + own
            is_valid[row] = True
        return GroundPoints(points_m=points, covariance_m2=covariance, is_valid=is_valid)

    def _ray(self, u: float, v: float) -> tuple[float, float, tuple[float, float, float, float]] | None:
        """``_undistorted`` of one pixel; None where the lens model cannot be inverted."""
        if isinstance(self.geometry, GroundHomography):
            return u, v, (1.0, 0.0, 0.0, 1.0)
        fx, fy, cx, cy = self.geometry.k
        x, y = target_x, target_y = (u - cx) / fx, (v - cy) / fy
        for _ in range(NEWTON_STEPS):
            at_x, at_y, (a, b, c, d) = distort(self.geometry.distortion, x, y)
            determinant = a * d - b * c
            determinant = 1.0 if abs(determinant) < SINGULAR else determinant
            off_x, off_y = at_x - target_x, at_y - target_y
            before = x, y
            x = _clip(x - (d * off_x - b * off_y) / determinant)
            y = _clip(y - (a * off_y - c * off_x) / determinant)
            if (x, y) == before:
                break
        at_x, at_y, (a, b, c, d) = distort(self.geometry.distortion, x, y)
        determinant = a * d - b * c
        if not (determinant > SHARP and abs(at_x - target_x) + abs(at_y - target_y) < INVERTED):
            return None
        return x, y, (d / determinant / fx, -b / determinant / fy, -c / determinant / fx, a / determinant / fy)

    def to_pixels(self, points_m: Floats) -> ImagePoints:
        """Pixels of points in the site frame, lens distortion included.

        Args:
            points_m: (N, 3) site frame, z above the site datum. A homography only knows its plane: z is not used.

        Raises:
            ShapeError: not (N, 3).
        """
        check_columns("points_m", points_m, 3)
        if isinstance(self.geometry, GroundHomography):
            return self._plane_to_pixels(points_m)
        if len(points_m) <= 2 * _FEW:
            return self._few_to_pixels(self.geometry, points_m)
        r, (cx, cy, cz) = self.geometry.rotation, self.geometry.position_m
        dx, dy, dz = points_m[:, 0] - cx, points_m[:, 1] - cy, points_m[:, 2] - cz
        depth = r[6] * dx + r[7] * dy + r[8] * dz
        is_ahead = depth > LEAST_DEPTH_M
        safe = np.where(is_ahead, depth, 1.0)
        x = (r[0] * dx + r[1] * dy + r[2] * dz) / safe
        y = (r[3] * dx + r[4] * dy + r[5] * dz) / safe
        is_seen = is_ahead & (np.abs(x) <= MAX_SLOPE) & (np.abs(y) <= MAX_SLOPE)
        u, v = self._distorted(np.where(is_seen, x, 0.0), np.where(is_seen, y, 0.0))
        return ImagePoints(points_px=np.where(is_seen[:, None], np.stack((u, v), axis=1), 0.0), is_in_front=is_seen)

    @staticmethod
    def _few_to_pixels(pinhole: Pinhole, points_m: Floats) -> ImagePoints:
        """``to_pixels`` point by point, to the same bits."""
        r, (cx, cy, cz), (fx, fy, px, py) = pinhole.rotation, pinhole.position_m, pinhole.k
        points: list[tuple[float, float]] = []
        is_seen: list[bool] = []
        for east, north, up in points_m.tolist():
            dx, dy, dz = east - cx, north - cy, up - cz
            depth = r[6] * dx + r[7] * dy + r[8] * dz
            safe = depth if depth > LEAST_DEPTH_M else 1.0
            x, y = (r[0] * dx + r[1] * dy + r[2] * dz) / safe, (r[3] * dx + r[4] * dy + r[5] * dz) / safe
            is_seen.append(depth > LEAST_DEPTH_M and abs(x) <= MAX_SLOPE and abs(y) <= MAX_SLOPE)
            at_x, at_y = distorted(pinhole.distortion, x, y) if is_seen[-1] else (0.0, 0.0)
            points.append((at_x * fx + px, at_y * fy + py) if is_seen[-1] else (0.0, 0.0))
        return ImagePoints(points_px=np.array(points).reshape(len(points), 2), is_in_front=np.array(is_seen, dtype=np.bool_))

    def footprint_m(self, n_per_edge: int = 12) -> Floats:
        """(M, 2) ring of the ground that the frame shows, clipped to ``range_m``; M is 0 when it shows none.

        Walks the frame's border; where a border pixel sees no ground within range, the ray's bearing is cut at the range.
        """
        border = self._border(n_per_edge)
        x, y, _, _ = self._undistorted(border[:, 0], border[:, 1])
        east, north, _, is_ahead = self._project(x, y)
        dx, dy = east - self._origin_m[0], north - self._origin_m[1]
        away = np.sqrt(dx * dx + dy * dy)
        if isinstance(self.geometry, Pinhole):
            flat_x, flat_y = self._bearing(x, y)
            dx, dy = np.where(is_ahead, dx, flat_x), np.where(is_ahead, dy, flat_y)
            away = np.where(is_ahead, away, np.inf)
        elif not is_ahead.all():
            dx, dy, away = dx[is_ahead], dy[is_ahead], away[is_ahead]
        length = np.sqrt(dx * dx + dy * dy)
        scale = np.where(away > self.range_m, self.range_m / np.where(length > 0, length, 1.0), 1.0)
        if not (np.isfinite(away)).any():
            return np.zeros((0, 2))
        return np.stack((self._origin_m[0] + dx * scale, self._origin_m[1] + dy * scale), axis=1)

    def _border(self, n: int) -> Floats:
        width, height = self.frame_px
        along = np.arange(n) / n
        zero = np.zeros(n)
        bottom = np.stack((along * width, zero + height), axis=1)
        right = np.stack((zero + width, height - along * height), axis=1)
        top = np.stack((width - along * width, zero), axis=1)
        left = np.stack((zero, along * height), axis=1)
        return np.concatenate((bottom, right, top, left))

    def _bearing(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        assert isinstance(self.geometry, Pinhole)
        r = self.geometry.rotation
        return r[0] * x + r[3] * y + r[6], r[1] * x + r[4] * y + r[7]

    def _project(self, x: Floats, y: Floats) -> tuple[Floats, Floats, tuple[Floats, Floats, Floats, Floats], Bools]:
        h = self._to_ground
        weight = h[6] * x + h[7] * y + h[8]
        is_ahead = weight > LEAST_WEIGHT
        inverse = 1.0 / np.where(is_ahead, weight, 1.0)
        east, north = (h[0] * x + h[1] * y + h[2]) * inverse, (h[3] * x + h[4] * y + h[5]) * inverse
        jacobian = (
            (h[0] - east * h[6]) * inverse,
            (h[1] - east * h[7]) * inverse,
            (h[3] - north * h[6]) * inverse,
            (h[4] - north * h[7]) * inverse,
        )
        return east, north, jacobian, is_ahead

    def _plane_to_pixels(self, points_m: Floats) -> ImagePoints:
        h, x, y = self._from_ground, points_m[:, 0], points_m[:, 1]
        weight = h[6] * x + h[7] * y + h[8]
        is_ahead = weight > LEAST_WEIGHT
        safe = np.where(is_ahead, weight, 1.0)
        u, v = (h[0] * x + h[1] * y + h[2]) / safe, (h[3] * x + h[4] * y + h[5]) / safe
        return ImagePoints(points_px=np.where(is_ahead[:, None], np.stack((u, v), axis=1), 0.0), is_in_front=is_ahead)

    def _undistorted(self, u: Floats, v: Floats) -> tuple[Floats, Floats, tuple[Floats, Floats, Floats, Floats], Bools]:
        """Normalized ray slopes of pixels, their Jacobian, and where the lens model can be inverted."""
        one, zero = np.ones_like(u), np.zeros_like(u)
        if isinstance(self.geometry, GroundHomography):
            return u, v, (one, zero, zero, one), one > 0
        fx, fy, cx, cy = self.geometry.k
        target_x, target_y = (u - cx) / fx, (v - cy) / fy
        x, y = target_x, target_y
        a, b, c, d = one, zero, zero, one
        for _ in range(NEWTON_STEPS):
            at_x, at_y, (a, b, c, d) = distort(self.geometry.distortion, x, y)
            determinant = a * d - b * c
            determinant = np.where(np.abs(determinant) < SINGULAR, 1.0, determinant)
            off_x, off_y = at_x - target_x, at_y - target_y
            before_x, before_y = x, y
            x = np.clip(x - (d * off_x - b * off_y) / determinant, -2 * MAX_SLOPE, 2 * MAX_SLOPE)
            y = np.clip(y - (a * off_y - c * off_x) / determinant, -2 * MAX_SLOPE, 2 * MAX_SLOPE)
            if bool((x == before_x).all()) and bool((y == before_y).all()):
                break
        at_x, at_y, (a, b, c, d) = distort(self.geometry.distortion, x, y)
        determinant = a * d - b * c
        is_sharp = (determinant > SHARP) & (np.abs(at_x - target_x) + np.abs(at_y - target_y) < INVERTED)
        safe = np.where(is_sharp, determinant, 1.0)
        jacobian = (d / safe / fx, -b / safe / fy, -c / safe / fx, a / safe / fy)
        return x, y, jacobian, is_sharp

    def _distorted(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        assert isinstance(self.geometry, Pinhole)
        fx, fy, cx, cy = self.geometry.k
        at_x, at_y = distorted(self.geometry.distortion, x, y)
        return at_x * fx + cx, at_y * fy + cy


def distort(
    coefficients: tuple[float, float, float, float, float], x: Slopes, y: Slopes
) -> tuple[Slopes, Slopes, tuple[Slopes, Slopes, Slopes, Slopes]]:
    """Lens distortion of ray slopes, and its Jacobian (dx/dx, dx/dy, dy/dx, dy/dy).

    Args:
        coefficients: k1, k2, p1, p2, k3.
        x, y: (N,) undistorted slopes, or those of one ray.

    Source: the Brown-Conrady model as OpenCV documents it for ``projectPoints``.
    """
    k1, k2, p1, p2, k3 = coefficients
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    at_x, at_y = distorted(coefficients, x, y)
    slope = k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3)  # d radial / d r2
    mixed = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
    xx = radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
    yy = radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
    return at_x, at_y, (xx, mixed, mixed, yy)


def distorted(coefficients: tuple[float, float, float, float, float], x: Slopes, y: Slopes) -> tuple[Slopes, Slopes]:
    """``distort`` without its Jacobian."""
    k1, k2, p1, p2, k3 = coefficients
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    at_x = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    at_y = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    return at_x, at_y


def _clip(slope: float) -> float:
    return min(max(slope, -2 * MAX_SLOPE), 2 * MAX_SLOPE)


def inverse_3x3(m: tuple[float, ...]) -> tuple[float, ...]:
    """Inverse of a row-major 3x3 by cofactors.

    Raises:
        ShapeError: it is singular.
    """
    a, b, c, d, e, f, g, h, i = m
    cofactors = (e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f)
    last = (d * h - e * g, b * g - a * h, a * e - b * d)
    determinant = a * cofactors[0] + b * cofactors[3] + c * last[0]
    if abs(determinant) < 1e-15:
        raise ShapeError(f"the 3x3 matrix {m} is singular; the camera cannot see this plane")
    return tuple(value / determinant for value in (*cofactors, *last))


def check_columns(name: str, values: Floats, n_columns: int) -> None:
    """Raise ShapeError unless ``values`` is (N, n_columns)."""
    if values.ndim != 2 or values.shape[1] != n_columns:
        raise ShapeError(f"{name} must be shape (_, {n_columns}), but got {values.shape}; one row a point")


def _ground_homography(geometry: CameraGeometry, elevation_m: float) -> tuple[float, ...]:
    """Row-major map from ray slopes (or pixels, for a homography) to ground metres; positive weight is in front."""
    if isinstance(geometry, GroundHomography):
        return geometry.matrix
    r, (cx, cy, cz) = geometry.rotation, geometry.position_m
    height = cz - elevation_m
    down = (-r[2], -r[5], -r[8])  # how fast a ray (x, y, 1) sinks
    east = tuple(height * column + cx * sink for column, sink in zip((r[0], r[3], r[6]), down, strict=True))
    north = tuple(height * column + cy * sink for column, sink in zip((r[1], r[4], r[7]), down, strict=True))
    return (*east, *north, *down)


def _origin(geometry: CameraGeometry, to_ground: tuple[float, ...], frame_px: tuple[int, int]) -> tuple[float, float]:
    if isinstance(geometry, Pinhole):
        return geometry.position_m[0], geometry.position_m[1]
    u, v, h = frame_px[0] / 2, float(frame_px[1]), to_ground
    weight = h[6] * u + h[7] * v + h[8]
    return (h[0] * u + h[1] * v + h[2]) / weight, (h[3] * u + h[4] * v + h[5]) / weight


def _chain(
    outer: tuple[Floats, Floats, Floats, Floats], inner: tuple[Floats, Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats, Floats]:
    (a, b, c, d), (e, f, g, h) = outer, inner
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def _covariance(jacobian: tuple[Floats, Floats, Floats, Floats], sigma_px: Floats, sigma_m: float) -> Floats:
    a, b, c, d = jacobian
    var_u, var_v = sigma_px[:, 0] * sigma_px[:, 0], sigma_px[:, 1] * sigma_px[:, 1]
    own = sigma_m * sigma_m
    return np.stack(
        (a * a * var_u + b * b * var_v + own, a * c * var_u + b * d * var_v, c * c * var_u + d * d * var_v + own), axis=1
    )
