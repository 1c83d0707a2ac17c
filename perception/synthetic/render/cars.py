"""Meshes of cars, vans and pickups: a lofted body, a cabin, wheels in rounded arches, and the small parts.

The vehicle's frame is x forward, y left, z up, from the middle of its footprint on the ground; metres.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.render.materials import Colour, Material, colour
from perception.synthetic.render.mesh import MeshBuilder
from perception.synthetic.render.shapes import Shape

Floats = NDArray[np.float64]

TRIM = colour((0.035, 0.035, 0.04))
PAINT = colour((1.0, 1.0, 1.0), Material.PAINT)
HEADLIGHT = colour((0.75, 0.78, 0.80), Material.HEADLIGHT)
TAIL_LIGHT = colour((0.45, 0.02, 0.02), Material.TAIL_LIGHT)
TYRE = colour((0.02, 0.02, 0.022))
CHROME = colour((0.55, 0.55, 0.55), Material.METAL)
PLATE = colour((1.0, 1.0, 1.0), Material.PLATE)
PLATE_M = (0.52, 0.11)  # width and height of a European plate (520 x 110 mm)

_RING_Y = np.array([0.0, 0.80, 0.94, 0.99, 1.0, 0.985, 0.945, 0.85, 0.5, 0.0])
_RING_Z = np.array([0.0, 0.0, 0.07, 0.28, 0.55, 0.80, 0.93, 1.0, 1.02, 1.025])


class Details(NamedTuple):
    """What differs between two vehicles of one body type; look-alikes share all of it.

    Attributes:
        stretch: factors of length, width and height.
        nose, tail: how much the plan narrows at the ends.
        rim: brightness of the wheels.
        tint: brightness of the glass.
        trim_m: height of the unpainted sill.
        light_height: of the headlights, in shares of the body's depth.
        light_in, tail_in: where lights begin, in shares of half the width.
        has_dark_pillars, has_rails, has_sunroof, has_bumper_trim, has_chrome: parts.
    """

    stretch: tuple[float, float, float]
    nose: float
    tail: float
    rim: float
    tint: float
    trim_m: float
    light_height: float
    light_in: float
    tail_in: float
    has_dark_pillars: bool
    has_rails: bool
    has_sunroof: bool
    has_bumper_trim: bool
    has_chrome: bool


def details(rng: np.random.Generator, spread: float = 1.0) -> Details:
    """Drawn at random; ``spread`` scales how far sizes leave the type's."""
    length, width, height = 1 + spread * rng.uniform(-1, 1, 3) * (0.05, 0.03, 0.035)
    return Details(
        stretch=(float(length), float(width), float(height)),
        nose=float(rng.uniform(0.08, 0.20)),
        tail=float(rng.uniform(0.06, 0.14)),
        rim=float(rng.choice([0.06, 0.3, 0.5, 0.65])),
        tint=float(rng.choice([0.6, 1.0, 1.6])),
        trim_m=float(rng.uniform(0.05, 0.16)),
        light_height=float(rng.uniform(0.62, 0.78)),
        light_in=float(rng.uniform(0.45, 0.68)),
        tail_in=float(rng.uniform(0.5, 0.8)),
        has_dark_pillars=bool(rng.random() < 0.6),
        has_rails=bool(rng.random() < 0.35),
        has_sunroof=bool(rng.random() < 0.15),
        has_bumper_trim=bool(rng.random() < 0.4),
        has_chrome=bool(rng.random() < 0.4),
    )


class _Frame(NamedTuple):
    """A shape at its real size: L, W, H; the axles; and the body's outline at its stations."""

    length: float
    width: float
    height: float
    front_axle: float
    rear_axle: float
    stations: Floats  # (N,) u
    x: Floats  # (N,)
    half_width: Floats  # (N,)
    bottom: Floats  # (N,)
    top: Floats  # (N,)


def add_car(builder: MeshBuilder, shape: Shape, look: Details) -> None:
    """A car, van or pickup, standing on its wheels."""
    frame = _frame(shape, look)
    _body(builder, shape, look, frame)
    _cabin(builder, shape, look, frame)
    for axle in (frame.front_axle, frame.rear_axle):
        for side in (-1.0, 1.0):
            wheel(builder, axle, side * (frame.width / 2 - 0.11), shape.wheel_m, 0.22, look.rim, side)
    builder.box((0.0, 0.0, frame.bottom.min() + 0.12), (frame.length * 0.46, frame.width * 0.36, 0.10), TRIM)
    _small_parts(builder, shape, look, frame)


def _frame(shape: Shape, look: Details) -> _Frame:
    length, width, height = (
        size * stretch for size, stretch in zip((shape.length_m, shape.width_m, shape.height_m), look.stretch, strict=True)
    )
    rear_axle = -length / 2 + shape.rear_m * look.stretch[0]
    front_axle = rear_axle + shape.wheelbase_m * look.stretch[0]
    arch = shape.wheel_m * 1.17
    around = np.cos(np.linspace(np.pi, 0.0, 7))
    x = np.concatenate([axle + arch * around for axle in (rear_axle, front_axle)])
    u = np.concatenate([[0, 0.006, 0.02, 0.05, 0.95, 0.98, 0.994, 1.0], np.linspace(0.1, 0.9, 9), x / length + 0.5])
    u = np.unique(np.clip(np.round(u, 4), 0.0, 1.0))
    x = (u - 0.5) * length
    ends = np.abs(2 * u - 1)
    plan = 1 - np.where(u > 0.5, look.nose, look.tail) * ends**9 - 0.02 * ends**2
    deck = np.array(shape.deck)
    sill = shape.clearance * height
    bottom = sill + 0.10 * np.maximum(0.0, ends - 0.88) / 0.12
    for axle in (rear_axle, front_axle):
        over = np.sqrt(np.maximum(arch * arch - (x - axle) ** 2, 0.0))
        bottom = np.maximum(bottom, np.where(over > 0, shape.wheel_m + over, 0.0))
    top = np.interp(u, deck[:, 0], deck[:, 1]) * height
    return _Frame(length, width, height, front_axle, rear_axle, u, x, width / 2 * plan, np.minimum(bottom, top - 0.1), top)


def _body(builder: MeshBuilder, shape: Shape, look: Details, frame: _Frame) -> None:
    ring_y = np.concatenate([_RING_Y, -_RING_Y[::-1][1:]])
    ring_z = np.concatenate([_RING_Z, _RING_Z[::-1][1:]])
    ends = np.abs(2 * frame.stations - 1)
    grid = np.zeros((len(frame.x), len(ring_y), 3))
    grid[..., 0] = frame.x[:, None] - (np.sign(frame.x) * 0.025 * frame.length * ends**20)[:, None] * ring_y**2
    grid[..., 1] = frame.half_width[:, None] * ring_y
    grid[..., 2] = frame.bottom[:, None] + (frame.top - frame.bottom)[:, None] * ring_z

    def paint(centre: Floats, normal: Floats) -> NDArray[np.float32]:
        return _body_paint(centre, normal, shape, look, frame)

    inside = np.stack([frame.x * 0.9, 0 * frame.x, (frame.bottom + frame.top) / 2], axis=-1)
    builder.surface(grid, inside, paint)
    for end, ahead in ((0, -1.0), (-1, 1.0)):
        _end_cap(builder, grid[end], ahead, shape, look, frame)


def _end_cap(builder: MeshBuilder, ring: Floats, ahead: float, shape: Shape, look: Details, frame: _Frame) -> None:
    """The flat piece at nose or tail, in strips so that bumper, grille and paint keep their places."""
    half = len(ring) // 2 + 1
    left, right = ring[:half], ring[::-1][:half]
    for i in range(half - 1):
        corners = np.stack([left[i], left[i + 1], right[i + 1], right[i]])
        centre = corners.mean(axis=0)
        middle = np.array([[[centre[0], 0.3 * corners[:, 1].max(), centre[2]]]])
        shade = _body_paint(middle, np.array([[[ahead, 0.0, 0.0]]]), shape, look, frame)[0, 0]
        builder.quad(corners, (ahead, 0.0, 0.0), shade)


def _body_paint(centre: Floats, normal: Floats, shape: Shape, look: Details, frame: _Frame) -> NDArray[np.float32]:
    paint = np.broadcast_to(PAINT, (*centre.shape[:2], 4)).copy()
    x, across, z = centre[..., 0], np.abs(centre[..., 1]) / (frame.width / 2), centre[..., 2]
    nose, tail, low = frame.length * 0.5, -frame.length * 0.5, shape.clearance * frame.height
    front_deck = float(np.interp(0.97, frame.stations, frame.top))
    rear_deck = float(np.interp(0.03, frame.stations, frame.top))
    paint[z < low + look.trim_m] = TRIM
    if look.has_bumper_trim:
        paint[(z < low + 0.26) & ((x > nose - 0.12) | (x < tail + 0.12))] = TRIM
    paint[(x > nose - 0.10) & (across < look.light_in * 0.9) & (z > low + 0.18) & (z < 0.82 * front_deck)] = TRIM
    light_z = look.light_height * front_deck
    paint[(x > nose - 0.30) & (across > look.light_in) & (z > light_z) & (z < light_z + 0.20) & (normal[..., 2] < 0.8)] = (
        HEADLIGHT
    )
    is_tail = (x < tail + 0.20) & (across > look.tail_in) & (z > 0.58 * rear_deck) & (z < 0.93 * rear_deck)
    paint[is_tail] = TAIL_LIGHT
    if shape.is_load_bed:
        is_bed = (x < -0.13 * frame.length) & (x > tail + 0.08) & (normal[..., 2] > 0.8) & (across < 0.86)
        paint[is_bed] = TRIM
    return paint


def _cabin(builder: MeshBuilder, shape: Shape, look: Details, frame: _Frame) -> None:
    roof = np.array(shape.roof)
    cuts = [edge for pillar in shape.pillars for edge in (pillar - 0.011, pillar + 0.011)]
    u = np.concatenate([roof[:, 0], np.linspace(roof[0, 0], roof[-1, 0], 10), cuts, shape.glass])
    u = np.unique(u[(u >= roof[0, 0]) & (u <= roof[-1, 0])])
    foot = np.interp(u, frame.stations, frame.top) - 0.02
    top = np.maximum(np.interp(u, roof[:, 0], roof[:, 1]) * frame.height, foot + 0.02)
    waist = 0.95 * np.interp(u, frame.stations, frame.half_width)
    narrowing = 0.95 - (0.95 - shape.narrowing) * np.clip(1.1 * (top - foot) / (frame.height - foot.min()), 0.0, 1.0)
    edge = waist * narrowing / 0.95
    side = np.stack(
        [waist, waist + 0.1 * (edge - waist), waist + 0.8 * (edge - waist), edge * 0.985, edge * 0.9, edge * 0.45, 0 * u],
        axis=1,
    )
    height = foot[:, None] + (top - foot)[:, None] * np.array([0.0, 0.10, 0.80, 0.93, 1.0, 1.0, 1.0])
    height[:, 5] += 0.015
    height[:, 6] += 0.02
    grid = np.zeros((len(u), 13, 3))
    grid[..., 0] = ((u - 0.5) * frame.length)[:, None]
    grid[:, :7, 1], grid[:, 7:, 1] = side, -side[:, :6][:, ::-1]
    grid[:, :7, 2], grid[:, 7:, 2] = height, height[:, :6][:, ::-1]
    inside = np.stack([grid[:, 0, 0], 0 * u, (foot + top) / 2 - 0.1], axis=-1)
    paints = _cabin_paint(shape, look, (u[:-1] + u[1:]) / 2, float(roof[1, 0]), float(roof[-2, 0]))
    builder.surface(grid, inside, lambda _centre, _normal: paints, crease=0.8)


def _cabin_paint(shape: Shape, look: Details, u: Floats, rear: float, front: float) -> NDArray[np.float32]:
    """(N, 12, 4) for the cabin's cells: sides 1 and 10 are windows, 4 to 7 the roof and the screens."""
    glass = colour(np.array([0.03, 0.035, 0.04]) * look.tint, Material.GLASS)
    paint = np.broadcast_to(PAINT, (len(u), 12, 4)).copy()
    is_pillar = np.zeros(len(u), bool)
    for pillar in shape.pillars:
        is_pillar |= np.abs(u - pillar) < 0.011
    is_window = (u > shape.glass[0]) & (u < shape.glass[1])
    for row in (1, 10):
        paint[is_window & ~is_pillar, row] = glass
        if look.has_dark_pillars:
            paint[is_window & is_pillar, row] = TRIM
    for row in (4, 5, 6, 7):
        paint[u > front, row] = glass
        if shape.has_rear_glass:
            paint[u < rear, row] = glass
    if look.has_sunroof:
        for row in (5, 6):
            paint[(u > 0.42) & (u < 0.55), row] = glass
    return paint


def wheel(
    builder: MeshBuilder, x: float, y: float, radius: float, width: float, rim: float, side: float, spokes: int = 5
) -> None:
    """A tyre with a rim and spokes; ``y`` is its middle, ``side`` the outer side (-1 or 1)."""
    turn = np.arange(14) * (2 * np.pi / 14)
    cos, sin = np.cos(turn), np.sin(turn)
    outer = y + side * width / 2

    def ring(scale: float, at_y: float) -> Floats:
        return np.stack([x + scale * radius * cos, np.full(14, at_y), radius + scale * radius * sin], axis=-1)

    tread = np.concatenate([ring(1.0, outer), ring(1.0, y - side * width / 2)])
    out = np.stack([cos, 0 * cos, sin], axis=-1)
    index, after = np.arange(14), (np.arange(14) + 1) % 14
    sides = np.concatenate([np.stack([index, after, index + 14], axis=1), np.stack([after, after + 14, index + 14], axis=1)])
    builder.add(tread, np.concatenate([out, out]), TYRE, sides)
    builder.fan(ring(1.0, outer), (0.0, side, 0.0), TYRE)
    builder.fan(ring(0.68, outer + side * 0.006), (0.0, side, 0.0), colour((rim, rim, rim * 1.03), Material.METAL))
    for k in range(spokes):
        at = 2 * np.pi * k / spokes + 0.3
        gap = [(0.2, at), (0.6, at - 0.25), (0.6, at + 0.25)]
        points = [(x + r * radius * np.cos(a), outer + side * 0.009, radius + r * radius * np.sin(a)) for r, a in gap]
        builder.add(points, (0.0, side, 0.0), TYRE, [[0, 1, 2]])


def _small_parts(builder: MeshBuilder, shape: Shape, look: Details, frame: _Frame) -> None:
    """Door seams, handles, mirrors, plates and roof rails."""
    waist = float(np.interp(0.6, frame.stations, frame.top))
    low = shape.clearance * frame.height + 0.10
    handle = CHROME if look.has_chrome else TRIM
    for side in (-1.0, 1.0):
        y = side * (frame.width / 2 + 0.004)
        for u in (*shape.pillars, shape.glass[1] - 0.02):
            x = (u - 0.5) * frame.length
            _strip(builder, (x - 0.010, x + 0.010), y, (low, waist - 0.08), TRIM)
            _strip(builder, (x + 0.07, x + 0.25), y, (waist - 0.19, waist - 0.15), handle)
        mirror = ((shape.glass[1] - 0.535) * frame.length, side * (frame.width / 2 + 0.06), waist + 0.09)
        builder.ellipsoid(mirror, (0.09, 0.11, 0.075), PAINT if look.has_chrome else TRIM, (6, 4))
        if look.has_rails and shape.kind == "car" and frame.height > 1.4:
            rail_y = side * frame.width / 2 * shape.narrowing * 0.86
            builder.box((-0.1 * frame.length, rail_y, frame.height * 1.01), (0.2 * frame.length, 0.025, 0.03), CHROME)
    add_plates(builder, frame.length, plate_heights_m(shape, look))


def plate_heights_m(shape: Shape, look: Details) -> tuple[float, float]:
    """Heights of the middles of the front and the rear plate."""
    height = shape.height_m * look.stretch[2]
    return (0.30 * height, 0.40 * height) if shape.build == "car" else (0.55, 0.75)


def add_plates(builder: MeshBuilder, length: float, heights_m: tuple[float, float]) -> None:
    """A plate at the nose and one at the tail."""
    half_y, half_z = PLATE_M[0] / 2, PLATE_M[1] / 2
    for ahead, z in zip((1.0, -1.0), heights_m, strict=True):
        x = ahead * (length / 2 + 0.012)
        corners = [(x, y, z + dz) for y, dz in ((-half_y, -half_z), (half_y, -half_z), (half_y, half_z), (-half_y, half_z))]
        builder.quad(corners, (ahead, 0.0, 0.0), PLATE)


def _strip(builder: MeshBuilder, x: tuple[float, float], y: float, z: tuple[float, float], paint: Colour) -> None:
    corners = [(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y * 0.992, z[1]), (x[0], y * 0.992, z[1])]
    builder.quad(corners, (0.0, np.sign(y), 0.0), paint)
