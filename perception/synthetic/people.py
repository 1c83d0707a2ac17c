"""People beside the vehicles: from a car that has parked to where they are bound, and back before it leaves.

Nobody is simulated: where someone is at a moment follows from when the vehicle parked and when its driver means to leave.
Vehicles do not see people; people step out of their way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from perception.synthetic.lines import Floats, Line
from perception.synthetic.presence import Episode
from perception.synthetic.seeds import generator
from perception.synthetic.truth import PersonId, PersonState, VehicleState, degrees
from perception.synthetic.vehicles import TrueVehicleId
from perception.synthetic.walkways import Walkways
from site_models.schema import LevelId, Site
from twin.events.ids import SECOND, Micros

_ALIGHT_S, _BOARD_S = (3.0, 8.0), (3.0, 8.0)
_WALK_MPS = (1.1, 1.5)
_AWAY_S = 10.0  # at least; whoever has less time stays in the car
_BESIDE_M = 0.3  # from a car's side
_OUT_OF_STALL_M = 0.6
_ASIDE_M, _AHEAD_M = 0.4, 3.0  # kept from a moving vehicle's sides; how far before it people begin to step aside
_NEAR_M = 10.0  # from a vehicle's middle; no part of it is farther
_LOOKS = 1 << 31


class _Walk(NamedTuple):
    """One person's two ways.

    Attributes:
        line: from the car's door to the goal.
        leaves_at: the door; None: was already away when the traffic began.
        returns_at: back at the door.
    """

    id: PersonId
    look: int
    level: LevelId
    line: Line
    mps: float
    leaves_at: Micros | None
    returns_at: Micros

    @property
    def times(self) -> list[tuple[Micros, Micros]]:
        """From when to when each way lasts at most."""
        lasts = math.ceil(self.line.length_m / self.mps * SECOND) + 1
        back = (self.returns_at - lasts, self.returns_at + 1)
        return [back] if self.leaves_at is None else [(self.leaves_at, self.leaves_at + lasts), back]

    def at(self, at: Micros) -> PersonState | None:
        """Where the person is, while walking."""
        if self.leaves_at is not None and 0 <= (s_m := (at - self.leaves_at) / SECOND * self.mps) < self.line.length_m:
            return self._on(s_m, 1.0)
        if 0 <= (s_m := (self.returns_at - at) / SECOND * self.mps) < self.line.length_m:
            return self._on(s_m, -1.0)
        return None

    def _on(self, s_m: float, sense: float) -> PersonState:
        x, y = self.line.at(s_m)
        along = sense * self.line.direction(s_m)
        heading = degrees(math.atan2(along[1], along[0]))
        return PersonState(id=self.id, level=self.level, x_m=float(x), y_m=float(y), heading_deg=heading, look=self.look)


class _Walks(NamedTuple):
    """Those of one stay.

    Attributes:
        times: from when to when somebody may walk; nobody does otherwise, which is nearly always.
    """

    episode: Episode
    walks: list[_Walk]
    times: list[tuple[Micros, Micros]]


class People:
    """Who walks where.

    Args:
        per_vehicle: how many people come with a vehicle, on average.
        start_at: when the traffic began; whoever came before is away.
    """

    def __init__(self, site: Site, seed: int, per_vehicle: float, start_at: Micros) -> None:
        self._seed, self._per_vehicle, self._start_at = seed, per_vehicle, start_at
        self._ways = Walkways(site)
        self._stalls = {stall.id: stall for stall in site.stalls}
        self._walks: dict[TrueVehicleId, _Walks] = {}

    def at(self, at: Micros, episodes: Iterable[Episode], vehicles: Sequence[VehicleState]) -> tuple[PersonState, ...]:
        """Everyone who walks at a time, sorted by id.

        Args:
            episodes: those in which a vehicle stands in a stall then. Who ``may_walk`` not then may be left out.
            vehicles: all that are there.
        """
        states = (walk.at(at) for episode in episodes for walk in self._walks_of(episode).walks)
        walking = [state for state in states if state is not None]
        return tuple(sorted((_aside(one, vehicles) for one in walking), key=lambda one: one.id))

    def forget(self, vehicle: TrueVehicleId) -> None:
        """A vehicle is gone."""
        self._walks.pop(vehicle, None)

    def may_walk(self, episode: Episode, from_at: Micros, until_at: Micros) -> bool:
        """Whether somebody of a vehicle that stands may walk at some time from the one up to the other."""
        return any(start_at < until_at and end_at > from_at for start_at, end_at in self._walks_of(episode).times)

    def _walks_of(self, episode: Episode) -> _Walks:
        assert episode.parked is not None
        vehicle = episode.parked.vehicle.id
        known = self._walks.get(vehicle)
        if known is None or known.episode.start_at != episode.start_at:
            walks = self._planned(episode, episode.parked)
            known = self._walks[vehicle] = _Walks(episode, walks, [span for walk in walks for span in walk.times])
        return known

    def _planned(self, episode: Episode, parked: VehicleState) -> list[_Walk]:
        """The walks of one stay: all go the same way, one behind another, from the doors of either side."""
        rng = generator(self._seed, "people", parked.vehicle.id, str(parked.stall))
        n_people = int(self._per_vehicle + rng.uniform())
        n_goals = self._ways.n_goals(parked.level)
        if n_goals == 0 or n_people == 0:
            return []
        goal, mps = int(rng.integers(n_goals)), float(rng.uniform(*_WALK_MPS))
        alight_s, board_s = float(rng.uniform(*_ALIGHT_S)), float(rng.uniform(*_BOARD_S))
        walks = list[_Walk]()
        for number in range(n_people):
            way = self._way(parked, goal, side=1 if number % 2 == 0 else -1)
            behind_s = alight_s + 1.5 * number
            if (
                way is None
                or (episode.due_at - episode.start_at) / SECOND < 2 * way.length_m / mps + behind_s + board_s + _AWAY_S
            ):
                continue
            leaves_at = None if episode.start_at == self._start_at else episode.start_at + round(behind_s * SECOND)
            returns_at = episode.due_at - round((board_s + 1.5 * number) * SECOND)
            look, name = int(rng.integers(_LOOKS)), PersonId(f"{parked.vehicle.id}-{parked.stall}-{number + 1}")
            walks.append(_Walk(name, look, parked.level, way, mps, leaves_at, returns_at))
        return walks

    def _way(self, parked: VehicleState, goal: int, *, side: int) -> Line | None:
        """From a door along the car out of the stall, and on."""
        assert parked.stall is not None
        stall, body = self._stalls[parked.stall], parked.vehicle.shape
        heading = math.radians(parked.heading_deg)
        ahead, left = np.array([math.cos(heading), math.sin(heading)]), np.array([-math.sin(heading), math.cos(heading)])
        door = np.array([parked.x_m, parked.y_m]) + side * (body.width_m / 2 + _BESIDE_M) * left + 0.1 * body.length_m * ahead
        axis = math.radians(stall.heading_deg)
        outwards = -np.array([math.cos(axis), math.sin(axis)])
        mouth_m = float(((np.array(stall.ring_m) - door) @ outwards).max()) + _OUT_OF_STALL_M
        mouth: Floats = door + max(mouth_m, 0.1) * outwards
        way = self._ways.way(parked.level, mouth, goal)
        return None if way is None else Line(np.concatenate([door[None], way]))


def _aside(person: PersonState, vehicles: Sequence[VehicleState]) -> PersonState:
    """Stepping aside from a moving vehicle the more the nearer it is, to the nearer side that is free."""
    near = [one for one in vehicles if one.level == person.level and math.hypot(*_beside(one, person)) < _NEAR_M]
    for vehicle in near:
        (along, across), shape = _beside(vehicle, person), vehicle.vehicle.shape
        reach = min(1.0, (shape.length_m / 2 + _AHEAD_M - abs(along)) / _AHEAD_M)
        free_m = reach * (shape.width_m / 2 + _ASIDE_M)
        if vehicle.state != "moving" or abs(across) >= free_m:
            continue
        sides = [_at(vehicle, along, math.copysign(free_m, across) * sense) for sense in (1, -1)]
        moved = [replace(person, x_m=x, y_m=y) for x, y in sides]
        person = next((one for one in moved if not any(_is_inside(other, one) for other in near)), moved[0])
    return person


def _beside(vehicle: VehicleState, person: PersonState) -> tuple[float, float]:
    """How far ahead of the vehicle's middle, and to its left."""
    heading, dx, dy = math.radians(vehicle.heading_deg), person.x_m - vehicle.x_m, person.y_m - vehicle.y_m
    return dx * math.cos(heading) + dy * math.sin(heading), dy * math.cos(heading) - dx * math.sin(heading)


def _at(vehicle: VehicleState, along: float, across: float) -> tuple[float, float]:
    cos, sin = math.cos(math.radians(vehicle.heading_deg)), math.sin(math.radians(vehicle.heading_deg))
    return vehicle.x_m + along * cos - across * sin, vehicle.y_m + along * sin + across * cos


def _is_inside(vehicle: VehicleState, person: PersonState) -> bool:
    (along, across), shape = _beside(vehicle, person), vehicle.vehicle.shape
    return abs(along) < shape.length_m / 2 and abs(across) < shape.width_m / 2
