"""What a camera must see: whether a place is in a frame, and not behind another vehicle."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from msgspec import Struct

from twin.events.ids import TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.frame import Seen
from twin.spatial.compiled import Bools, Floats, Ints, compiled
from twin.spatial.placement import corners_of

Boxes = Sequence[DetectedBox]


class Cover(Struct, frozen=True):
    """Boxes that hide what is behind them, and their corners: (N, 4) x1, y1, x2, y2."""

    boxes: Boxes
    corners: Floats


_MARGIN_PX = 8.0
_NEARER_PX = 2.0
_HIDDEN_SHARE = 0.4  # of a box: detectors begin to miss what is covered by more
_COVER_SHARE = 0.15  # how far into another box a place must be to count as hidden


def boxes_of(seen: Seen) -> list[DetectedBox]:
    """All boxes of a frame: what hides what is behind it."""
    return [*(one.box for one in seen.measured), *seen.invisible]


def cover_of(seen: Seen, others: Boxes) -> Cover:
    """All boxes of a frame, and others after them."""
    boxes, corners = boxes_of(seen), seen.corners
    return Cover([*boxes, *others], np.concatenate((corners, corners_of(others)))) if others else Cover(boxes, corners)


def shown(seen: Seen, pixels: Floats) -> Bools | None:
    """(N,) whether each place is in the frame and not at its edge, whatever stands before it; None where no one is.

    Args:
        pixels: where ground points on the camera's level appear, as ``Placing.pixels`` tells.
    """
    found = np.empty(len(pixels), dtype=np.bool_)
    return found if _inside(pixels, *seen.pending.frame.frame_px, found) else None


def visible(pixels: Floats, is_shown: Bools, own: Sequence[Collection[TrackletId]], cover: Cover) -> list[int]:
    """Which places are in clear view of the frame's camera.

    Args:
        pixels, is_shown: as of ``shown``.
        own: for each, the tracklets that are allowed to cover it: the vehicle's own.
        cover: boxes of the frame, and those that the camera had a moment ago and not now: what was missed still hides what is
            behind it.
    """
    is_clear: list[bool] = is_shown.tolist()
    boxes = cover.boxes
    found = np.empty((len(pixels) * len(boxes), 2), dtype=np.int64)
    pairs: list[tuple[int, int]] = found[: _covers(pixels, cover.corners, found)].tolist()
    for place, by in pairs:
        is_clear[place] = is_clear[place] and boxes[by].tracklet in own[place]
    return [place for place, one in enumerate(is_clear) if one]


@compiled
def _inside(pixels: Floats, width: int, height: int, found: Bools) -> int:
    """Write which pixels are in a frame, and not at its edge; returns how many."""
    n = 0
    for row in range(len(pixels)):
        u, v = pixels[row, 0], pixels[row, 1]
        found[row] = _MARGIN_PX <= u <= width - _MARGIN_PX and _MARGIN_PX <= v <= height - _MARGIN_PX
        n += found[row]
    return n


@compiled
def _covers(pixels: Floats, boxes: Floats, found: Ints) -> int:
    """Pairs of places and boxes that hide them: well inside the box, which reaches lower, so it is nearer.

    Args:
        pixels: (N, 2). boxes: (M, 4) x1, y1, x2, y2.
        found: (N * M, 2), written to: the pairs.

    Returns:
        How many there are.
    """
    n = 0
    for cover in range(len(boxes)):
        x1, y1, x2, y2 = boxes[cover, 0], boxes[cover, 1], boxes[cover, 2], boxes[cover, 3]
        inset_x, inset_y = _COVER_SHARE * (x2 - x1), _COVER_SHARE * (y2 - y1)
        for place in range(len(pixels)):
            u, v = pixels[place, 0], pixels[place, 1]
            if x1 - inset_x < u < x2 + inset_x and y1 < v < y2 - inset_y:
                found[n, 0], found[n, 1] = place, cover
                n += 1
    return n


def is_hidden(box_px: tuple[float, float, float, float], own: Collection[TrackletId], boxes: Boxes) -> bool:
    """Whether nearer boxes, which reach lower, lie over so much of where a vehicle's box was that it may not be detected."""
    x1, y1, x2, y2 = box_px
    hidden = 0.0
    for box in boxes:
        left, top, right, bottom = box.box_px
        if bottom > y2 + _NEARER_PX and left < x2 and right > x1 and top < y2 and box.tracklet not in own:
            hidden += (min(x2, right) - max(x1, left)) * (min(y2, bottom) - max(y1, top))
    return hidden > _HIDDEN_SHARE * (x2 - x1) * (y2 - y1)
