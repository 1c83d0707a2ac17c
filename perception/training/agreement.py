"""Two detectors on the same real frames, for want of labels: what both see, and what only one sees.

It says how near a model comes to another one, not which is right.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from scipy.optimize import linear_sum_assignment

from perception.detect import Floats, iou
from perception.detector import Detector
from perception.frames import Image


class Agreement(Struct, frozen=True, kw_only=True):
    """Boxes of both detectors, over all frames.

    Attributes:
        matched: pairs that overlap by an IoU of at least ``min_iou``, each box in one pair at most.
        missed: the reference's boxes without a partner; extra: the model's.
    """

    model: str
    reference: str
    frames: int
    min_score: float
    min_iou: float
    matched: int
    missed: int
    extra: int

    @property
    def recall(self) -> float | None:
        """Share of the reference's boxes that the model has too; None where it has none."""
        n = self.matched + self.missed
        return self.matched / n if n else None


def agreement(
    model: Detector, reference: Detector, images: Iterable[Image], *, min_score: float = 0.3, min_iou: float = 0.5
) -> Agreement:
    """Compare on (H, W, 3) BGR frames; kinds are not compared."""
    n_frames = matched = missed = extra = 0
    for image in images:
        ours, theirs = (_boxes(detector, image, min_score) for detector in (model, reference))
        n = n_pairs(ours, theirs, min_iou)
        n_frames, matched, missed, extra = n_frames + 1, matched + n, missed + len(theirs) - n, extra + len(ours) - n
    return Agreement(
        model=model.id,
        reference=reference.id,
        frames=n_frames,
        min_score=min_score,
        min_iou=min_iou,
        matched=matched,
        missed=missed,
        extra=extra,
    )


def n_pairs(ours: Floats, theirs: Floats, min_iou: float) -> int:
    """The most (N, 4) boxes that can be paired with (M, 4) boxes at this overlap."""
    if not len(ours) or not len(theirs):
        return 0
    is_near = iou(ours, theirs) >= min_iou
    rows, columns = linear_sum_assignment(is_near, maximize=True)
    return int(np.count_nonzero(is_near[rows, columns]))


def _boxes(detector: Detector, image: Image, min_score: float) -> Floats:
    found = detector.detect(image)
    return found.boxes_px[found.scores >= min_score]
