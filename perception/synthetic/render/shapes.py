"""Side profiles of vehicle bodies: what a body type looks like, beside its size in ``vehicles.BODIES``.

A profile is read along u, from 0 at the tail to 1 at the nose, in shares of the vehicle's height. The profiles are drawn
after the proportions of the named models' type; none copies a production car.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from perception.synthetic.vehicles import BODIES
from twin.events.observations import VehicleKind

Profile = tuple[tuple[float, float], ...]


class Shape(Struct, frozen=True, kw_only=True):
    """How a body type is drawn.

    Attributes:
        length_m, width_m, height_m, wheelbase_m, rear_m: as in ``vehicles.Body``.
        deck: the lower body's upper edge: bonnet, waist, boot.
        roof: the cabin's outline above the deck, from the rear window's foot to the windscreen's.
        pillars: where pillars cut the side windows.
        glass: the side windows' reach.
        narrowing: roof width over waist width.
        build: which builder draws it.
        is_load_bed, has_rear_glass: a pickup's bed; whether the tail has a window.
        clearance: of the body over the ground, in shares of the height.
    """

    kind: VehicleKind
    length_m: float
    width_m: float
    height_m: float
    wheelbase_m: float
    rear_m: float
    deck: Profile = ()
    roof: Profile = ()
    pillars: tuple[float, ...] = ()
    glass: tuple[float, float] = (0.1, 0.72)
    narrowing: float = 0.8
    build: Literal["car", "lorry", "coach", "motorcycle"] = "car"
    is_load_bed: bool = False
    has_rear_glass: bool = True
    clearance: float = 0.13
    wheel_m: float = 0.33


def _car(
    name: str | tuple[VehicleKind, float, float, float, float, float],
    deck: Profile,
    roof: Profile,
    pillars: tuple[float, ...],
    glass: tuple[float, float],
    narrowing: float = 0.8,
    wheel_m: float = 0.33,
    *,
    is_load_bed: bool = False,
    has_rear_glass: bool = True,
    clearance: float = 0.13,
) -> Shape:
    kind, length, width, height, wheelbase, rear = _size(name)
    return Shape(
        kind=kind,
        length_m=length,
        width_m=width,
        height_m=height,
        wheelbase_m=wheelbase,
        rear_m=rear,
        deck=deck,
        roof=roof,
        pillars=pillars,
        glass=glass,
        narrowing=narrowing,
        wheel_m=wheel_m,
        is_load_bed=is_load_bed,
        has_rear_glass=has_rear_glass,
        clearance=clearance,
    )


def _size(
    name: str | tuple[VehicleKind, float, float, float, float, float],
) -> tuple[VehicleKind, float, float, float, float, float]:
    if isinstance(name, tuple):
        return name
    body = BODIES[name]
    return body.kind, body.length_m, body.width_m, body.height_m, body.wheelbase_m, body.rear_m


def _other(name: str, build: Literal["lorry", "coach", "motorcycle"], wheel_m: float) -> Shape:
    kind, length, width, height, wheelbase, rear = _size(name)
    return Shape(
        kind=kind,
        length_m=length,
        width_m=width,
        height_m=height,
        wheelbase_m=wheelbase,
        rear_m=rear,
        build=build,
        wheel_m=wheel_m,
    )


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "city": _car(
            "city",
            ((0, 0.42), (0.012, 0.58), (0.03, 0.62), (0.5, 0.60), (0.77, 0.62), (0.93, 0.53), (0.985, 0.46), (1, 0.36)),
            ((0.02, 0.62), (0.06, 0.90), (0.22, 0.985), (0.5, 1.0), (0.60, 0.96), (0.80, 0.62)),
            (0.2, 0.42),
            (0.08, 0.77),
        ),
        "hatchback": _car(
            "hatchback",
            ((0, 0.44), (0.012, 0.60), (0.04, 0.64), (0.5, 0.61), (0.73, 0.63), (0.93, 0.51), (0.985, 0.45), (1, 0.36)),
            ((0.03, 0.64), (0.11, 0.92), (0.28, 0.99), (0.5, 1.0), (0.575, 0.965), (0.745, 0.64)),
            (0.17, 0.36, 0.53),
            (0.10, 0.72),
        ),
        "saloon": _car(
            "saloon",
            (
                (0, 0.46),
                (0.01, 0.66),
                (0.03, 0.70),
                (0.19, 0.705),
                (0.5, 0.63),
                (0.72, 0.64),
                (0.94, 0.51),
                (0.988, 0.46),
                (1, 0.36),
            ),
            ((0.13, 0.69), (0.27, 0.95), (0.40, 1.0), (0.5, 0.995), (0.56, 0.96), (0.73, 0.65)),
            (0.25, 0.38, 0.53),
            (0.20, 0.71),
            0.77,
        ),
        "estate": _car(
            "estate",
            ((0, 0.46), (0.012, 0.62), (0.03, 0.66), (0.5, 0.62), (0.72, 0.64), (0.94, 0.51), (0.988, 0.46), (1, 0.36)),
            ((0.02, 0.65), (0.09, 0.92), (0.2, 0.97), (0.45, 1.0), (0.55, 0.96), (0.72, 0.65)),
            (0.18, 0.37, 0.53),
            (0.08, 0.70),
            0.79,
        ),
        "suv": _car(
            "suv",
            ((0, 0.44), (0.012, 0.62), (0.03, 0.65), (0.5, 0.63), (0.74, 0.64), (0.95, 0.56), (0.99, 0.48), (1, 0.38)),
            ((0.02, 0.65), (0.07, 0.94), (0.2, 0.985), (0.5, 1.0), (0.6, 0.96), (0.74, 0.65)),
            (0.20, 0.36, 0.54),
            (0.07, 0.72),
            0.81,
            0.36,
            clearance=0.15,
        ),
        "compact_van": _car(
            "compact_van",
            ((0, 0.42), (0.008, 0.54), (0.02, 0.56), (0.5, 0.56), (0.79, 0.59), (0.95, 0.51), (0.99, 0.44), (1, 0.35)),
            ((0.01, 0.56), (0.03, 0.95), (0.15, 0.99), (0.5, 1.0), (0.62, 0.96), (0.81, 0.59)),
            (0.36, 0.56),
            (0.36, 0.79),
            0.87,
            has_rear_glass=True,
        ),
        "van": _car(
            "van",
            ((0, 0.42), (0.006, 0.50), (0.5, 0.51), (0.81, 0.54), (0.95, 0.46), (0.99, 0.40), (1, 0.32)),
            ((0.004, 0.50), (0.015, 0.95), (0.1, 1.0), (0.6, 1.0), (0.69, 0.965), (0.84, 0.54)),
            (0.3, 0.62),
            (0.06, 0.82),
            0.89,
            0.34,
        ),
        "panel_van": _car(
            "panel_van",
            ((0, 0.36), (0.006, 0.42), (0.5, 0.42), (0.84, 0.45), (0.95, 0.38), (0.99, 0.34), (1, 0.27)),
            ((0.004, 0.42), (0.010, 0.97), (0.08, 1.0), (0.68, 1.0), (0.75, 0.955), (0.87, 0.45)),
            (0.70,),
            (0.66, 0.84),
            0.90,
            0.36,
            has_rear_glass=False,
        ),
        "crossover": _car(
            ("car", 4.36, 1.80, 1.60, 2.65, 0.84),
            ((0, 0.46), (0.012, 0.62), (0.05, 0.66), (0.5, 0.63), (0.73, 0.64), (0.94, 0.54), (0.988, 0.47), (1, 0.38)),
            ((0.05, 0.66), (0.16, 0.92), (0.32, 0.99), (0.48, 1.0), (0.57, 0.96), (0.74, 0.65)),
            (0.2, 0.37, 0.54),
            (0.12, 0.71),
            0.79,
            0.35,
            clearance=0.14,
        ),
        "off_roader": _car(
            ("car", 4.76, 1.93, 1.93, 2.85, 0.95),
            ((0, 0.44), (0.008, 0.60), (0.5, 0.61), (0.68, 0.62), (0.95, 0.58), (0.985, 0.52), (1, 0.40)),
            ((0.01, 0.61), (0.03, 0.96), (0.12, 1.0), (0.56, 1.0), (0.62, 0.96), (0.69, 0.62)),
            (0.2, 0.38, 0.54),
            (0.05, 0.68),
            0.9,
            0.39,
            clearance=0.17,
        ),
        "pickup": _car(
            ("truck", 5.33, 1.88, 1.82, 3.22, 1.19),
            ((0, 0.42), (0.008, 0.60), (0.38, 0.60), (0.5, 0.60), (0.72, 0.62), (0.95, 0.56), (0.99, 0.50), (1, 0.38)),
            ((0.36, 0.61), (0.40, 0.95), (0.48, 0.99), (0.56, 1.0), (0.62, 0.96), (0.73, 0.62)),
            (0.4, 0.5),
            (0.39, 0.72),
            0.82,
            0.38,
            is_load_bed=True,
            clearance=0.17,
        ),
        "truck": _other("truck", "lorry", 0.42),
        "bus": _other("bus", "coach", 0.48),
        "motorcycle": _other("motorcycle", "motorcycle", 0.32),
        "coupe": _car(
            ("car", 4.38, 1.83, 1.33, 2.58, 0.95),
            (
                (0, 0.50),
                (0.01, 0.68),
                (0.05, 0.72),
                (0.2, 0.70),
                (0.5, 0.64),
                (0.68, 0.66),
                (0.94, 0.52),
                (0.985, 0.46),
                (1, 0.38),
            ),
            ((0.06, 0.72), (0.30, 0.95), (0.42, 1.0), (0.48, 0.995), (0.53, 0.96), (0.70, 0.66)),
            (0.28,),
            (0.20, 0.68),
            0.76,
        ),
        "mpv": _car(
            ("car", 4.72, 1.88, 1.74, 2.88, 0.94),
            ((0, 0.42), (0.01, 0.55), (0.02, 0.57), (0.5, 0.56), (0.80, 0.59), (0.95, 0.50), (0.99, 0.44), (1, 0.34)),
            ((0.012, 0.57), (0.05, 0.93), (0.2, 0.985), (0.5, 1.0), (0.63, 0.95), (0.83, 0.59)),
            (0.2, 0.38, 0.58),
            (0.04, 0.80),
            0.83,
        ),
        "minibus": _car(
            ("van", 5.53, 1.99, 2.30, 3.30, 1.15),
            ((0, 0.40), (0.006, 0.46), (0.5, 0.46), (0.84, 0.49), (0.95, 0.41), (0.99, 0.36), (1, 0.28)),
            ((0.004, 0.46), (0.012, 0.95), (0.08, 1.0), (0.64, 1.0), (0.72, 0.96), (0.87, 0.49)),
            (0.22, 0.44, 0.66),
            (0.03, 0.85),
            0.9,
            0.35,
        ),
    }
)

HELD_OUT = ("coupe", "mpv", "minibus")
"""Bodies that no model is trained on: they measure how training carries over to new shapes."""

TRAINED = tuple(name for name in SHAPES if name not in HELD_OUT)
