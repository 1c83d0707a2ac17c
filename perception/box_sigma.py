"""How far a detector's box edges are from the truth: a calibration table by size and truncation.

The table belongs to a model: it is read from ``<model>.sigma.json`` beside the model file where that exists.
The default suits COCO detectors of nano size; its shares were chosen from the spread of box edges that such
models show between neighbouring frames, rounded up, because an understated sigma hurts fusion more than an
overstated one.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from twin.errors import ModelError
from twin.events.observations import Edge


class BoxSigma(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Standard deviation of box edges.

    Attributes:
        side_px: increasing box sides, in pixels of the detector's input (what it sees, not the frame).
        share: sigma as a share of the side, at each ``side_px``; linear in between, level outside.
        floor_px: least sigma, in pixels of the detector's input.
        truncated_factor: how much worse the axis of an edge that the frame cuts is.
    """

    side_px: tuple[float, ...] = (8.0, 16.0, 32.0, 64.0, 128.0)
    share: tuple[float, ...] = (0.15, 0.10, 0.06, 0.04, 0.03)
    floor_px: float = 0.5
    truncated_factor: float = 3.0

    def __post_init__(self) -> None:
        is_increasing = all(low < high for low, high in pairwise(self.side_px))
        if not self.side_px or len(self.side_px) != len(self.share) or not is_increasing:
            raise ModelError(f"side_px {self.side_px} must be increasing and as long as share {self.share}")
        if min((*self.share, self.floor_px, self.truncated_factor)) <= 0.0:
            raise ModelError("share, floor_px and truncated_factor must be above 0")

    def of(self, box_px: tuple[float, float, float, float], scale: float, truncated: tuple[Edge, ...]) -> tuple[float, float]:
        """Sigma of a box's x edges and y edges in frame pixels; ``scale`` is input pixels per frame pixel."""
        is_cut = ("left" in truncated or "right" in truncated, "top" in truncated or "bottom" in truncated)
        sides = (box_px[2] - box_px[0], box_px[3] - box_px[1])
        x, y = (self._axis(side, scale, cut) for side, cut in zip(sides, is_cut, strict=True))
        return x, y

    def _axis(self, side: float, scale: float, is_cut: bool) -> float:
        seen_px = side * scale
        sigma = max(self._share_at(seen_px) * seen_px, self.floor_px) / scale
        return sigma * (self.truncated_factor if is_cut else 1.0)

    def _share_at(self, side_px: float) -> float:
        """By hand, as ``np.interp`` takes longer for one number than a tracker's update does."""
        after = bisect_right(self.side_px, side_px)
        if after in (0, len(self.side_px)):
            return self.share[max(after - 1, 0)]
        (low, high), (share, other) = self.side_px[after - 1 : after + 1], self.share[after - 1 : after + 1]
        return share + (other - share) * (side_px - low) / (high - low)


def load_box_sigma(model: Path) -> BoxSigma:
    """The table beside a model file, else the default; raises ModelError for a table that cannot be read."""
    path = model.with_name(f"{model.stem}.sigma.json")
    if not path.is_file():
        return BoxSigma()
    try:
        return msgspec.json.decode(path.read_bytes(), type=BoxSigma)
    except (OSError, msgspec.DecodeError, ModelError) as wrong:
        raise ModelError(f"'{path}' is not a table of box sigmas: {wrong}; see perception/box_sigma.py") from None


def edges_cut(box_px: tuple[float, float, float, float], frame_px: tuple[int, int], margin_px: float = 2.0) -> tuple[Edge, ...]:
    """Which frame edges a box touches, so that the vehicle may go on beyond."""
    x1, y1, x2, y2 = box_px
    touches: tuple[tuple[Edge, bool], ...] = (
        ("left", x1 <= margin_px),
        ("top", y1 <= margin_px),
        ("right", x2 >= frame_px[0] - margin_px),
        ("bottom", y2 >= frame_px[1] - margin_px),
    )
    return tuple(edge for edge, is_cut in touches if is_cut)
