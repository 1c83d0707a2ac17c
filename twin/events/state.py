"""The form of a site's state in every read, feed and command; ``twin.graph.query.state`` builds it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from twin.events.facts import StallState
from twin.events.observations import VehicleKind

VehicleState = Literal["moving", "parked", "hidden"]
SeenState = Literal["active", "idle", "unseen"]


class VehicleView(Struct, frozen=True, kw_only=True):
    """One vehicle on the site; metres in the site frame, times RFC 3339.

    ``takes`` are stalls beside its own that a parked one reaches into; ``is_double_parked`` also where it stands in the way.
    ``is_inferred``: nobody saw it there, it was found again later.
    """

    vehicle: str
    kind: VehicleKind
    state: VehicleState
    level: str
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]
    velocity_mps: tuple[float, float]
    zone: str | None
    stall: str | None
    session: str | None
    since_at: str
    updated_at: str
    takes: list[str]
    is_double_parked: bool
    is_inferred: bool


class StallView(Struct, frozen=True, kw_only=True):
    """One stall, who stands in it, and how sure that was when it was last said: 0..1, None where it is unknown."""

    stall: str
    state: StallState
    vehicle: str | None
    since_at: str | None
    certainty: float | None


class ZoneView(Struct, frozen=True, kw_only=True):
    """One zone; ``unknown`` while a piece of it is covered only by cameras that do not deliver."""

    zone: str
    state: Literal["known", "unknown"]
    n_vehicles: int
    n_stalls: int
    n_free: int


class CameraView(Struct, frozen=True, kw_only=True):
    """One camera: delivering, silent, or never heard of."""

    camera: str
    state: SeenState
    since_at: str | None


class CountersView(Struct, frozen=True, kw_only=True):
    """Sessions opened (void ones left out) and closed, vehicles on the site now, exits without an entry, sessions open now.

    ``entries - exits = sessions_open`` always.
    """

    entries: int
    exits: int
    inside: int
    orphans: int
    sessions_open: int


class PortalView(Struct, frozen=True, kw_only=True):
    """How often a portal was crossed."""

    portal: str
    n_in: int
    n_out: int


class StateView(Struct, frozen=True, kw_only=True):
    """The whole state of a site at a valid time, as known at a position of its fact log."""

    site: str
    at: str
    position: str
    level_ids: list[str]
    vehicles: list[VehicleView]
    stalls: list[StallView]
    zones: list[ZoneView]
    cameras: list[CameraView]
    counters: CountersView
    portals: list[PortalView]


class OccupancyView(Struct, frozen=True, kw_only=True):
    """Zones, stalls and counters of a site's state."""

    site: str
    at: str
    position: str
    zones: list[ZoneView]
    stalls: list[StallView]
    counters: CountersView
