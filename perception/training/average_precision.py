"""Average precision with 101-point interpolation, in numpy.

Source: Lin et al., "Microsoft COCO" (2014), and its evaluation: detections are taken best first; each takes the
truth it overlaps most of those still free; one that only meets an ignored truth counts neither way; precision is made
monotone and read at recall 0, 0.01, … 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perception.detect import Floats, iou

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True)
class Judged:
    """Detections of one picture held against its truth.

    Attributes:
        scores: (D,) best first.
        truth: (D,) row of the truth that was found, -1 for a false one, -2 for one that counts neither way.
        n_wanted: truths that count.
    """

    scores: Floats
    truth: NDArray[np.intp]
    n_wanted: int


def judge(boxes: Floats, scores: Floats, truths: Floats, is_wanted: NDArray[np.bool_], min_iou: float) -> Judged:
    """Match the detections of one picture.

    Args:
        boxes: (D, 4) corners.
        scores: (D,).
        truths: (T, 4) corners.
        is_wanted: (T,) False for truths that count neither as hit nor as miss.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = iou(boxes[order], truths).astype(np.float64)
    matched = np.full(len(order), -1, np.intp)
    is_free = is_wanted.copy()
    for row, overlap in enumerate(overlaps):
        free = np.where(is_free, overlap, -1.0)
        if free.size and free.max() >= min_iou:
            matched[row] = int(free.argmax())
            is_free[matched[row]] = False
        elif (overlap[~is_wanted] >= min_iou).any():
            matched[row] = -2
    return Judged(scores[order], matched, int(is_wanted.sum()))


def average_precision(pictures: Sequence[Judged]) -> float | None:
    """Over all pictures, 0..1; None where no truth counts."""
    n_wanted = sum(picture.n_wanted for picture in pictures)
    if n_wanted == 0:
        return None
    scores = np.concatenate([picture.scores for picture in pictures])
    matched = np.concatenate([picture.truth for picture in pictures])
    order = np.argsort(-scores, kind="stable")
    order = order[matched[order] != -2]
    is_hit = matched[order] >= 0
    hits = np.cumsum(is_hit)
    recall, precision = hits / n_wanted, hits / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    reached = at < len(recall)
    return float(np.sum(best_from_here[at[reached]]) / len(_RECALLS))
