"""Tracks as vehicles of the site: handed over to the nearest one that was lost, and counted in and out at the portals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from site_models.schema import LevelId, Portal, PortalId, Site
from twin.evaluation.run_directory import SESSIONS, TRACKS
from twin.events.ids import SECOND, Micros
from twin.fusion.portals import side_m
from twin.rules.tariff import TariffBook

from .tracker import Shown

GATE_M = 10.0
"""A track that begins this near to a boundary portal is a new vehicle."""
REACH_M, REACH_MPS, REACH_AT_MOST_M = 6.0, 8.0, 80.0
"""How far from where it was lost a vehicle may come up again: so far at once, so much more each second, and no farther."""
STILL_MPS = 0.6
PARKED_AFTER: Micros = 4 * SECOND
LEAVES_M = 1.5
"""A parked vehicle that is this far from where it stood drives on."""
ACROSS_M = 0.5
"""Beyond a line by less counts as on it, so that jitter crosses nothing."""
_BESIDE = 0.15  # share of its length that a line catches beyond its ends

_Place = tuple[float, float, Micros]


@dataclass
class Vehicle:
    """One vehicle, followed or lost."""

    name: str
    level: LevelId
    at: Micros
    x: float
    y: float
    still_since: Micros | None = None
    parked_at_m: tuple[float, float] | None = None
    entry: Micros | None = None
    has_left: bool = False
    beside: dict[PortalId, _Place] = field(default_factory=dict[PortalId, _Place])
    """Where it was last on one of the sides of a line."""


@dataclass
class SiteVehicles:
    """All vehicles of a site, and the rows of the tables about them."""

    site: Site
    tracks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    sessions: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _followed: dict[str, Vehicle] = field(default_factory=dict[str, Vehicle])
    _lost: list[Vehicle] = field(default_factory=list[Vehicle])
    _n: int = 0

    def step(self, at: Micros, level: LevelId, shown: list[Shown]) -> None:
        """Take a level's tracks at a time."""
        alive = {track.key for track in shown}
        for key, vehicle in list(self._followed.items()):
            if vehicle.level == level and key not in alive:
                del self._followed[key]
                self._lose(vehicle, at)
        for track in shown:
            vehicle = self._followed.get(track.key)
            if vehicle is None:
                vehicle = self._followed[track.key] = self._begun(at, level, track)
            self._move(vehicle, at, level, track)

    def finish(self) -> None:
        """Stays that are still open."""
        for vehicle in [*self._followed.values(), *self._lost]:
            if vehicle.entry is not None:
                self._session(vehicle, vehicle.entry, None, "open")

    def _begun(self, at: Micros, level: LevelId, track: Shown) -> Vehicle:
        """The nearest vehicle that was lost, or a new one."""
        if not any(self._apart_m(portal, track.x, track.y) < GATE_M for portal in self._boundaries(level)):
            near = [(self._from_m(one, level, track), one) for one in self._lost]
            near = [(m, one) for m, one in near if m < min(REACH_AT_MOST_M, REACH_M + REACH_MPS * (at - one.at) / SECOND)]
            if near:
                _, vehicle = min(near, key=lambda one: one[0])
                self._lost.remove(vehicle)
                vehicle.level, vehicle.x, vehicle.y, vehicle.at = level, track.x, track.y, at
                vehicle.parked_at_m = vehicle.still_since = None
                return vehicle
        self._n += 1
        return Vehicle(f"peer-{self._n}", level, at, track.x, track.y)

    def _from_m(self, lost: Vehicle, level: LevelId, track: Shown) -> float:
        """How far a track is from where a vehicle was lost; another level counts where a ramp leads there."""
        is_joined = lost.level == level or any(
            {portal.level, portal.to_level} == {lost.level, level} for portal in self.site.portals if portal.role == "level"
        )
        return ((lost.x - track.x) ** 2 + (lost.y - track.y) ** 2) ** 0.5 if is_joined else float("inf")

    def _lose(self, vehicle: Vehicle, at: Micros) -> None:
        if vehicle.has_left:
            return
        self._lost.append(vehicle)
        if vehicle.parked_at_m is None:
            self._row(vehicle, at, "hidden", None)

    def _move(self, vehicle: Vehicle, at: Micros, level: LevelId, track: Shown) -> None:
        vehicle.x, vehicle.y, vehicle.at = track.x, track.y, at
        for portal in self._boundaries(level):
            if (crossed := _crossed(portal, vehicle.beside, (track.x, track.y, at))) is not None:
                self._cross(vehicle, at, *crossed)
        if not vehicle.has_left:
            self._tell(vehicle, at, track)

    def _tell(self, vehicle: Vehicle, at: Micros, track: Shown) -> None:
        if vehicle.parked_at_m is not None:
            x, y = vehicle.parked_at_m
            if (track.x - x) ** 2 + (track.y - y) ** 2 < LEAVES_M**2:
                return
            vehicle.parked_at_m = vehicle.still_since = None
        if track.speed_mps > STILL_MPS:
            vehicle.still_since = None
        elif vehicle.still_since is None:
            vehicle.still_since = at
        is_parked = vehicle.still_since is not None and at - vehicle.still_since >= PARKED_AFTER
        if is_parked:
            vehicle.parked_at_m = (track.x, track.y)
        if track.was_updated or is_parked:
            self._row(vehicle, at, "parked" if is_parked else "moving", track)

    def _cross(self, vehicle: Vehicle, at: Micros, crossed_at: Micros, direction: str) -> None:
        """A line was crossed; ``at`` is when that was noticed, after which the tracks show the vehicle no more."""
        if direction == "in":
            vehicle.has_left = False
            vehicle.entry = vehicle.entry or crossed_at
            return
        if vehicle.has_left:
            return
        self._session(vehicle, vehicle.entry, crossed_at, "closed" if vehicle.entry is not None else "orphan")
        vehicle.entry, vehicle.has_left = None, True
        self._row(vehicle, at, "left", None)

    def _session(self, vehicle: Vehicle, entry_at: Micros | None, exit_at: Micros | None, status: str) -> None:
        amount: int | None = None
        if entry_at is not None and exit_at is not None:
            pricing = TariffBook.of(self.site.tariffs).held_at(entry_at)
            amount = None if pricing is None else pricing.amount_minor(entry_at, exit_at)
        name = f"peer-stay-{len(self.sessions) + 1}"
        values = (name, vehicle.name, entry_at, exit_at, status, 1.0, amount)
        self.sessions.append(dict(zip(SESSIONS.names, values, strict=True)))

    def _row(self, vehicle: Vehicle, at: Micros, state: str, track: Shown | None) -> None:
        place: tuple[Any, ...] = (None,) * 6
        if track is not None:
            place = (str(vehicle.level), track.x, track.y, *track.covariance_m2)
        self.tracks.append(dict(zip(TRACKS.names, (vehicle.name, at, *place, state), strict=True)))

    def _boundaries(self, level: LevelId) -> list[Portal]:
        return [portal for portal in self.site.portals if portal.role == "boundary" and portal.level == level]

    @staticmethod
    def _apart_m(portal: Portal, x: float, y: float) -> float:
        (ax, ay), (bx, by) = portal.line_m
        return (((ax + bx) / 2 - x) ** 2 + ((ay + by) / 2 - y) ** 2) ** 0.5


def _crossed(portal: Portal, beside: dict[PortalId, _Place], now: _Place) -> tuple[Micros, str] | None:
    """When a vehicle came from one side of a portal's line to the other, between its ends, and which way."""
    away, along, _ = side_m(portal, now[0], now[1])
    if abs(away) < ACROSS_M:
        return None
    before = beside.get(portal.id)
    beside[portal.id] = now
    if before is None:
        return None
    was, along_then, _ = side_m(portal, before[0], before[1])
    share = was / (was - away) if was != away else 0.0
    if (was > 0) == (away > 0) or not -_BESIDE <= along_then + share * (along - along_then) <= 1 + _BESIDE:
        return None
    return before[2] + round(share * (now[2] - before[2])), "in" if away > 0 else "out"
