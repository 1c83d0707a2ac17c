"""Meshes of people on foot: x forward, z up, from the ground between the feet; metres."""

from __future__ import annotations

import numpy as np

from perception.synthetic.render.materials import colour
from perception.synthetic.render.mesh import Mesh, MeshBuilder
from perception.synthetic.seeds import generator


def person_mesh(seed: int, look: int, stride: float = 0.0) -> Mesh:
    """One person.

    Args:
        stride: of the gait, -1 to 1: how far the left foot is ahead.
    """
    rng = generator(seed, "person", look)
    height = float(rng.uniform(1.55, 1.92))
    scale = height / 1.75
    skin = colour(np.array([0.45, 0.28, 0.20]) * rng.uniform(0.3, 1.3))
    hair, shoes = colour(rng.uniform(0.01, 0.2, 3)), colour(rng.uniform(0.01, 0.15, 3))
    top, trousers = colour(rng.uniform(0.02, 0.6, 3)), colour(rng.uniform(0.02, 0.25, 3))
    builder = MeshBuilder()
    builder.ellipsoid((0, 0, 1.20 * scale), (0.14 * scale, 0.21 * scale, 0.33 * scale), top)
    builder.ellipsoid((0, 0, 0.93 * scale), (0.13 * scale, 0.18 * scale, 0.15 * scale), trousers)
    builder.ellipsoid((0.01, 0, 1.63 * scale), (0.10 * scale, 0.085 * scale, 0.12 * scale), skin)
    builder.ellipsoid((-0.02, 0, 1.67 * scale), (0.105 * scale, 0.092 * scale, 0.11 * scale), hair)
    for side in (-1.0, 1.0):
        reach = 0.28 * stride * side * scale
        hip, foot = (0.0, side * 0.09 * scale, 0.92 * scale), (reach, side * 0.10 * scale, 0.08)
        builder.tube(hip, foot, 0.075 * scale, trousers)
        builder.box((reach + 0.05, side * 0.10 * scale, 0.05), (0.13 * scale, 0.05 * scale, 0.05), shoes)
        hand = (-reach * 0.8, side * 0.27 * scale, 0.85 * scale)
        builder.tube((0.0, side * 0.21 * scale, 1.42 * scale), hand, 0.05 * scale, top)
        builder.ellipsoid(hand, (0.05, 0.04, 0.06), skin, (6, 4))
    if rng.random() < 0.4:
        builder.box((-0.18 * scale, 0, 1.25 * scale), (0.09, 0.15, 0.22), colour(rng.uniform(0.02, 0.4, 3)))
    return builder.build()
