"""Meshes of lorries, buses and motorcycles; the frame is that of ``cars``."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from perception.synthetic.render.cars import (
    HEADLIGHT,
    PAINT,
    TAIL_LIGHT,
    TRIM,
    TYRE,
    Details,
    add_plates,
    plate_heights_m,
    wheel,
)
from perception.synthetic.render.materials import Material, colour
from perception.synthetic.render.mesh import MeshBuilder
from perception.synthetic.render.shapes import Shape

_GLASS = colour((0.03, 0.035, 0.04), Material.GLASS)
_ENGINE = colour((0.06, 0.06, 0.065), Material.METAL)


def add_lorry(builder: MeshBuilder, shape: Shape, look: Details) -> None:
    """A cab with a box body behind it."""
    length, width, height = _size(shape, look)
    nose, tail, floor = length / 2, -length / 2, 0.95
    cab, roof = 1.75, min(2.55, height * 0.8)
    grey = 0.25 + 0.6 * look.rim
    box = colour((grey, grey, grey), Material.MATTE)
    builder.box(
        ((tail + nose - cab) / 2 - 0.05, 0, (floor + height) / 2),
        ((length - cab) / 2 - 0.1, width / 2, (height - floor) / 2),
        box,
    )
    builder.box(((tail + nose) / 2 - 0.4, 0, floor - 0.15), (length / 2 - 0.6, 0.45, 0.15), TRIM)
    rows = np.array([0.35, 0.75, 1.15, 1.45, roof - 0.15, roof])
    front = nose - np.array([0.04, 0.0, 0.0, 0.06, 0.32, 0.50])
    for side in (-1.0, 1.0):
        y = side * width / 2 * 0.98
        for z0, z1, x0, x1 in zip(rows[:-1], rows[1:], front[:-1], front[1:], strict=True):
            is_window = z0 >= 1.45 and z1 < roof
            corners = [(nose - cab, y, z0), (x0, y, z0), (x1, y, z1), (nose - cab, y, z1)]
            builder.quad(corners, (0, side, 0), PAINT)
            if is_window:
                window = [(nose - cab + 0.35, y * 1.004, z0 + 0.05), (x0 - 0.15, y * 1.004, z0 + 0.05)]
                builder.quad(
                    [*window, (x1 - 0.15, y * 1.004, z1 - 0.08), (nose - cab + 0.35, y * 1.004, z1 - 0.08)],
                    (0, side, 0),
                    _GLASS,
                )
        builder.box((nose - 0.15, side * (width / 2 + 0.16), 1.9), (0.05, 0.10, 0.22), TRIM)
        builder.box((nose - 0.02, side * width * 0.38, 0.72), (0.05, 0.18, 0.09), HEADLIGHT)
        builder.box((tail + 0.03, side * width * 0.38, 0.85), (0.05, 0.16, 0.08), TAIL_LIGHT)
    w = width / 2 * 0.98
    for z0, z1, x0, x1 in zip(rows[:-1], rows[1:], front[:-1], front[1:], strict=True):
        is_screen = z0 >= 1.45 and z1 < roof
        normal = np.array([z1 - z0, 0.0, x0 - x1]) / np.hypot(z1 - z0, x0 - x1)
        builder.quad([(x0, -w, z0), (x0, w, z0), (x1, w, z1), (x1, -w, z1)], normal, _GLASS if is_screen else PAINT)
    builder.quad([(nose - cab, -w, roof), (front[-1], -w, roof), (front[-1], w, roof), (nose - cab, w, roof)], (0, 0, 1), PAINT)
    builder.quad(
        [(nose - cab, -w, 0.35), (nose - cab, w, 0.35), (nose - cab, w, roof), (nose - cab, -w, roof)], (-1, 0, 0), PAINT
    )
    builder.box((nose - 0.02, 0, 0.95), (0.03, width * 0.28, 0.12), TRIM)
    _wheels(builder, shape, look, width)
    add_plates(builder, length, plate_heights_m(shape, look))


def add_coach(builder: MeshBuilder, shape: Shape, look: Details) -> None:
    """A city bus: a rounded box with a band of windows and doors."""
    length, width, height = _size(shape, look)
    half, low, waist, lintel = length / 2, 0.32, 1.15, height - 0.45
    body = MeshBuilder.box
    body(builder, (0, 0, (low + height) / 2), (half - 0.05, width / 2 - 0.02, (height - low) / 2 - 0.03), PAINT)
    body(builder, (0, 0, height - 0.02), (half * 0.9, width / 2 * 0.85, 0.10), PAINT)
    bays = max(4, round(length / 1.5))
    edges = np.linspace(-half + 0.35, half - 0.25, bays + 1)
    for side in (-1.0, 1.0):
        y = side * (width / 2 - 0.012)
        for x0, x1 in pairwise(edges):
            is_door = side < 0 and x1 > half - 1.6
            bottom = low + 0.1 if is_door else waist
            corners = [(x0 + 0.05, y, bottom), (x1 - 0.05, y, bottom), (x1 - 0.05, y, lintel), (x0 + 0.05, y, lintel)]
            builder.quad(corners, (0, side, 0), _GLASS)
        body(builder, (half - 0.02, side * width * 0.40, 0.72), (0.05, 0.16, 0.10), HEADLIGHT)
        body(builder, (-half + 0.02, side * width * 0.42, 1.0), (0.05, 0.10, 0.20), TAIL_LIGHT)
        body(builder, (half + 0.08, side * (width / 2 + 0.12), 2.3), (0.08, 0.09, 0.18), TRIM)
    w = width / 2 - 0.15
    x = half - 0.035
    builder.quad([(x, -w, 1.0), (x, w, 1.0), (x, w, height - 0.50), (x, -w, height - 0.50)], (1, 0, 0), _GLASS)
    builder.quad(
        [(x, -w, height - 0.46), (x, w, height - 0.46), (x, w, height - 0.15), (x, -w, height - 0.15)], (1, 0, 0), TRIM
    )
    builder.quad([(-x, -w, 1.6), (-x, w, 1.6), (-x, w, height - 0.4), (-x, -w, height - 0.4)], (-1, 0, 0), _GLASS)
    _wheels(builder, shape, look, width)
    add_plates(builder, length - 0.06, plate_heights_m(shape, look))


def add_motorcycle(builder: MeshBuilder, shape: Shape, look: Details, *, with_rider: bool) -> None:
    """A motorcycle, with its rider when it moves."""
    length, _, height = _size(shape, look)
    front, rear, radius = shape.wheelbase_m / 2 + 0.05, -shape.wheelbase_m / 2 + 0.05, shape.wheel_m
    for axle in (front, rear):
        for side in (-1.0, 1.0):
            wheel(builder, axle, 0.0, radius, 0.14, look.rim, side, spokes=6)
    builder.ellipsoid((0.05, 0, 0.48), (0.32, 0.17, 0.22), _ENGINE, (8, 5))
    builder.ellipsoid((0.15, 0, 0.86), (0.32, 0.16, 0.16), PAINT, (8, 5))
    builder.ellipsoid((-0.42, 0, 0.84), (0.42, 0.14, 0.09), TRIM, (8, 5))
    builder.ellipsoid((-0.85 * length / 2, 0, 0.86), (0.14, 0.10, 0.07), PAINT, (6, 4))
    builder.ellipsoid((0.62, 0, 0.92), (0.18, 0.18, 0.22), PAINT, (8, 5))
    builder.ellipsoid((0.79, 0, 0.92), (0.05, 0.11, 0.08), HEADLIGHT, (6, 4))
    builder.ellipsoid((-0.46 * length, 0, 0.86), (0.04, 0.09, 0.04), TAIL_LIGHT, (6, 4))
    for side in (-1.0, 1.0):
        builder.tube((front, side * 0.09, radius), (0.50, side * 0.11, 1.0), 0.03, _ENGINE)
        builder.tube((rear, side * 0.10, radius), (-0.05, side * 0.12, 0.45), 0.035, _ENGINE)
        builder.tube((0.48, side * 0.10, 1.05), (0.38, side * 0.40, 1.10), 0.02, TRIM)
        builder.tube((rear - 0.15, side * 0.14, 0.34), (0.1, side * 0.16, 0.30), 0.05, colour((0.5, 0.5, 0.5), Material.METAL))
    builder.quad(
        [(0.68, -0.16, 1.08), (0.68, 0.16, 1.08), (0.56, 0.12, height * 0.92), (0.56, -0.12, height * 0.92)], (1, 0, 0), _GLASS
    )
    if with_rider:
        _rider(builder, look)


def _rider(builder: MeshBuilder, look: Details) -> None:
    cloth = colour(np.array([0.10, 0.10, 0.12]) * (0.4 + look.tint))
    builder.ellipsoid((-0.15, 0, 1.22), (0.20, 0.24, 0.34), cloth)
    builder.ellipsoid((0.0, 0, 1.64), (0.15, 0.13, 0.15), PAINT)
    for side in (-1.0, 1.0):
        builder.tube((-0.08, side * 0.22, 1.38), (0.38, side * 0.36, 1.10), 0.055, cloth)
        builder.tube((-0.20, side * 0.13, 0.95), (0.15, side * 0.22, 0.72), 0.085, cloth)
        builder.tube((0.15, side * 0.22, 0.72), (-0.10, side * 0.20, 0.32), 0.07, cloth)
        builder.ellipsoid((0.38, side * 0.37, 1.10), (0.06, 0.05, 0.05), TYRE, (6, 4))


def _wheels(builder: MeshBuilder, shape: Shape, look: Details, width: float) -> None:
    rear = -shape.length_m * look.stretch[0] / 2 + shape.rear_m * look.stretch[0]
    for axle in (rear, rear + shape.wheelbase_m * look.stretch[0]):
        for side in (-1.0, 1.0):
            wheel(builder, axle, side * (width / 2 - 0.17), shape.wheel_m, 0.34, look.rim, side)


def _size(shape: Shape, look: Details) -> tuple[float, float, float]:
    length, width, height = look.stretch
    return shape.length_m * length, shape.width_m * width, shape.height_m * height
