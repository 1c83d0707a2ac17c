"""Where a small error of a camera's pose puts places on the ground: the first-order model that its bias is estimated in.

A camera that is pitched, panned or rolled a little wrong turns every ray by one small rotation. So places are off along the
line of sight, by about the square of the distance, and across it, by the distance. A shift of the camera moves all places
alike; boxes that are always a little too low or too large move all places towards the camera or away from it.
Shape letters: K errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from site_models.schema import Pinhole
from twin.spatial.camera import GroundCamera

Errors = tuple[float, ...]
"""K: rotation about the axes east, north and up, radians; shift to the east and north, metres; away from the camera, metres."""
Effects = tuple[Errors, Errors]
"""(2, K) how far a place is moved to the east and to the north by one of each error."""

N_ERRORS = 6
_PLANE_HEIGHT_M = 5.0  # of a camera of which only a homography is known
_LEAST_HEIGHT_M = 1.0


def effects(camera: GroundCamera, x: float, y: float) -> Effects:
    """The Jacobian of a place by the errors of a camera's pose.

    A ray r = (dx, dy, -h) that is turned by ω meets the ground at r + ω × r - r (ω × r)_z / r_z, to first order.

    Args:
        x, y: the place, metres, site frame.
    """
    dx, dy, h = x - camera.origin_m[0], y - camera.origin_m[1], _height_m(camera)
    distance = math.sqrt(dx * dx + dy * dy)
    away_x, away_y = (dx / distance, dy / distance) if distance > 0.0 else (0.0, 0.0)
    mixed = dx * dy / h
    return (mixed, -(h + dx * dx / h), -dy, 1.0, 0.0, away_x), (h + dy * dy / h, -mixed, dx, 0.0, 1.0, away_y)


def moved_by(camera: GroundCamera, errors: Sequence[float], x: float, y: float) -> tuple[float, float]:
    """How far to the east and to the north these errors move a place, metres."""
    to_east, to_north = effects(camera, x, y)
    east = north = 0.0
    for one, by_east, by_north in zip(errors, to_east, to_north, strict=True):
        east, north = east + one * by_east, north + one * by_north
    return east, north


def _height_m(camera: GroundCamera) -> float:
    if not isinstance(camera.geometry, Pinhole):
        return _PLANE_HEIGHT_M
    return max(camera.geometry.position_m[2] - camera.elevation_m, _LEAST_HEIGHT_M)
