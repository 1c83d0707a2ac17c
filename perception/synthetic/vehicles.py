"""Bodies of real proportions, and the vehicles that wear them.

Dimensions are of production vehicles without mirrors, from their manufacturers' data sheets, rounded to 1 cm;
shares are a car park's and a motorway's rough mix, not a census.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NewType

import numpy as np
from msgspec import Struct

from twin.events.observations import VehicleKind

TrueVehicleId = NewType("TrueVehicleId", str)
"""A name in the ground truth; the twin never sees it."""


class Body(Struct, frozen=True, kw_only=True):
    """One body type.

    Attributes:
        rear_m: from the rear axle back to the tail.
        model: the vehicle whose data sheet the figures are from.
        share_parking, share_road: relative frequency at sites with and without stalls.
    """

    kind: VehicleKind
    length_m: float
    width_m: float
    height_m: float
    wheelbase_m: float
    rear_m: float
    model: str
    share_parking: float
    share_road: float

    @property
    def guide_to_centre_m(self) -> float:
        """From the guide point forward to the middle of the footprint.

        The guide point follows the path; it lies a third of the wheelbase ahead of the rear axle. From the axle itself, one
        arc into a stall needs an aisle of 7 m; drivers manage with 6 m by changing the steering as they turn.
        """
        return self.length_m / 2 - self.rear_m - self.wheelbase_m / 3


def _body(
    kind: VehicleKind, sizes_m: tuple[float, float, float, float, float], model: str, parking: float, road: float
) -> Body:
    length, width, height, wheelbase, rear = sizes_m
    return Body(
        kind=kind,
        length_m=length,
        width_m=width,
        height_m=height,
        wheelbase_m=wheelbase,
        rear_m=rear,
        model=model,
        share_parking=parking,
        share_road=road,
    )


BODIES: Mapping[str, Body] = MappingProxyType(
    {
        "city": _body("car", (3.60, 1.65, 1.50, 2.42, 0.58), "Volkswagen up!", 14, 8),
        "hatchback": _body("car", (4.28, 1.79, 1.49, 2.62, 0.78), "Volkswagen Golf 8", 28, 20),
        "saloon": _body("car", (4.71, 1.83, 1.44, 2.85, 1.03), "BMW 3 Series G20", 14, 16),
        "estate": _body("car", (4.69, 1.83, 1.47, 2.69, 1.08), "Skoda Octavia Combi IV", 14, 16),
        "suv": _body("car", (4.51, 1.84, 1.68, 2.68, 0.94), "Volkswagen Tiguan II", 18, 14),
        "compact_van": _body("van", (4.50, 1.86, 1.80, 2.76, 0.87), "Volkswagen Caddy 5", 5, 4),
        "van": _body("van", (4.90, 1.90, 1.99, 3.00, 0.99), "Volkswagen Transporter 6.1", 3, 5),
        "panel_van": _body("van", (5.98, 2.06, 2.55, 3.75, 1.21), "Ford Transit L3H2", 1, 5),
        "truck": _body("truck", (8.10, 2.42, 3.30, 4.20, 2.60), "MAN TGL 12 t box", 0.5, 9),
        "bus": _body("bus", (12.14, 2.55, 3.12, 5.90, 3.40), "Mercedes-Benz Citaro", 0, 1),
        "motorcycle": _body("motorcycle", (2.21, 0.95, 1.43, 1.53, 0.34), "BMW R 1250 GS", 2.5, 2),
    }
)


class Vehicle(Struct, frozen=True, kw_only=True):
    """One true vehicle.

    Attributes:
        look: what its appearance is drawn from; look-alikes share it (same model and colour).
        pace: how fast its driver likes to go, as a share of the usual speed.
    """

    id: TrueVehicleId
    body: str
    look: int
    plate: str
    pace: float

    @property
    def shape(self) -> Body:
        """Its body's dimensions."""
        return BODIES[self.body]


class Fleet:
    """Draws vehicles for ever; a given share of them has a look-alike among those near it in time.

    Vehicles are drawn in a row of pairs: a look-alike copies the body and look of one that came at most
    ``_RECENT`` vehicles before and has no copy yet. A share q of vehicles in such pairs needs a copy
    probability of q / 2 (a copy makes two look-alikes).
    """

    _RECENT = 25
    _LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"

    def __init__(self, rng: np.random.Generator, lookalike_share: float, *, on_road: bool) -> None:
        self._rng = rng
        self._copy_probability = lookalike_share / 2
        self._recent: list[Vehicle] = []
        self._names = tuple(BODIES)
        shares = np.array([body.share_road if on_road else body.share_parking for body in BODIES.values()])
        self._shares = shares / shares.sum()
        self._n = 0

    def draw(self) -> Vehicle:
        """The next vehicle."""
        self._n += 1
        rng = self._rng
        is_copy, chosen = rng.random() < self._copy_probability, rng.random()
        body, look = self._names[int(rng.choice(len(self._names), p=self._shares))], self._n
        if is_copy and self._recent:
            original = self._recent.pop(int(chosen * len(self._recent)))
            body, look = original.body, original.look
        letters = "".join(self._LETTERS[i] for i in rng.integers(0, len(self._LETTERS), 3))
        plate = f"{letters}-{int(rng.integers(1000, 10_000))}"
        pace = float(rng.uniform(0.8, 1.1))
        vehicle = Vehicle(id=TrueVehicleId(f"v{self._n:06d}"), body=body, look=look, plate=plate, pace=pace)
        if look == self._n:
            self._recent = [*self._recent[-self._RECENT + 1 :], vehicle]
        return vehicle
