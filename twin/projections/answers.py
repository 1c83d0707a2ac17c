"""The shapes of answers about a site: what the API sends and its client reads. They import nothing that is heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from twin.events.observations import VehicleKind
from twin.events.state import VehicleState, VehicleView
from twin.projections.history import SightingView
from twin.projections.ledger import LedgerLineView
from twin.projections.sessions import SessionView

CloudEvent = Annotated[dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Fact"})]
"""A fact as CloudEvents JSON."""


class Vehicles(Struct, frozen=True, kw_only=True):
    """Vehicles on the site at a moment."""

    at: str
    position: str
    vehicles: list[VehicleView]


class VehicleTold(Struct, frozen=True, kw_only=True):
    """One vehicle: as ``VehicleView``, all null when it is not on the site at the moment, and its past until then.

    Attributes:
        history: its facts in the order in which they occurred, the last ``limit`` of them.
    """

    vehicle: str
    kind: VehicleKind | None
    state: VehicleState | None
    level: str | None
    position_m: tuple[float, float] | None
    covariance_m2: tuple[float, float, float] | None
    velocity_mps: tuple[float, float] | None
    zone: str | None
    stall: str | None
    session: str | None
    since_at: str | None
    updated_at: str | None
    takes: list[str] | None
    is_double_parked: bool | None
    is_inferred: bool | None
    history: list[CloudEvent]
    sightings: list[SightingView]


class Sessions(Struct, frozen=True, kw_only=True):
    """Sessions that had begun at a moment; ``next`` is the cursor of the page after, absent at the end."""

    position: str
    sessions: list[SessionView]
    next: str | UnsetType = UNSET


class Ledger(Struct, frozen=True, kw_only=True):
    """Lines of the ledger in the order in which they were added; ``next``: cursor of the page after, absent at the end."""

    position: str
    lines: list[LedgerLineView]
    next: str | UnsetType = UNSET


class Facts(Struct, frozen=True, kw_only=True):
    """A page of the fact log, and the log's last position; ``next`` is the ``after`` of the page after, absent at the end."""

    facts: list[CloudEvent]
    head: str
    next: str | UnsetType = UNSET


class ReceiptView(Struct, frozen=True, kw_only=True):
    """What became of one observation; ``position`` is the first of its device key.

    It is left out where a broker ``accepted`` it, and where it is ``expired``: not after what retention cut of its device.
    Only what is ``refused`` or ``expired``, and so was not stored now, has a ``reason``.
    """

    outcome: Literal["stored", "duplicate", "refused", "expired", "accepted"]
    position: str | None = None
    reason: str | None = None


class Receipts(Struct, frozen=True, kw_only=True):
    """One receipt for each observation, in order."""

    receipts: list[ReceiptView]
