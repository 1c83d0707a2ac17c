"""A site whose cameras are not mounted quite as it says."""

from __future__ import annotations

import math
import random

from msgspec.structs import replace

from site_models.schema import Camera, Pinhole, Site

Rotation = tuple[float, float, float, float, float, float, float, float, float]


def turned(site: Site, sigma_deg: float) -> Site:
    """The site with each camera's pose turned about its own three axes, by angles that follow from its name alone.

    Args:
        sigma_deg: standard deviation of each angle.
    """
    return replace(site, cameras=tuple(_turned(camera, sigma_deg) for camera in site.cameras))


def _turned(camera: Camera, sigma_deg: float) -> Camera:
    lens, draw = camera.geometry, random.Random(f"turned {camera.id}")
    if not isinstance(lens, Pinhole):
        return camera
    rotation = lens.rotation
    for axis in range(3):
        rotation = _about(rotation, axis, math.radians(draw.gauss(0.0, sigma_deg)))
    return replace(camera, geometry=replace(lens, rotation=rotation))


def _about(rotation: Rotation, axis: int, angle: float) -> Rotation:
    """A camera's rotation by rows (right, down, ahead), turned about one of them."""
    rows = [rotation[0:3], rotation[3:6], rotation[6:9]]
    one, other = (n for n in range(3) if n != axis)
    (a, b, c), (d, e, f), cos, sin = rows[one], rows[other], math.cos(angle), math.sin(angle)
    rows[one] = cos * a - sin * d, cos * b - sin * e, cos * c - sin * f
    rows[other] = sin * a + cos * d, sin * b + cos * e, sin * c + cos * f
    return (*rows[0], *rows[1], *rows[2])
