"""What changes on the graph's nodes. Every value comes from a fact; frozen, so that a node is replaced and never edited."""

from __future__ import annotations

from msgspec import Struct

from site_models.schema import CameraId, LevelId, StallId, ZoneId
from twin.events.facts import StallState
from twin.events.ids import Micros, VehicleId
from twin.events.observations import VehicleKind
from twin.events.state import SeenState, VehicleState


class VehicleNow(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A vehicle on the site, as its last fact left it.

    Attributes:
        since_at: when ``state`` became what it is.
        updated_at: when the last fact of its position occurred.
        takes, is_double_parked: as its last ``vehicle.parked.v1`` says, while it is parked.
        is_inferred: nobody saw it there; it was found again later.
    """

    kind: VehicleKind
    state: VehicleState
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]  # xx, xy, yy
    velocity_mps: tuple[float, float]
    zone: ZoneId | None
    stall: StallId | None
    since_at: Micros
    updated_at: Micros
    takes: tuple[StallId, ...] = ()
    is_double_parked: bool = False
    is_inferred: bool = False


class StallNow(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A stall; ``since_at`` is None until the first fact of it, and ``certainty`` where it is unknown."""

    state: StallState = "unknown"
    vehicle: VehicleId | None = None
    since_at: Micros | None = None
    certainty: float | None = None


class CameraNow(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A camera; ``unseen`` until it first delivers."""

    state: SeenState = "unseen"
    since_at: Micros | None = None


class PortalNow(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """How often a portal was crossed."""

    n_in: int = 0
    n_out: int = 0


class SessionNow(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """An open session; a closed one is only counted."""

    vehicle: VehicleId
    entry_at: Micros


class TrackletNow(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Which vehicle a camera's tracklet belongs to, while that vehicle is on the site."""

    vehicle: VehicleId
    camera: CameraId


class Tally(Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Counts since the log began: sessions opened and closed, exits without an entry, and stays that were others."""

    n_opened: int = 0
    n_closed: int = 0
    n_orphaned: int = 0
    n_void: int = 0
