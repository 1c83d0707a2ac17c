"""The shapes of answers about what cameras' latest pictures show. They import nothing that is heavy."""

from __future__ import annotations

from msgspec import Struct

from twin.events.observations import Edge, VehicleKind


class BoxTold(Struct, frozen=True, kw_only=True):
    """One vehicle in a picture.

    Attributes:
        vehicle: who the twin takes the tracklet for; null while nobody is confirmed, where the name came after the
            picture, or more than a day before the service started.
        contact_px: where it touches the ground, the middle of the box's lower edge; null where the frame cuts that off.
        contact_m: the ground there, by the camera's calibration; null where it does not see so far, and where that calibration
            is of frames of another size.
    """

    tracklet: str
    vehicle: str | None
    kind: VehicleKind
    score: float
    box_px: tuple[float, float, float, float]
    truncated: tuple[Edge, ...]
    contact_px: tuple[float, float] | None
    contact_m: tuple[float, float] | None


class PictureTold(Struct, frozen=True, kw_only=True):
    """A camera's latest picture.

    Attributes:
        frame_px: in whose pixels boxes are; the picture itself may be smaller.
        calibrated_at: see `/plan`: when this changes, the plan in the picture does.
        taken_at: exposure time by the camera's clock, as ``x-taken-at`` of the picture; null: none came yet.
        received_at: when it came, by the service's clock.
        boxes: of this very picture; null where it came without.
    """

    camera: str
    level: str
    frame_px: tuple[int, int]
    calibrated_at: str | None
    taken_at: str | None
    received_at: str | None
    boxes: list[BoxTold] | None


class PicturesTold(Struct, frozen=True, kw_only=True):
    """Latest pictures, by camera.

    Attributes:
        now: the service's clock, to tell how old they are.
        position: the last fact that ``vehicle`` rests on.
    """

    site: str
    now: str
    position: str
    pictures: list[PictureTold]
