"""What a camera must see: whether a place is in a frame, and not behind another vehicle."""

from __future__ import annotations

from twin.events.observations import DetectedBox
from twin.fusion.frame import Seen
from twin.fusion.placing import Placing

_MARGIN_PX = 8.0
_BODY_M = 0.7
_COVER_SHARE = 0.15  # how far into another box a place must be to count as hidden


def visible(seen: Seen, placing: Placing, places_m: list[tuple[float, float]], own: list[str | None]) -> list[bool]:
    """Whether each place is in clear view of the frame's camera.

    Args:
        places_m: ground points on the camera's level.
        own: the tracklet that is allowed to cover the place: the vehicle's own; None if any box hides it.
    """
    if not places_m:
        return []
    width, height = seen.pending.frame.frame_px
    boxes = [*(one.box for one in seen.measured), *seen.invisible]
    results: list[bool] = []
    for pixel, name in zip(placing.pixels(seen.camera, places_m, _BODY_M), own, strict=True):
        is_shown = (
            pixel is not None and _MARGIN_PX <= pixel[0] <= width - _MARGIN_PX and _MARGIN_PX <= pixel[1] <= height - _MARGIN_PX
        )
        results.append(
            is_shown and pixel is not None and not any(_covers(box, *pixel) for box in boxes if box.tracklet != name)
        )
    return results


def _covers(box: DetectedBox, u: float, v: float) -> bool:
    """Whether a box hides a place: the place lies well inside it, and the box reaches lower, so it is nearer."""
    x1, y1, x2, y2 = box.box_px
    inset_x, inset_y = _COVER_SHARE * (x2 - x1), _COVER_SHARE * (y2 - y1)
    return x1 - inset_x < u < x2 + inset_x and y1 < v < y2 - inset_y
