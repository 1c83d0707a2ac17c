"""How one vehicle looks: what look-alikes share (body, details, paint) and what is its own (dirt, plate, load)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from perception.synthetic.render.cars import Details, add_car, details
from perception.synthetic.render.heavy import add_coach, add_lorry, add_motorcycle
from perception.synthetic.render.materials import colour
from perception.synthetic.render.mesh import Mesh, MeshBuilder
from perception.synthetic.render.shapes import SHAPES
from perception.synthetic.seeds import generator

Rgb = tuple[float, float, float]

_PAINTS: tuple[tuple[Rgb, float], ...] = (  # linear RGB and share; roughly the shares of new cars in Europe
    ((0.72, 0.73, 0.74), 24),
    ((0.020, 0.020, 0.023), 20),
    ((0.20, 0.21, 0.22), 14),
    ((0.42, 0.43, 0.45), 14),
    ((0.03, 0.07, 0.22), 8),
    ((0.35, 0.02, 0.025), 7),
    ((0.05, 0.13, 0.33), 4),
    ((0.40, 0.36, 0.28), 3),
    ((0.03, 0.12, 0.06), 2.5),
    ((0.55, 0.16, 0.02), 1.5),
    ((0.60, 0.45, 0.04), 1.5),
    ((0.12, 0.06, 0.035), 2),
    ((0.10, 0.22, 0.24), 1.5),
)
_SPREAD, _SHIFT = 0.25, 0.015


class Appearance(NamedTuple):
    """One vehicle's look.

    Attributes:
        paint: linear RGB.
        gloss: 0 is worn, 1 is new.
        dirt: 0 is clean, 1 is as dirty as one sees.
        plate: its registration.
    """

    shape: str
    details: Details
    paint: Rgb
    gloss: float
    dirt: float
    plate: str
    has_roof_box: bool
    has_ladder_rack: bool


def appearance(seed: int, shape: str, look: str, vehicle: str, plate: str, *, spread: float = 1.0) -> Appearance:
    """The same arguments give the same vehicle; two vehicles of one ``look`` and ``shape`` share model and colour.

    Args:
        spread: how far sizes leave the type's; 0 in a site's own traffic, whose truth states the type's size.
    """
    common, own = generator(seed, "model", shape, look), generator(seed, "own", vehicle)
    shares = np.array([share for _, share in _PAINTS])
    base = np.array(_PAINTS[int(common.choice(len(_PAINTS), p=shares / shares.sum()))][0])
    paint = np.clip(base * common.uniform(1 - _SPREAD, 1 + _SPREAD) + common.uniform(-_SHIFT, _SHIFT, 3), 0.008, 0.85)
    return Appearance(
        shape=shape,
        details=details(common, spread),
        paint=(float(paint[0]), float(paint[1]), float(paint[2])),
        gloss=float(common.uniform(0.6, 1.0)),
        dirt=float(min(abs(own.normal(0, 0.35)), 1.0)),
        plate=plate,
        has_roof_box=bool(own.random() < 0.05),
        has_ladder_rack=bool(own.random() < 0.3),
    )


def vehicle_mesh(look: Appearance, *, with_rider: bool = False) -> Mesh:
    """The vehicle in its own frame: x forward, y left, z up, from the middle of its footprint on the ground."""
    shape, builder = SHAPES[look.shape], MeshBuilder()
    if shape.build == "lorry":
        add_lorry(builder, shape, look.details)
    elif shape.build == "coach":
        add_coach(builder, shape, look.details)
    elif shape.build == "motorcycle":
        add_motorcycle(builder, shape, look.details, with_rider=with_rider)
    else:
        add_car(builder, shape, look.details)
        _load(builder, look)
    return builder.build()


def _load(builder: MeshBuilder, look: Appearance) -> None:
    shape, (length, _, height) = SHAPES[look.shape], look.details.stretch
    roof = shape.height_m * height
    if look.has_roof_box and shape.kind == "car" and not shape.is_load_bed:
        builder.box(
            (-0.06 * shape.length_m * length, 0, roof + 0.17), (0.20 * shape.length_m, 0.36, 0.14), colour((0.05, 0.05, 0.055))
        )
    if look.has_ladder_rack and shape.kind == "van":
        for y in (-0.45, -0.15):
            builder.box(
                (-0.1 * shape.length_m * length, y, roof + 0.12),
                (0.3 * shape.length_m, 0.025, 0.035),
                colour((0.45, 0.45, 0.46)),
            )
