"""Facts about the observing itself: cameras that fall silent, their clocks, what comes late, and what is withdrawn for it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from twin.events.ids import CameraId, EventId, SessionId, StallId, TrackletId, VehicleId

CameraState = Literal["active", "idle"]
LateFate = Literal["not_fused", "fused_later"]
RetractReason = Literal["late_data"]


class CameraStateChanged(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="camera.state.v1"):
    """A camera began to deliver, or fell silent; a silent camera's zones become unknown."""

    camera: CameraId
    state: CameraState


class ClockEstimated(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="clock.estimated.v1"
):
    """How far a camera's clock is off: what its frames are put right by from now on. Said when that has changed by 50 ms.

    Attributes:
        offset_us: added to the camera's times; 0: its clock is taken as right.
        gains_ppm: how fast the clock runs, microseconds a second too many; None until it was watched for ten minutes.
        was_set: the estimate began anew, as the clock was set.
    """

    camera: CameraId
    offset_us: int
    gains_ppm: float | None = None
    was_set: bool = False


class CameraLinkEstimated(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="camera.link.v1"):
    """How vehicles get from one camera to another out of sight: what tells who comes up from now on. Said at the first passage,
    and whenever there were twice as many.

    Attributes:
        camera: the one that finds them; ``from_camera`` is the last to see them before.
        n_passages: vehicles that were surely the same; ``n_lost``: all that ``from_camera`` lost.
        ln_ratio_mean, ln_ratio_variance: of the logarithm of their time out of sight over that of the way at 4 m/s.
    """

    camera: CameraId
    from_camera: CameraId
    n_passages: int
    n_lost: int
    ln_ratio_mean: float
    ln_ratio_variance: float


class LooksCalibrated(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="looks.calibrated.v1"):
    """What likeness is worth, as learned from the site's own vehicles. Said whenever there were twice as many pairs.

    Attributes:
        embedder: model id and version.
        n_same, n_different: pairs of views of one vehicle and of different ones.
        nats: log-likelihood ratio of one vehicle against different ones, at cosines -0.2, -0.1, … 1.0.
    """

    embedder: str
    n_same: int
    n_different: int
    nats: tuple[float, ...]


class CameraBiasEstimated(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="camera.bias.v1"):
    """Where a camera places vehicles wrong everywhere: what its places are put right by from now on. Said when that has changed
    by 5 cm.

    Attributes:
        n_stays: vehicles that stood, and which another camera knew too.
        distance_m: of where they stood from the camera, in the mean; the other figures are of there.
        along_m: how much too far from the camera; across_m: how much too far to its left.
        sigma_m: standard deviation of either.
    """

    camera: CameraId
    n_stays: int
    distance_m: float
    along_m: float
    across_m: float
    sigma_m: float


class ObservationLate(
    Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="observation.late.v1"
):
    """An observation arrived after its tick was closed; it is kept in the log whatever becomes of it.

    Attributes:
        late_by_us: negative: so far ahead of the logged clock.
        fate: "fused_later": inside the horizon, corrections follow where it changes anything; "not_fused": `twin refuse` does.
    """

    camera: CameraId
    observation: EventId
    late_by_us: int
    fate: LateFate = "not_fused"


class FactRetracted(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag="fact.retracted.v1"):
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
