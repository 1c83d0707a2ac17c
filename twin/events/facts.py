"""Facts: what the twin concluded. A correction adds a fact whose envelope names what it supersedes.

Positions are metres in the site frame (x east, y north, origin at the site datum), rounded to 1 mm;
covariances are square metres rounded to 1e-6; so that the same fold gives the same bytes anywhere.
The envelope's ``occurred_at`` is valid time after clock correction.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from twin.events.ids import CameraId, EventId, LevelId, Micros, PortalId, SessionId, StallId, TrackletId, VehicleId, ZoneId
from twin.events.observations import Decision, VehicleKind

Direction = Literal["in", "out"]
StallState = Literal["free", "occupied", "unknown"]
CameraState = Literal["active", "idle"]
SessionStatus = Literal["open", "closed", "orphan", "void"]
AmendReason = Literal["identities_merged", "identities_split", "operator", "late_data"]
LateFate = Literal["not_fused", "fused_later"]
RetractReason = Literal["late_data"]
RefusalReason = Literal["unknown_session", "unknown_vehicle", "no_stay", "not_merged", "exit_before_entry", "already_so"]
SessionFlag = Literal["unverified", "no_entry", "no_exit", "camera_gap", "ambiguous_identity"]


class VehicleConfirmed(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="vehicle.confirmed.v1"):
    """A new vehicle: enough detections agree (M of N)."""

    vehicle: VehicleId
    kind: VehicleKind
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]  # xx, xy, yy
    zone: ZoneId | None = None
    tracklets: tuple[TrackletId, ...] = ()
    evidence: tuple[EventId, ...] = ()


class VehicleMoved(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="vehicle.moved.v1"):
    """A confirmed vehicle has a new fused position."""

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]  # xx, xy, yy
    velocity_mps: tuple[float, float]
    zone: ZoneId | None = None  # None: on the site, in no zone
    evidence: tuple[EventId, ...] = ()


class VehicleParked(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="vehicle.parked.v1"):
    """A vehicle stands still; it stays so until evidence says otherwise."""

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]
    zone: ZoneId | None = None
    stall: StallId | None = None
    evidence: tuple[EventId, ...] = ()


class VehicleHidden(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="vehicle.hidden.v1"):
    """A moving vehicle is no longer seen; it is still on the site. Silence is never an exit."""

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    zone: ZoneId | None = None


class VehicleLeft(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="vehicle.left.v1"):
    """A vehicle left the site, on evidence: it was seen crossing a portal outwards."""

    vehicle: VehicleId
    portal: PortalId
    evidence: tuple[EventId, ...] = ()


class VehicleDismissed(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="vehicle.dismissed.v1"):
    """What was taken for a vehicle went out of sight after so few detections that it was none, or another one's double.

    Only what was never seen to enter is dismissed: it has no stay, and no stay ends with it.
    """

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    n_detections: int


class TrackletAssigned(Struct, frozen=True, kw_only=True, tag_field="type", tag="tracklet.assigned.v1"):
    """A camera's tracklet belongs to this vehicle."""

    tracklet: TrackletId
    camera: CameraId
    vehicle: VehicleId


class PortalCrossed(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="portal.crossed.v1"):
    """A vehicle's path crossed a portal's line; ``occurred_at`` is interpolated on the path.

    Attributes:
        certainty: 0..1, how sure it is that this vehicle crossed: its identity, and whether the crossing was seen.
        flags: what a session that rests on this crossing must be marked with.
    """

    vehicle: VehicleId
    portal: PortalId
    direction: Direction
    position_m: tuple[float, float]
    speed_mps: float
    certainty: float = 1.0
    flags: tuple[SessionFlag, ...] = ()
    evidence: tuple[EventId, ...] = ()


class IdentitiesMerged(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="identities.merged.v1"):
    """Two vehicles were one: ``merged`` is no more, and what it did was done by ``vehicle``.

    Its tracklets are assigned anew, and its stays are amended, by facts of the same cause.

    Attributes:
        level, position_m: of ``merged`` when it was found out; None where it was not followed any more.
        decision: the observation by which a person said so; None: the twin found out.
    """

    vehicle: VehicleId
    merged: VehicleId
    level: LevelId | None = None
    position_m: tuple[float, float] | None = None
    evidence: tuple[EventId, ...] = ()
    decision: EventId | None = None


class IdentitiesSplit(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="identities.split.v1"):
    """A person said that two names are two vehicles after all: what ``split`` did before they were merged was its own.

    Its stays are amended by facts of the same cause. Whoever is followed keeps the name ``vehicle``.
    """

    vehicle: VehicleId
    split: VehicleId
    decision: EventId


class StallChanged(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="stall.changed.v1"):
    """A stall became free, occupied or unknown."""

    stall: StallId
    state: StallState
    vehicle: VehicleId | None = None
    evidence: tuple[EventId, ...] = ()


class CameraStateChanged(Struct, frozen=True, kw_only=True, tag_field="type", tag="camera.state.v1"):
    """A camera began to deliver, or fell silent; a silent camera's zones become unknown."""

    camera: CameraId
    state: CameraState


class SessionOpened(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="session.opened.v1"):
    """A billable stay began; version 1 of it.

    Attributes:
        tariff: name of the one that held at its entry, such as ``public@2``, for good; None: nothing is billed.
    """

    session: SessionId
    vehicle: VehicleId
    portal: PortalId | None
    entry_at: Micros
    confidence: float
    flags: tuple[SessionFlag, ...] = ()
    evidence: tuple[EventId, ...] = ()
    tariff: str | None = None


class SessionClosed(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="session.closed.v1"):
    """A billable stay ended; its duration is exit minus entry in valid time.

    Attributes:
        portal: None where a person said that it ended.
        version: of the stay; the releases before amendments left it out, and had nothing but 2.
        final_at: it is provisional until then: later, only a person or the repair of late data changes it. None: it is
            in doubt, and provisional until a person decides.
        amount_minor: what it costs, in minor units of ``currency``, under ``tariff``; None without one.
    """

    session: SessionId
    vehicle: VehicleId
    portal: PortalId | None
    entry_at: Micros
    exit_at: Micros
    confidence: float
    flags: tuple[SessionFlag, ...] = ()
    evidence: tuple[EventId, ...] = ()
    version: int = 2
    final_at: Micros | None = None
    tariff: str | None = None
    currency: str | None = None
    amount_minor: int | None = None


class SessionOrphaned(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="session.orphaned.v1"):
    """An exit without an entry: flagged for a person, never an invented time."""

    session: SessionId
    vehicle: VehicleId
    portal: PortalId
    exit_at: Micros
    evidence: tuple[EventId, ...] = ()


class SessionAmended(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="session.amended.v1"):
    """A stay as it is now known to be; replaces whatever was said of it before.

    Attributes:
        version: of the stay: 1 when it opened, 1 more with each fact about it.
        status: "void" where there was no such stay: another one is it.
        was: its status before.
        reason: why it was amended.
        entry_at: None for what is or was an orphan.
        is_waived: a person said that it costs nothing.
        final_at, tariff, currency, amount_minor: as of ``session.closed.v1``.
    """

    session: SessionId
    vehicle: VehicleId
    version: int
    status: SessionStatus
    was: SessionStatus
    reason: AmendReason
    entry_at: Micros | None
    exit_at: Micros | None = None
    portal_out: PortalId | None = None
    confidence: float = 0.0
    flags: tuple[SessionFlag, ...] = ()
    evidence: tuple[EventId, ...] = ()
    is_waived: bool = False
    final_at: Micros | None = None
    tariff: str | None = None
    currency: str | None = None
    amount_minor: int | None = None


class DecisionRefused(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="decision.refused.v1"):
    """A person's decision was not carried out, and changed nothing.

    Attributes:
        decision: the observation that it was.
        reason: ``unknown_session`` and ``unknown_vehicle`` also where it is over for longer than can be corrected.
    """

    decision: EventId
    kind: Decision
    reason: RefusalReason
    session: SessionId | None = None
    vehicle: VehicleId | None = None
    other: VehicleId | None = None


class LedgerClosed(Struct, frozen=True, kw_only=True, tag_field="type", tag="ledger.closed.v1"):
    """What stays that ended by ``until_at`` cost is invoiced; what changes in it from now on is an adjustment."""

    invoice: str
    until_at: Micros


class ObservationLate(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="observation.late.v1"):
    """An observation arrived after its tick was closed; it is kept in the log whatever becomes of it.

    Attributes:
        late_by_us: negative: so far ahead of the logged clock.
        fate: "fused_later": inside the horizon, corrections follow where it changes anything; "not_fused": `twin refuse` does.
    """

    camera: CameraId
    observation: EventId
    late_by_us: int
    fate: LateFate = "not_fused"


class FactRetracted(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="fact.retracted.v1"):
    """What the superseded facts said is no longer so, and nothing of their type is said of their subject instead.

    Attributes:
        kind: their type.
        reason: why it is no longer so.
        session, stall, vehicle, tracklet, camera: their subject, as they named it.
    """

    kind: str
    reason: RetractReason
    session: SessionId | None = None
    stall: StallId | None = None
    vehicle: VehicleId | None = None
    tracklet: TrackletId | None = None
    camera: CameraId | None = None


Fact = (
    VehicleConfirmed
    | VehicleMoved
    | VehicleParked
    | VehicleHidden
    | VehicleLeft
    | VehicleDismissed
    | TrackletAssigned
    | PortalCrossed
    | IdentitiesMerged
    | IdentitiesSplit
    | StallChanged
    | CameraStateChanged
    | SessionOpened
    | SessionClosed
    | SessionOrphaned
    | SessionAmended
    | DecisionRefused
    | LedgerClosed
    | ObservationLate
    | FactRetracted
)
