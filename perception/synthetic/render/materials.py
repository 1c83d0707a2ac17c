"""What a surface is made of, and how that travels with a vertex.

A vertex colour is linear RGB in 0..1 and, in its fourth channel, the material's number: ``(16 m + 8) / 255``.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Colour = NDArray[np.float32]
"""(4,) linear red, green, blue, and the material."""


class Material(IntEnum):
    """How the shader treats a surface."""

    MATTE = 0
    PAINT = 1  # a vehicle's own paint, clear coat and dirt
    GLASS = 2
    HEADLIGHT = 3
    TAIL_LIGHT = 4
    ASPHALT = 5
    MARKING = 6  # worn paint on asphalt
    FACADE = 7  # a building with windows
    FOLIAGE = 8
    PLATE = 9  # a registration plate's picture
    SKY = 10
    LAMP = 11  # glows when lamps are on
    CONCRETE = 12
    SIGN = 13  # a sign's picture
    METAL = 14


def colour(rgb: ArrayLike, material: Material = Material.MATTE) -> Colour:
    """A vertex colour; components outside 0..1 are clipped."""
    red, green, blue = np.clip(np.asarray(rgb, float), 0.0, 1.0)
    return np.array([red, green, blue, (16 * material + 8) / 255.0], dtype=np.float32)
