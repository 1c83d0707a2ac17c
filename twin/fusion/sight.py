"""What a camera must see: whether a place is in a frame, and not behind another vehicle."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twin.events.ids import TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.frame import Seen
from twin.fusion.placing import BODY_M, Placing, is_inside

Boxes = Sequence[DetectedBox]

_NEARER_PX = 2.0
_HIDDEN_SHARE = 0.4  # of a box: detectors begin to miss what is covered by more
_COVER_SHARE = 0.15  # how far into another box a place must be to count as hidden


def boxes_of(seen: Seen) -> list[DetectedBox]:
    """All boxes of a frame: what hides what is behind it."""
    return [*(one.box for one in seen.measured), *seen.invisible]


def visible(
    seen: Seen,
    placing: Placing,
    places_m: Sequence[tuple[float, float]],
    own: Sequence[Collection[TrackletId]],
    boxes: Boxes,
) -> list[bool]:
    """Whether each place is in clear view of the frame's camera.

    Args:
        places_m: ground points on the camera's level.
        own: for each, the tracklets that are allowed to cover it: the vehicle's own.
        boxes: of the frame, and those that the camera had a moment ago and not now: what was missed still hides what is
            behind it.
    """
    if not places_m:
        return []
    frame_px, covers = seen.pending.frame.frame_px, [_inset(box) for box in boxes]
    return [
        pixel is not None
        and is_inside(pixel, frame_px)
        and not any(x1 < pixel[0] < x2 and y1 < pixel[1] < y2 and name not in names for x1, x2, y1, y2, name in covers)
        for pixel, names in zip(placing.pixels(seen.camera, places_m, BODY_M), own, strict=True)
    ]


def is_hidden(box_px: tuple[float, float, float, float], own: Collection[TrackletId], boxes: Boxes) -> bool:
    """Whether nearer boxes, which reach lower, lie over so much of where a vehicle's box was that it may not be detected."""
    x1, y1, x2, y2 = box_px
    hidden = 0.0
    for box in boxes:
        left, top, right, bottom = box.box_px
        if bottom > y2 + _NEARER_PX and left < x2 and right > x1 and top < y2 and box.tracklet not in own:
            hidden += (min(x2, right) - max(x1, left)) * (min(y2, bottom) - max(y1, top))
    return hidden > _HIDDEN_SHARE * (x2 - x1) * (y2 - y1)


def _inset(box: DetectedBox) -> tuple[float, float, float, float, TrackletId]:
    """Where a box hides a place: well inside it, and it reaches lower, so it is nearer. x1, x2, y1, y2, and whose box it is."""
    x1, y1, x2, y2 = box.box_px
    inset_x, inset_y = _COVER_SHARE * (x2 - x1), _COVER_SHARE * (y2 - y1)
    return x1 - inset_x, x2 + inset_x, y1, y2 - inset_y, box.tracklet
