"""What a camera must see: whether a place is in a frame, and not behind another vehicle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from twin.events.ids import TrackletId
from twin.events.observations import DetectedBox
from twin.fusion.frame import Seen
from twin.fusion.placing import Pixel, is_inside
from twin.spatial.compiled import Floats, Ints, compiled

Boxes = Sequence[DetectedBox]


class Cover:
    """Boxes that hide what is behind them, and their corners where those are asked for."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self._corners: Floats | None = None

    @property
    def corners(self) -> Floats:
        """(N, 4) x1, y1, x2, y2."""
        if self._corners is None:
            self._corners = np.array([one.box_px for one in self.boxes]).reshape(-1, 4)
        return self._corners

    def with_others(self, boxes: Boxes) -> Cover:
        """These boxes, and others after them."""
        if not boxes:
            return self
        both = Cover([*self.boxes, *boxes])
        both._corners = np.concatenate((self.corners, np.array([one.box_px for one in boxes])))
        return both


_NEARER_PX = 2.0
_HIDDEN_SHARE = 0.4  # of a box: detectors begin to miss what is covered by more
_COVER_SHARE = 0.15  # how far into another box a place must be to count as hidden


def boxes_of(seen: Seen) -> list[DetectedBox]:
    """All boxes of a frame: what hides what is behind it."""
    return [*(one.box for one in seen.measured), *seen.invisible]


def is_shown(seen: Seen, pixels: Iterable[Pixel | None]) -> list[bool]:
    """Whether each place is in the frame, whatever stands before it."""
    frame_px = seen.pending.frame.frame_px
    return [pixel is not None and is_inside(pixel, frame_px) for pixel in pixels]


def visible(seen: Seen, pixels: Sequence[Pixel | None], own: Sequence[Collection[TrackletId]], cover: Cover) -> list[bool]:
    """Whether each place is in clear view of the frame's camera.

    Args:
        pixels: where ground points on the camera's level appear, as ``Placing.pixels`` tells.
        own: for each, the tracklets that are allowed to cover it: the vehicle's own.
        cover: boxes of the frame, and those that the camera had a moment ago and not now: what was missed still hides what is
            behind it.
    """
    is_clear = is_shown(seen, pixels)
    boxes = cover.boxes
    if boxes and any(is_clear):
        places = np.array([pixel or (0.0, 0.0) for pixel in pixels])
        found = np.empty((len(pixels) * len(boxes), 2), dtype=np.int64)
        pairs: list[tuple[int, int]] = found[: _covers(places, cover.corners, found)].tolist()
        for place, by in pairs:
            is_clear[place] = is_clear[place] and boxes[by].tracklet in own[place]
    return is_clear


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
