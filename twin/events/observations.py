"""Observations: what a sensor saw, or a person or another system said. Never a conclusion.

Pixels are in the full frame as the detector was given it, origin at the top left corner, x right, y down.
The envelope's ``occurred_at`` is the exposure time on the device's clock.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from site_models.schema import CameraGeometry, ClockSource
from twin.events.ids import (
    CameraId,
    CropId,
    EventId,
    LevelId,
    Micros,
    PaymentId,
    PortalId,
    SessionId,
    StallId,
    TrackletId,
    VehicleId,
)

VehicleKind = Literal["car", "van", "truck", "bus", "motorcycle", "bicycle"]
Colour = Literal["white", "grey", "black", "red", "orange", "yellow", "green", "blue", "brown"]
"""Paint by its everyday name: silver is grey, beige and gold are brown. A model with other words leaves the field out."""
Decision = Literal["merge", "split", "close", "reopen", "waive", "set_plate"]
Direction = Literal["in", "out"]
GateState = Literal["closed", "open", "moving", "held_open", "fault"]
GateDecider = Literal["attendant", "list", "unreachable"]
"""Who let a vehicle pass or not other than by the twin's answer: a person, the gate's own list, or the rule for the case that
the twin cannot be reached."""
Edge = Literal["left", "top", "right", "bottom"]
Word = TypeVar("Word", bound=str)


class DetectedBox(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One vehicle in one frame."""

    tracklet: TrackletId
    kind: VehicleKind
    score: float
    box_px: tuple[float, float, float, float]  # x1, y1, x2, y2
    box_sigma_px: tuple[float, float]  # standard deviation of the box's edges, x and y
    truncated: tuple[Edge, ...] = ()  # frame edges that cut the box


class FrameObserved(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="frame.observed.v1"):
    """One frame of one camera, also when nothing was seen: absence is evidence."""

    camera: CameraId
    frame_px: tuple[int, int]  # width, height
    detector: str  # model id and version
    clock: ClockSource
    boxes: tuple[DetectedBox, ...] = ()
    unchanged: tuple[TrackletId, ...] = ()  # still where their last full box was


class PlateRead(Struct, frozen=True, kw_only=True, gc=False):
    """A number plate as read from one crop; evidence, never identity."""

    text: str
    score: float


class Personal(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Personal fields in the open: only in memory, in files between tools and on the way to the log.

    Attributes:
        embedding: E signed bytes, int8 components of an L2-normalized vector times 127.
        crop: content hash of the picture in the blob store.
    """

    embedding: bytes = b""
    crop: CropId | None = None
    plate: PlateRead | None = None


class Sealed(Struct, frozen=True, kw_only=True, gc=False):
    """Personal fields as the log keeps them; destroying the key erases them."""

    key_id: str
    ciphertext: bytes


class Attribute(Struct, Generic[Word], frozen=True, kw_only=True, gc=False):
    """A word for how a vehicle looks, by a model of one view; evidence, never identity.

    Attributes:
        score: how sure the model is of the word, 0..1.
        model: id and version; scores of different models cannot be compared.
    """

    name: Word
    score: Annotated[float, Meta(ge=0.0, le=1.0)]
    model: Annotated[str, Meta(min_length=1, max_length=200)]


class TrackletEmbedded(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="tracklet.embedded.v1"
):
    """A good view of a tracklet: how it looks, and where its crop is kept.

    Exactly one of ``sealed`` (in a log) and ``personal`` (outside one) is set.

    Attributes:
        kind: of the tracklet, by the detector of all frames.
        colour: of the paint, in this view; None: nobody looked, or it could not be told.
        body: as ``kind``, by a model of this view alone; None: as ``colour``.
    """

    camera: CameraId
    tracklet: TrackletId
    kind: VehicleKind
    embedder: str  # model id and version
    box_px: tuple[float, float, float, float]
    quality: float  # 0..1, larger is better: size, sharpness, truncation
    sealed: Sealed | None = None
    personal: Personal | None = None
    colour: Attribute[Colour] | None = None
    body: Attribute[VehicleKind] | None = None


class StallClassified(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="stall.classified.v1"):
    """How surely a stall in a camera's view is taken, by a classifier of pictures of it.

    Attributes:
        score: calibrated: of stalls with this score this share is taken.
        classifier: model id and version.
    """

    camera: CameraId
    stall: StallId
    score: Annotated[float, Meta(ge=0.0, le=1.0)]
    classifier: str


class ClockTicked(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="clock.ticked.v1"):
    """The fold writer's clock; the only source of lateness and idleness in a fold.

    Attributes:
        source: "wall": observations after it in the log arrived after it; "events": made from event times, so it
            says nothing of arrival.
    """

    worker: str
    source: Literal["wall", "events"] = "wall"


class CameraCalibrated(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="camera.calibrated.v1"
):
    """A camera's geometry from ``occurred_at`` on, until the next calibration.

    Attributes:
        author, reason: of a person who made it.
    """

    camera: CameraId
    level: LevelId
    frame_px: tuple[int, int]
    geometry: CameraGeometry
    sigma_m: float
    range_m: float
    author: str | None = None
    reason: str | None = None


class SiteEdited(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="site.edited.v1"):
    """A person saved a new version of the site's map. Nothing follows from it: a service uses it once it is started with it.

    Attributes:
        version: number of the version at the service that kept it.
        digest: of its files, hexadecimal, as ``version.json`` beside them has it.
    """

    version: int
    digest: str
    author: str
    reason: str


class LossDeclared(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="loss.declared.v1"):
    """A device gave up observations it could not keep: what kind, how many, over what time."""

    camera: CameraId
    kind: str  # event type that was lost, or "crop"
    count: int
    from_at: Micros
    until_at: Micros
    reason: str


class RefuseRequested(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="fold.refuse_requested.v1"):
    """A person asked that all that was seen from a time on be fused again, with what came too late for it.

    It is an observation, so that the same log gives the same facts: it works where it stands in the log.
    """

    from_at: Micros
    author: str
    reason: str


class OperatorDecided(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="operator.decided.v1"
):
    """A person decided about a stay or about two names of vehicles; it holds whatever is observed later.

    Of ``set_plate`` exactly one of ``sealed`` (in a log) and ``personal`` (outside one) is set, with the plate in it.

    Attributes:
        decision: ``close``, ``reopen``, ``waive`` and ``set_plate`` are of ``session``; ``merge`` says that ``vehicle`` and
            ``other`` are one vehicle, ``split`` that ``other``, which was merged into ``vehicle``, is another one.
        exit_at: when a closed stay ended; None: when it was decided.
    """

    decision: Decision
    author: str
    reason: str
    session: SessionId | None = None
    vehicle: VehicleId | None = None
    other: VehicleId | None = None
    exit_at: Micros | None = None
    sealed: Sealed | None = None
    personal: Personal | None = None


class InvoiceClosed(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="invoice.closed.v1"):
    """The accounts invoiced what is in the ledger of stays that ended by ``until_at``."""

    invoice: str
    until_at: Micros


class GateReported(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="gate.state.v1"):
    """A gate's own controller says how its barrier is, and who decided so where that was not the twin.

    Attributes:
        state: "held_open": it stays open for everybody; "fault": it does not move.
        by: who decided it; None: the twin's answer, or nobody says.
        author: the person, where one decided; else the part that applied a rule or a list.
        reason: why, in words.
        asked: the observation by which the vehicle asked that this is about; None: nobody asked.
    """

    portal: PortalId
    state: GateState
    by: GateDecider | None = None
    author: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=1_000)] | None = None
    asked: EventId | None = None


class LoopTripped(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="loop.tripped.v1"):
    """A vehicle is at a gate, says an induction loop, a light barrier or a button there: it asks whether it may pass.

    Attributes:
        portal: a boundary of the site.
        direction: which way it wants to go; None: the only one that the portal has.
        loop: name of the one that tripped, where a gate has several.
    """

    portal: PortalId
    direction: Direction | None = None
    loop: str | None = None


class PaymentReceived(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="payment.received.v1"):
    """A payment system received money for a stay.

    Attributes:
        payment: the payment system's own id: the same one twice is one payment.
        amount_minor: in minor units of ``currency`` (ISO 4217).
    """

    payment: Annotated[PaymentId, Meta(min_length=1, max_length=200)]
    session: SessionId
    amount_minor: Annotated[int, Meta(ge=1, le=10**12)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


Observation = (
    FrameObserved
    | TrackletEmbedded
    | StallClassified
    | ClockTicked
    | CameraCalibrated
    | SiteEdited
    | LossDeclared
    | RefuseRequested
    | OperatorDecided
    | InvoiceClosed
    | GateReported
    | LoopTripped
    | PaymentReceived
)
