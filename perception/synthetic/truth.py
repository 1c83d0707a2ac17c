"""What is true at a moment, and what was true of a stay."""

from __future__ import annotations

import math
from typing import Literal, NewType

from msgspec import Struct

from perception.synthetic.vehicles import Vehicle
from site_models.schema import LevelId, StallId
from twin.events.ids import Micros

FRAME: Micros = 100_000
"""Time between frames of the ground truth."""

PersonId = NewType("PersonId", str)
"""A name in the ground truth; people have no place in the twin."""


class VehicleState(Struct, frozen=True, kw_only=True):
    """Where a vehicle truly is: the middle of its footprint, site frame; heading counter-clockwise from x.

    Outside a stall it is "moving", also while it stands.
    """

    vehicle: Vehicle
    level: LevelId
    x_m: float
    y_m: float
    heading_deg: float
    speed_mps: float  # along its heading, negative when backing
    stall: StallId | None
    state: Literal["moving", "parked"]


class PersonState(Struct, frozen=True, kw_only=True):
    """Where someone who walks truly is, site frame; heading counter-clockwise from x.

    Attributes:
        look: what the appearance is drawn from.
    """

    id: PersonId
    level: LevelId
    x_m: float
    y_m: float
    heading_deg: float
    look: int


class TruthFrame(Struct, frozen=True, kw_only=True):
    """Every vehicle at one moment, sorted by id, also those at most ``OUTSIDE_M`` outside the boundary; and who walks."""

    at: Micros
    vehicles: tuple[VehicleState, ...]
    people: tuple[PersonState, ...] = ()


class Visit(Struct, frozen=True, kw_only=True):
    """One true stay: when the vehicle's middle crossed the boundary; None: not in the period."""

    vehicle: Vehicle
    entry_at: Micros | None
    exit_at: Micros | None


def degrees(heading: float) -> float:
    """Radians as degrees in (-180, 180]."""
    return math.degrees(math.remainder(heading, math.tau))
