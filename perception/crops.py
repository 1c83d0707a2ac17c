"""Which view of a tracklet is worth keeping, and its picture. Pure arithmetic on arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from perception.frames import Image
from twin.events.ids import SECOND, CropId, Micros, TrackletId
from twin.events.observations import Edge

Box = tuple[float, float, float, float]

GOOD_QUALITY = 0.1
_FIRST_AFTER_FRAMES = 5
_BETTER_BY = 1.25
_MOST_BETTER_VIEWS = 5
_AGAIN_EVERY: Micros = 10 * SECOND
_FORGOTTEN_AFTER: Micros = 60 * SECOND

_LARGE_SIDE_PX = 128.0
_SHARP_VARIANCE = 300.0
_JPEG_QUALITY = 90


def quality_of(image: Image, box_px: Box, truncated: Sequence[Edge], covered: float) -> float:
    """How good a view is, 0..1: size times sharpness, less what is cut off or covered.

    Args:
        image: (H, W, 3) frame.
        covered: share of the box that other boxes cover, 0..1.

    Sharpness is the variance of the Laplacian, as in Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy" (2000), on the view scaled to 64x64 so that it does not depend on size.
    """
    view = cut(image, box_px, margin=0.0)
    grey = cv2.cvtColor(cv2.resize(view, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    sharpness = min(float(cv2.Laplacian(grey, cv2.CV_32F).var()) / _SHARP_VARIANCE, 1.0)
    return (0.25 + 0.75 * sharpness) * best_quality_of(image, box_px, truncated, covered)


def best_quality_of(image: Image, box_px: Box, truncated: Sequence[Edge], covered: float) -> float:
    """What ``quality_of`` is at most, without a look at the pixels: for a view of any sharpness."""
    view = cut(image, box_px, margin=0.0)
    size = min((view.shape[0] * view.shape[1]) ** 0.5 / _LARGE_SIDE_PX, 1.0)
    return size * 0.4 ** len(truncated) * (1.0 - min(max(covered, 0.0), 1.0))


def covered_shares(boxes_px: Sequence[Box]) -> list[float]:
    """For every box, the share that the box covering it most takes of it."""
    boxes = np.array(boxes_px, np.float64).reshape(-1, 4)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inter = np.prod(np.maximum(high - low, 0.0), axis=2)
    np.fill_diagonal(inter, 0.0)
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9), axis=1)
    return [float(share) for share in inter.max(axis=1, initial=0.0) / areas]


def cut(image: Image, box_px: Box, *, margin: float = 0.05) -> Image:
    """The view of a box with a margin (share of its sides), clipped to the frame; at least 1x1."""
    height, width = image.shape[:2]
    extra_x, extra_y = margin * (box_px[2] - box_px[0]), margin * (box_px[3] - box_px[1])
    left = min(max(int(box_px[0] - extra_x), 0), width - 1)
    top = min(max(int(box_px[1] - extra_y), 0), height - 1)
    right = max(min(round(box_px[2] + extra_x), width), left + 1)
    bottom = max(min(round(box_px[3] + extra_y), height), top + 1)
    return image[top:bottom, left:right]


def encode_jpeg(view: Image) -> tuple[CropId, bytes]:
    """The view as JPEG and its content hash (sha256 in hex), which is its name in the blob store."""
    _, encoded = cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    body = encoded.tobytes()
    return CropId(hashlib.sha256(body).hexdigest()), body


@dataclass(slots=True)
class _Views:
    n_frames: int = 0
    n_better: int = 0
    best: float = 0.0
    kept_at: Micros = 0
    seen_at: Micros = 0


class BestViews:
    """Decides per tracklet which views to embed and keep.

    The first good one from the fifth frame on, then each that is a quarter better than the best so far (five in all),
    and one each ten seconds while it moves, as its surroundings and light change.
    """

    def __init__(self) -> None:
        self._views: dict[TrackletId, _Views] = {}

    def is_due(self, tracklet: TrackletId, at: Micros, *, is_moving: bool) -> bool:
        """Count one more frame of the tracklet; whether a view may be worth rating now."""
        views = self._views.setdefault(tracklet, _Views())
        views.n_frames += 1
        views.seen_at = at
        if views.n_frames < _FIRST_AFTER_FRAMES:
            return False
        return views.n_better < _MOST_BETTER_VIEWS or (is_moving and at - views.kept_at >= _AGAIN_EVERY)

    def wants(self, tracklet: TrackletId, at: Micros, quality: float) -> bool:
        """Whether a view of this quality would be kept; whoever is not wanted at its best need not be rated."""
        views = self._views[tracklet]
        is_again = views.n_better > 0 and at - views.kept_at >= _AGAIN_EVERY
        return quality >= GOOD_QUALITY and (is_again or self._is_better(views, quality))

    def keeps(self, tracklet: TrackletId, at: Micros, quality: float) -> bool:
        """Whether to keep a view of this quality; if so, it counts as kept."""
        if not self.wants(tracklet, at, quality):
            return False
        views = self._views[tracklet]
        views.n_better += self._is_better(views, quality)
        views.best = max(views.best, quality)
        views.kept_at = at
        return True

    @staticmethod
    def _is_better(views: _Views, quality: float) -> bool:
        return quality >= views.best * _BETTER_BY and views.n_better < _MOST_BETTER_VIEWS

    def forget(self, at: Micros) -> None:
        """Drop tracklets that were not seen for a minute."""
        gone = [tracklet for tracklet, views in self._views.items() if at - views.seen_at > _FORGOTTEN_AFTER]
        for tracklet in gone:
            del self._views[tracklet]
