"""The vehicles that a stage knows: each is built once and then only placed."""

from __future__ import annotations

from typing import NamedTuple

from perception.synthetic.render.appearance import Appearance, appearance, vehicle_mesh
from perception.synthetic.render.plates import plate_picture
from perception.synthetic.render.stage import Actor, Stage
from perception.synthetic.render.truth import Outline, outline


class Member(NamedTuple):
    """One vehicle; ``number`` is its identity in pictures."""

    vehicle: str
    number: int
    actor: Actor
    appearance: Appearance
    outline: Outline


class Cast:
    """Vehicles by name, with the same look for the same seed and name.

    Args:
        spread: how far their sizes leave their type's; 0 where the truth states the type's.
    """

    def __init__(self, stage: Stage, seed: int, *, spread: float = 0.0) -> None:
        self._stage, self._seed, self._spread = stage, seed, spread
        self._members: dict[tuple[str, bool], Member] = {}

    def member(self, vehicle: str, shape: str, look: str, plate: str, *, has_rider: bool) -> Member:
        """The vehicle of this name, built at the first call; a motorcycle differs with its rider."""
        key = (vehicle, has_rider)
        if key not in self._members:
            own = appearance(self._seed, shape, look, vehicle, plate, spread=self._spread)
            mesh, number = vehicle_mesh(own, with_rider=has_rider), len(self._members) + 1
            actor = self._stage.add(mesh, "vehicle", number)
            actor.set_plate(plate_picture(plate))
            self._members[key] = Member(vehicle, number, actor, own, outline(mesh))
        return self._members[key]

    def leave(self) -> None:
        """Everybody off the stage."""
        for member in self._members.values():
            member.actor.show(False)
