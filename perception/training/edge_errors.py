"""How far a detector's edges are from a vehicle's, measured: the table that ``perception.box_sigma`` reads.

Held against the whole vehicle's box rather than its visible part's, because fusion takes the box for the vehicle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perception.box_sigma import BoxSigma
from perception.detect import iou
from perception.detector import Detector
from perception.training.frames_dataset import FramesDataset, FrameTruth

_MIN_IOU, _MIN_VISIBLE, _MIN_SCORE = 0.5, 0.6, 0.3
_LEAST_EDGES = 40  # in a bin
_LARGEST_SHARE, _LEAST_SHARE = 0.5, 0.005


def measure_box_sigma(detector: Detector, dataset: FramesDataset) -> BoxSigma:
    """The table of this detector on these frames; where too few edges were found, the usual table's share."""
    sides, errors = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    for index, frame in enumerate(dataset.frames):
        image = dataset.image(index)
        found = detector.detect(image)
        boxes = found.boxes_px[found.scores >= _MIN_SCORE].astype(np.float64)
        side, error = edge_errors(boxes, frame)
        sides.append(side * detector.scale((image.shape[1], image.shape[0])))
        errors.append(error)
    return table(np.concatenate(sides), np.concatenate(errors))


def edge_errors(boxes: NDArray[np.float64], frame: FrameTruth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(E,) sides of the true boxes in frame pixels, and (E,) errors of their edges as shares of them.

    Of vehicles that the frame does not cut and that are at least 60 % visible, where a box overlaps them enough.
    """
    wanted = [one for one in frame.vehicles if one.visible >= _MIN_VISIBLE and not one.is_truncated]
    truths = np.array([one.full_box_px for one in wanted], np.float64).reshape(-1, 4)
    if not len(boxes) or not len(truths):
        return np.zeros(0), np.zeros(0)
    overlaps = iou(truths.astype(np.float32), boxes.astype(np.float32))
    best = overlaps.argmax(axis=1)
    rows = np.flatnonzero(overlaps[np.arange(len(truths)), best] >= _MIN_IOU)
    size = np.tile(truths[rows, 2:] - truths[rows, :2], 2)
    return size.ravel(), ((boxes[best[rows]] - truths[rows]) / size).ravel()


def table(sides_px: NDArray[np.float64], errors: NDArray[np.float64]) -> BoxSigma:
    """Root mean square of the errors around each side of the usual table, within a factor of the square root of two."""
    usual = BoxSigma()
    shares = [_share(sides_px, errors, side, share) for side, share in zip(usual.side_px, usual.share, strict=True)]
    return BoxSigma(side_px=usual.side_px, share=tuple(shares), truncated_factor=usual.truncated_factor)


def _share(sides_px: NDArray[np.float64], errors: NDArray[np.float64], side: float, usual: float) -> float:
    near = errors[np.abs(np.log2(np.maximum(sides_px, 1e-6) / side)) <= 0.5]
    if len(near) < _LEAST_EDGES:
        return usual
    return round(float(np.clip(np.sqrt(np.mean(near * near)), _LEAST_SHARE, _LARGEST_SHARE)), 4)
