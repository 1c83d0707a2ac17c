"""What a camera must see: whether a place is in a frame, and not behind another vehicle."""

from __future__ import annotations

import numpy as np

from twin.events.observations import DetectedBox
from twin.fusion.frame import Seen

_MARGIN_PX = 8.0
_BODY_M = 0.7
_COVER_SHARE = 0.15  # how far into another box a place must be to count as hidden


def visible(seen: Seen, places_m: list[tuple[float, float]], own: list[str | None]) -> list[bool]:
    """Whether each place is in clear view of the frame's camera.

    Args:
        places_m: ground points on the camera's level.
        own: the tracklet that is allowed to cover the place: the vehicle's own; None if any box hides it.
    """
    if not places_m:
        return []
    camera, (width, height) = seen.camera, seen.pending.frame.frame_px
    points = np.array([(x, y, camera.elevation_m + _BODY_M) for x, y in places_m])
    image = camera.to_pixels(points)
    away = points[:, :2] - np.array(camera.origin_m)
    is_near = away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1] < camera.range_m * camera.range_m
    boxes = [*(one.box for one in seen.measured), *seen.invisible]
    results: list[bool] = []
    for n, (u, v) in enumerate(image.points_px.tolist()):
        in_frame = _MARGIN_PX <= u <= width - _MARGIN_PX and _MARGIN_PX <= v <= height - _MARGIN_PX
        is_clear = not any(_covers(box, u, v) for box in boxes if box.tracklet != own[n])
        results.append(bool(image.is_in_front[n] and is_near[n] and in_frame and is_clear))
    return results


def _covers(box: DetectedBox, u: float, v: float) -> bool:
    """Whether a box hides a place: the place lies well inside it, and the box reaches lower, so it is nearer."""
    x1, y1, x2, y2 = box.box_px
    inset_x, inset_y = _COVER_SHARE * (x2 - x1), _COVER_SHARE * (y2 - y1)
    return x1 - inset_x < u < x2 + inset_x and y1 < v < y2 - inset_y
