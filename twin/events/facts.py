"""Facts: what the twin concluded. A correction adds a fact whose envelope names what it supersedes.

Positions are metres in the site frame (x east, y north, origin at the site datum), rounded to 1 mm;
covariances are square metres rounded to 1e-6; so that the same fold gives the same bytes anywhere.
The envelope's ``occurred_at`` is valid time after clock correction.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from site_models.schema import GateAnswer
from twin.events.ids import (
    CameraId,
    DecisionId,
    EventId,
    LevelId,
    Micros,
    PaymentId,
    PortalId,
    SessionId,
    StallId,
    TrackletId,
    VehicleId,
    ZoneId,
)
from twin.events.observations import Decision, GateDecider, GateState, VehicleKind
from twin.events.observations import Direction as Direction
from twin.events.of_observing import CameraBiasEstimated as CameraBiasEstimated
from twin.events.of_observing import CameraLinkEstimated as CameraLinkEstimated
from twin.events.of_observing import CameraStateChanged as CameraStateChanged
from twin.events.of_observing import ClockEstimated as ClockEstimated
from twin.events.of_observing import FactRetracted as FactRetracted
from twin.events.of_observing import LooksCalibrated as LooksCalibrated
from twin.events.of_observing import ObservationLate as ObservationLate

StallState = Literal["free", "occupied", "unknown"]
SessionStatus = Literal["open", "closed", "orphan", "void"]
AmendReason = Literal["identities_merged", "identities_split", "operator", "late_data", "payment"]
RefusalReason = Literal[
    "unknown_session", "unknown_vehicle", "no_stay", "not_merged", "exit_before_entry", "already_so", "no_plate"
]
SessionFlag = Literal["unverified", "no_entry", "no_exit", "camera_gap", "ambiguous_identity"]
PaymentFate = Literal["credited", "no_stay", "unknown_session", "no_tariff", "wrong_currency", "already_booked"]
GateReason = Literal[
    "room_inside",
    "site_full",
    "paid",
    "nothing_due",
    "waived",
    "not_billed",
    "unpaid",
    "unverified",
    "ambiguous_identity",
    "ambiguous_vehicle",
    "no_vehicle",
    "no_stay",
    "camera_silent",
    "gate_fault",
    "stale",
    "unknown_portal",
    "unknown_direction",
]


class VehicleConfirmed(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="vehicle.confirmed.v1"
):
    """A new vehicle: enough detections agree (M of N)."""

    vehicle: VehicleId
    kind: VehicleKind
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]  # xx, xy, yy
    zone: ZoneId | None = None
    tracklets: tuple[TrackletId, ...] = ()
    evidence: tuple[EventId, ...] = ()


class VehicleMoved(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="vehicle.moved.v1"):
    """A confirmed vehicle has a new fused position.

    Attributes:
        is_inferred: nobody saw it there: said once it was found again, of the way between.
    """

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]  # xx, xy, yy
    velocity_mps: tuple[float, float]
    zone: ZoneId | None = None  # None: on the site, in no zone
    evidence: tuple[EventId, ...] = ()
    is_inferred: bool = False


class VehicleParked(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="vehicle.parked.v1"):
    """A vehicle stands still; it stays so until evidence says otherwise.

    Attributes:
        takes: stalls beside ``stall`` that it reaches into, so that nobody else can park there.
        is_double_parked: it takes more than one stall, or stands on a lane in the way of others.
    """

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    covariance_m2: tuple[float, float, float]
    zone: ZoneId | None = None
    stall: StallId | None = None
    evidence: tuple[EventId, ...] = ()
    takes: tuple[StallId, ...] = ()
    is_double_parked: bool = False


class VehicleHidden(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="vehicle.hidden.v1"):
    """A moving vehicle is no longer seen; it is still on the site. Silence is never an exit."""

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    zone: ZoneId | None = None


class VehicleLeft(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="vehicle.left.v1"):
    """A vehicle left the site, on evidence: it was seen crossing a portal outwards."""

    vehicle: VehicleId
    portal: PortalId
    evidence: tuple[EventId, ...] = ()


class VehicleDismissed(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="vehicle.dismissed.v1"
):
    """What was taken for a vehicle went out of sight after so few detections that it was none, or another one's double.

    Only what was never seen to enter is dismissed: it has no stay, and no stay ends with it.
    """

    vehicle: VehicleId
    level: LevelId
    position_m: tuple[float, float]
    n_detections: int


class TrackletAssigned(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="tracklet.assigned.v1"):
    """A camera's tracklet belongs to this vehicle."""

    tracklet: TrackletId
    camera: CameraId
    vehicle: VehicleId


class PortalCrossed(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="portal.crossed.v1"):
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


class IdentitiesMerged(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="identities.merged.v1"
):
    """Two vehicles were one: ``merged`` is no more, and what it did was done by ``vehicle``.

    Its tracklets are assigned anew, and its stays are amended, by facts of the same cause. Where it was while nobody saw
    ``vehicle`` by that name is told again, and what confirmed it is superseded, unless a person decided.

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


class IdentitiesSplit(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="identities.split.v1"
):
    """A person said that two names are two vehicles after all: what ``split`` did before they were merged was its own.

    Its stays are amended by facts of the same cause. Whoever is followed keeps the name ``vehicle``.
    """

    vehicle: VehicleId
    split: VehicleId
    decision: EventId


class StallChanged(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="stall.changed.v1"):
    """A stall became free, occupied or unknown; or is so more or less surely than was said.

    Attributes:
        vehicle: that is parked in it. An occupied stall without one is reached into from beside it, or only seen to be taken.
        certainty: 0..1, that it is so; None: it is unknown, or a release before this one said it.
    """

    stall: StallId
    state: StallState
    vehicle: VehicleId | None = None
    evidence: tuple[EventId, ...] = ()
    certainty: float | None = None


class SessionOpened(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="session.opened.v1"):
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


class SessionClosed(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="session.closed.v1"):
    """A billable stay ended; its duration is exit minus entry in valid time.

    Attributes:
        portal: None where a person said that it ended.
        version: of the stay; the releases before amendments left it out, and had nothing but 2.
        final_at: it is provisional until then: later, only a person or the repair of late data changes it. None: it is
            in doubt, and provisional until a person decides.
        amount_minor: what it costs, in minor units of ``currency``, under ``tariff``; None without one.
        billed_until_at: it was paid then, and left within the tariff's time to leave: it costs what it cost then. None:
            until its exit.
        paid_minor: what was received for it so far.
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
    billed_until_at: Micros | None = None
    paid_minor: int = 0


class SessionOrphaned(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="session.orphaned.v1"
):
    """An exit without an entry: flagged for a person, never an invented time."""

    session: SessionId
    vehicle: VehicleId
    portal: PortalId
    exit_at: Micros
    evidence: tuple[EventId, ...] = ()


class SessionAmended(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="session.amended.v1"
):
    """A stay as it is now known to be; replaces whatever was said of it before.

    Attributes:
        version: of the stay: 1 when it opened, 1 more with each fact about it.
        status: "void" where there was no such stay: another one is it.
        was: its status before.
        reason: why it was amended.
        entry_at: None for what is or was an orphan.
        is_waived: a person said that it costs nothing.
        settled_at: when last nothing was left to pay; it may leave within the tariff's time to leave.
        plate: the decision by which a person last set its number plate, which holds it sealed.
        final_at, tariff, currency, amount_minor, billed_until_at, paid_minor: as of ``session.closed.v1``.
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
    settled_at: Micros | None = None
    plate: EventId | None = None
    final_at: Micros | None = None
    tariff: str | None = None
    currency: str | None = None
    amount_minor: int | None = None
    billed_until_at: Micros | None = None
    paid_minor: int = 0


class DecisionRefused(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="decision.refused.v1"
):
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


class LedgerClosed(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="ledger.closed.v1"):
    """What stays that ended by ``until_at`` cost is invoiced; what changes in it from now on is an adjustment."""

    invoice: str
    until_at: Micros


class PaymentBooked(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="payment.booked.v1"):
    """Money was received, and what became of it. What is for no stay is in the ledger as unassigned: none is lost silently.

    Attributes:
        session: the stay that it is for now: the one that was named, or the one that this is part of.
        fate: "credited"; "no_stay": the session that was named is an orphan or void, and it stays on its account. With the
            others it is unassigned; but "already_booked" is the same payment again, and no more money.
        paid_at: when, by the payment system's clock; not later than the logged clock and 10 s.
        paid_minor: what was received for the session so far, this included.
        settled_at: when last nothing was left to pay for it; None: there is.
        named: the session that the payment named, where that is another.
    """

    payment: PaymentId
    session: SessionId
    fate: PaymentFate
    amount_minor: int
    currency: str
    paid_at: Micros
    paid_minor: int = 0
    settled_at: Micros | None = None
    named: SessionId | None = None
    observation: EventId


class GateChanged(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="gate.changed.v1"):
    """A gate's barrier is otherwise than it was, or somebody other than the twin decided how it is.

    Attributes:
        by, author, reason, asked: as of ``gate.state.v1``.
    """

    portal: PortalId
    state: GateState
    by: GateDecider | None = None
    author: str | None = None
    reason: str | None = None
    asked: EventId | None = None


class GateDecided(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="gate.decided.v1"):
    """The answer to whoever stands at a gate: from what was known then, and never superseded.

    Attributes:
        decision: made from the observation that asked, so that a resend has the same.
        answer: "ask": an attendant decides.
        reasons: why, the one that decided first.
        confidence: 0..1, how sure it is that the answer is to this vehicle and its stay.
        expires_at: nobody acts on it later.
        as_of_at: what was seen until then is in it; None: nothing was.
        asked: the observation that asked.
        due_minor: what is still to be paid, in minor units of ``currency``.
        evidence: observations and facts that it rests on.
    """

    decision: DecisionId
    portal: PortalId
    answer: GateAnswer
    reasons: tuple[GateReason, ...]
    confidence: float
    expires_at: Micros
    as_of_at: Micros | None
    asked: EventId
    direction: Direction | None = None
    vehicle: VehicleId | None = None
    session: SessionId | None = None
    due_minor: int | None = None
    currency: str | None = None
    evidence: tuple[EventId, ...] = ()


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
    | PaymentBooked
    | GateChanged
    | GateDecided
    | ClockEstimated
    | CameraLinkEstimated
    | LooksCalibrated
    | CameraBiasEstimated
    | ObservationLate
    | FactRetracted
)
