"""From a picture to a detector's input, and from its raw output to boxes. Pure arithmetic on arrays.

Sources: the heads are those of YOLOv8/YOLO11 (ultralytics' export: boxes already decoded, no objectness) and of
YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", section 2: anchor-free grids at strides 8, 16, 32).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from perception.frames import Image
from twin.errors import ModelError, ShapeError
from twin.events.observations import VehicleKind

Floats = NDArray[np.float32]
HeadKind = Literal["yolov8", "yolox"]
STRIDES = (8, 16, 32)
LOWEST_SCORE = 0.1
"""Boxes below this are never used; those between it and ``min_score`` may continue a tracklet but not start one."""

MAX_IOU = 0.5  # more, and one near car keeps two boxes; vehicles that overlap this much are hardly told apart anyway
_GREY = 114  # the padding that these models were trained with


@dataclass(frozen=True, slots=True)
class Detections:
    """Vehicles of one frame as columns; D rows, best score first.

    Attributes:
        boxes_px: (D, 4) x1, y1, x2, y2 in the frame's pixels, inside the frame.
        scores: (D,) 0..1.
        kinds: D vehicle kinds.
    """

    boxes_px: Floats
    scores: Floats
    kinds: tuple[VehicleKind, ...]

    def __post_init__(self) -> None:
        n = len(self.kinds)
        if self.boxes_px.shape != (n, 4) or self.scores.shape != (n,):
            raise ShapeError(
                f"{n} kinds need boxes of shape ({n}, 4) and scores of shape ({n},), "
                f"but got {self.boxes_px.shape} and {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.kinds)

    def chosen(self, rows: NDArray[np.intp]) -> Detections:
        """These rows, in this order."""
        return Detections(self.boxes_px[rows], self.scores[rows], tuple(self.kinds[row] for row in rows.tolist()))


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Fits a frame into a detector's input: scaled by one factor, the rest padded.

    Attributes:
        scale: input pixels per frame pixel.
        pad_px: left and top padding in the input.
    """

    frame_px: tuple[int, int]
    input_px: tuple[int, int]
    scale: float
    pad_px: tuple[float, float]

    @classmethod
    def fit(cls, frame_px: tuple[int, int], input_px: tuple[int, int], *, is_centred: bool) -> Letterbox:
        """The largest scale at which the frame fits; the frame in the middle, or at the top left."""
        scale = min(input_px[0] / frame_px[0], input_px[1] / frame_px[1])
        free = [input_px[axis] - round(frame_px[axis] * scale) for axis in (0, 1)]
        pad = (float(free[0] // 2), float(free[1] // 2)) if is_centred else (0.0, 0.0)
        return cls(frame_px, input_px, scale, pad)

    def apply(self, image: Image) -> Image:
        """(H, W, 3) frame to (input height, input width, 3)."""
        width, height = (round(side * self.scale) for side in self.frame_px)
        left, top = int(self.pad_px[0]), int(self.pad_px[1])
        if (width, height) == self.input_px:
            return cast("Image", cv2.resize(image, self.input_px))
        canvas = np.full((self.input_px[1], self.input_px[0], 3), _GREY, np.uint8)
        canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height))
        return canvas

    def to_frame(self, boxes: Floats) -> Floats:
        """(N, 4) boxes in input pixels to frame pixels, clipped to the frame."""
        pad = np.array([*self.pad_px, *self.pad_px], np.float32)
        limits = np.array([*self.frame_px, *self.frame_px], np.float32)
        return np.clip((boxes - pad) / np.float32(self.scale), 0.0, limits).astype(np.float32)


def n_cells(input_px: tuple[int, int]) -> int:
    """How many cells the grids of all strides have together."""
    return sum((input_px[0] // stride) * (input_px[1] // stride) for stride in STRIDES)


def head_of(shape: tuple[int, ...], input_px: tuple[int, int]) -> tuple[HeadKind, int]:
    """Tell the head from its output's shape: (1, 4 + classes, cells) is YOLOv8/11, (1, cells, 5 + classes) YOLOX.

    Returns:
        The head and the number of classes.

    Raises:
        ModelError: neither.
    """
    cells = n_cells(input_px)
    if len(shape) == 3 and shape[0] == 1:
        if shape[2] == cells and shape[1] > 4:
            return "yolov8", shape[1] - 4
        if shape[1] == cells and shape[2] > 5:
            return "yolox", shape[2] - 5
    raise ModelError(
        f"output of shape {shape} for an input of {input_px[0]}x{input_px[1]} is neither a YOLOv8/11 head "
        f"(1, 4 + classes, {cells}) nor a YOLOX head (1, {cells}, 5 + classes); export the model with such a head"
    )


def decode_yolov8(raw: Floats) -> tuple[Floats, Floats]:
    """(4 + K, N) of centre, size and class scores to (N, 4) corner boxes in input pixels and (N, K) scores."""
    centre, half = raw[:2].T, raw[2:4].T / np.float32(2.0)
    return np.hstack((centre - half, centre + half)).astype(np.float32), raw[4:].T


def decode_yolox(raw: Floats, input_px: tuple[int, int]) -> tuple[Floats, Floats]:
    """(N, 5 + K) of cell offset, log size, objectness and class scores to corner boxes and (N, K) scores.

    Cell (i, j) of stride s: centre = (offset + (i, j)) s, size = exp(log size) s; score = objectness times class.
    """
    cells, strides = _grid(input_px)
    centre = (raw[:, :2] + cells) * strides
    half = np.exp(np.minimum(raw[:, 2:4], np.float32(20.0))) * strides / np.float32(2.0)
    scores = raw[:, 4:5] * raw[:, 5:]
    return np.hstack((centre - half, centre + half)).astype(np.float32), scores.astype(np.float32)


def suppress(boxes: Floats, scores: Floats, max_iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: rows to keep, best score first, ties by row.

    Args:
        boxes: (N, 4) corners.
        scores: (N,).
        max_iou: boxes that overlap a better one by more than this are left out.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        order = rest[iou(boxes[best : best + 1], boxes[rest])[0] <= max_iou]
    return np.array(kept, np.intp)


def iou(first: Floats, second: Floats) -> Floats:
    """(N, 4) and (M, 4) corner boxes to (N, M) intersection over union; 0 for empty boxes."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    inter = sides[:, :, 0] * sides[:, :, 1]
    union = area(first)[:, None] + area(second)[None, :] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def area(boxes: Floats) -> Floats:
    """(N, 4) corner boxes to (N,) areas."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def vehicles(
    boxes: Floats,
    class_scores: Floats,
    kinds: tuple[VehicleKind | None, ...],
    *,
    min_score: float,
    max_iou: float = MAX_IOU,
) -> Detections:
    """The vehicles among raw boxes; suppression across kinds, as one vehicle often scores as car and as truck.

    Args:
        boxes: (N, 4) corners in frame pixels.
        class_scores: (N, K).
        kinds: K vehicle kinds, None for other classes, which are left out.
    """
    wanted = [(column, kind) for column, kind in enumerate(kinds) if kind is not None]
    scores_of_vehicles = class_scores[:, [column for column, _ in wanted]]
    best = np.argmax(scores_of_vehicles, axis=1)
    scores = scores_of_vehicles[np.arange(len(best)), best]
    sides = boxes[:, 2:] - boxes[:, :2]
    rows = np.flatnonzero((scores >= min_score) & np.isfinite(boxes).all(axis=1) & (sides >= 1.0).all(axis=1))
    rows = rows[suppress(boxes[rows], scores[rows], max_iou)]
    names = tuple(wanted[index][1] for index in best[rows].tolist())
    return Detections(boxes[rows].astype(np.float32), scores[rows].astype(np.float32), names)


@cache
def _grid(input_px: tuple[int, int]) -> tuple[Floats, Floats]:
    """(N, 2) cell columns and rows of all strides, and (N, 1) strides."""
    cells: list[Floats] = []
    strides: list[Floats] = []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : input_px[1] // stride, 0 : input_px[0] // stride]
        cells.append(np.stack((columns, rows), axis=2).reshape(-1, 2).astype(np.float32))
        strides.append(np.full((columns.size, 1), stride, np.float32))
    return np.vstack(cells), np.vstack(strides)
