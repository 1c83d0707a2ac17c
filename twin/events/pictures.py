"""What an edge says with a camera's picture: the boxes of that very frame. It is no event: nothing is concluded from it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from twin.events.observations import Edge, VehicleKind
from twin.events.wire import NAME

MOST_BOXES = 300

Coordinate = Annotated[float, Meta(ge=-100_000, le=100_000)]
Pixels = Annotated[int, Meta(ge=1, le=100_000)]


class PictureBox(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One vehicle in a picture, by the detector and the tracker of its camera.

    Attributes:
        box_px: left, top, right, bottom; pixels of the full frame, however small the picture is that is sent.
        truncated: frame edges that cut the box.
    """

    tracklet: Annotated[str, Meta(pattern=NAME["pattern"], max_length=NAME["maxLength"])]
    kind: VehicleKind
    score: Annotated[float, Meta(ge=0.0, le=1.0)]
    box_px: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    truncated: Annotated[tuple[Edge, ...], Meta(max_length=4)] = ()


class PictureBoxes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All boxes of the frame that a picture shows, those that stand still too.

    Attributes:
        frame_px: width and height of the full frame, in whose pixels the boxes are.
    """

    frame_px: tuple[Pixels, Pixels]
    boxes: Annotated[tuple[PictureBox, ...], Meta(max_length=MOST_BOXES)]
