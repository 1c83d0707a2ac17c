"""What lies beyond the mapped site: ground, verges, trees, buildings, a skyline and the sky. None of it is on the map."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from perception.synthetic.render.materials import Material, colour
from perception.synthetic.render.mesh import Mesh, MeshBuilder

_REACH_M, _SKY_M = 420.0, 700.0
_TRUNK = colour((0.08, 0.06, 0.04))
_SKY = colour((1.0, 1.0, 1.0), Material.SKY)
_ASPHALT = colour((0.125, 0.124, 0.120), Material.ASPHALT)


def add_surroundings(
    ground: MeshBuilder,
    solid: MeshBuilder,
    extent_m: tuple[float, float, float, float],
    rng: np.random.Generator,
    used: BaseGeometry,
) -> None:
    """Everything outside; nothing is placed on ``used`` ground.

    Args:
        extent_m: min x, min y, max x, max y of the site.
    """
    min_x, min_y, max_x, max_y = extent_m
    middle = ((min_x + max_x) / 2, (min_y + max_y) / 2)
    x, y = middle
    corners = [
        (x - _REACH_M, y - _REACH_M),
        (x + _REACH_M, y - _REACH_M),
        (x + _REACH_M, y + _REACH_M),
        (x - _REACH_M, y + _REACH_M),
    ]
    grass = colour(np.array([0.07, 0.12, 0.035]) * rng.uniform(0.7, 1.3), Material.FOLIAGE)
    paved = shapely.box(min_x - 7.0, min_y - 3.0, max_x + 7.0, max_y + 3.0).union(used.buffer(1.0))
    ground.area(paved, 0.0, _ASPHALT)
    ground.area(shapely.Polygon(corners).difference(paved), 0.0, grass)
    keep_out = paved.buffer(2.0)
    for _ in range(int(rng.integers(10, 26))):
        spot = _spot(rng, extent_m, (4.0, 30.0))
        if not keep_out.contains(shapely.Point(spot)):
            _tree(solid, spot, rng)
    for _ in range(int(rng.integers(4, 10))):
        spot, half = _spot(rng, extent_m, (25.0, 70.0)), rng.uniform(5.0, 16.0, 2)
        if shapely.box(spot[0] - half[0], spot[1] - half[1], spot[0] + half[0], spot[1] + half[1]).disjoint(keep_out):
            height = float(rng.uniform(4.0, 16.0))
            wall = colour(
                rng.uniform(0.15, 0.5) * np.array([1.0, rng.uniform(0.78, 1.0), rng.uniform(0.62, 1.0)]), Material.FACADE
            )
            solid.box((*spot, height / 2), (*half, height / 2), wall, float(rng.uniform(0, math.pi)))
    _skyline(solid, middle, rng)


def sky(extent_m: tuple[float, float, float, float]) -> Mesh:
    """A dome around the site."""
    builder = MeshBuilder()
    middle = ((extent_m[0] + extent_m[2]) / 2, (extent_m[1] + extent_m[3]) / 2, 0.0)
    builder.ellipsoid(middle, (_SKY_M, _SKY_M, _SKY_M), _SKY, (32, 16))
    return builder.build()


def _spot(
    rng: np.random.Generator, extent_m: tuple[float, float, float, float], distance_m: tuple[float, float]
) -> tuple[float, float]:
    """A point that far outside the extent, in any direction."""
    min_x, min_y, max_x, max_y = extent_m
    turn, away = rng.uniform(0, 2 * math.pi), rng.uniform(*distance_m)
    x = (min_x + max_x) / 2 + math.cos(turn) * ((max_x - min_x) / 2 + away)
    y = (min_y + max_y) / 2 + math.sin(turn) * ((max_y - min_y) / 2 + away)
    return float(x), float(y)


def _tree(solid: MeshBuilder, spot: tuple[float, float], rng: np.random.Generator) -> None:
    trunk_m, (x, y) = float(rng.uniform(1.6, 3.0)), spot
    leaves = colour(np.array([0.06, 0.11, 0.03]) * rng.uniform(0.5, 1.6), Material.FOLIAGE)
    solid.tube((x, y, 0.0), (x, y, trunk_m + 0.8), 0.13, _TRUNK)
    for _ in range(5):
        at = (x + rng.normal(0, 0.7), y + rng.normal(0, 0.7), trunk_m + rng.uniform(0.4, 2.2))
        solid.ellipsoid(at, rng.uniform(0.8, 1.6, 3), leaves, (9, 6))


def _skyline(solid: MeshBuilder, middle: tuple[float, float], rng: np.random.Generator) -> None:
    """A ring of far woods and houses that hides the edge of the ground."""
    woods = colour((0.035, 0.055, 0.03), Material.FOLIAGE)
    turns = np.linspace(0, 2 * math.pi, 73)
    heights = np.abs(np.convolve(rng.normal(0, 1, 75), np.ones(3) / 3, mode="valid")) * 7.0 + 5.0
    for k, (turn, after) in enumerate(pairwise(turns)):
        a, b = ((middle[0] + 300 * math.cos(t), middle[1] + 300 * math.sin(t)) for t in (turn, after))
        inwards = np.array([-math.cos((turn + after) / 2), -math.sin((turn + after) / 2), 0.0])
        top, top_after = float(heights[k]), float(heights[(k + 1) % 72])
        solid.quad([(*a, 0.0), (*b, 0.0), (*b, top_after), (*a, top)], inwards, woods)
    for _ in range(int(rng.integers(6, 16))):
        turn, height = rng.uniform(0, 2 * math.pi), float(rng.uniform(8, 28))
        at = (middle[0] + 230 * math.cos(turn), middle[1] + 230 * math.sin(turn), height / 2)
        wall = colour(rng.uniform(0.12, 0.4) * np.array([1.0, 0.92, 0.85]), Material.FACADE)
        solid.box(at, (rng.uniform(8, 20), rng.uniform(8, 20), height / 2), wall, turn)
