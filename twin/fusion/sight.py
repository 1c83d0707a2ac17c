"""What a camera must see: whether a place is in a frame, and not behind another vehicle."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twin.events.ids import TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.frame import Seen
from twin.fusion.placing import Placing

Boxes = Sequence[DetectedBox]

_MARGIN_PX = 8.0
_BODY_M = 0.7
_NEARER_PX = 2.0
_HIDDEN_SHARE = 0.4  # of a box: detectors begin to miss what is covered by more
_COVER_SHARE = 0.15  # how far into another box a place must be to count as hidden


def visible(
    seen: Seen,
    placing: Placing,
    places_m: Sequence[tuple[float, float]],
    own: Sequence[Collection[TrackletId]],
    recent: Boxes = (),
) -> list[bool]:
    """Whether each place is in clear view of the frame's camera.

    Args:
        places_m: ground points on the camera's level.
        own: for each, the tracklets that are allowed to cover it: the vehicle's own.
        recent: boxes that the camera had a moment ago, and not now: what was missed still hides what is behind it.
    """
    if not places_m:
        return []
    width, height = seen.pending.frame.frame_px
    boxes = [*(one.box for one in seen.measured), *seen.invisible, *recent]
    results: list[bool] = []
    for pixel, names in zip(placing.pixels(seen.camera, places_m, _BODY_M), own, strict=True):
        is_shown = (
            pixel is not None and _MARGIN_PX <= pixel[0] <= width - _MARGIN_PX and _MARGIN_PX <= pixel[1] <= height - _MARGIN_PX
        )
        results.append(
            is_shown and pixel is not None and not any(_covers(box, *pixel) for box in boxes if box.tracklet not in names)
        )
    return results


def is_hidden(seen: Seen, box_px: tuple[float, float, float, float], own: Collection[TrackletId], recent: Boxes = ()) -> bool:
    """Whether nearer boxes, which reach lower, lie over so much of where a vehicle's box was that it may not be detected."""
    x1, y1, x2, y2 = box_px
    hidden = 0.0
    for box in (*(one.box for one in seen.measured), *seen.invisible, *recent):
        left, top, right, bottom = box.box_px
        if box.tracklet not in own and bottom > y2 + _NEARER_PX:
            hidden += max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
    return hidden > _HIDDEN_SHARE * (x2 - x1) * (y2 - y1)


def _covers(box: DetectedBox, u: float, v: float) -> bool:
    """Whether a box hides a place: the place lies well inside it, and the box reaches lower, so it is nearer."""
    x1, y1, x2, y2 = box.box_px
    inset_x, inset_y = _COVER_SHARE * (x2 - x1), _COVER_SHARE * (y2 - y1)
    return x1 - inset_x < u < x2 + inset_x and y1 < v < y2 - inset_y
