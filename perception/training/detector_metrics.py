"""How well a detector's file does on held-out rendered frames, measured through the detector that the product runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from perception.detect import Detections, Floats, iou
from perception.detector import Detector
from perception.training.average_precision import average_precision, judge
from perception.training.frames_dataset import KINDS, FramesDataset, FrameTruth, VehicleTruth

MIN_VISIBLE = 0.4
MIN_HEIGHT_PX = 16.0
REFERENCE_HEIGHT_PX = 540
MIN_IOU = 0.5
MEASURED_FROM = 0.01
"""The score from which boxes count for average precision, which wants the doubtful ones too."""
WORKING_SCORE = 0.3
"""The score from which the product starts a tracklet."""
HEIGHTS_PX = (0.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, float("inf"))
VISIBILITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_COCO_IOUS = tuple(np.arange(0.5, 0.96, 0.05).round(2).tolist())
IsWanted = Callable[[FrameTruth, VehicleTruth], bool]


class Share(Struct, frozen=True):
    """A share and how many it is of; None where there are none."""

    share: float | None
    n: int


class DetectorMetrics(Struct, frozen=True, kw_only=True):
    """What was measured; heights are those of a 960 x 540 frame.

    Attributes:
        map50: mean over kinds of AP at IoU 0.5, vehicles at least 40 % visible and 16 px high; others count neither way.
        map50_95: the same, mean over IoU 0.5, 0.55, … 0.95.
        map50_all_sizes: as ``map50`` without the least height.
        map50_all: every vehicle with a visible pixel.
        ap50: as ``map50``, with any kind good for any vehicle. ``ap50_own_px``: of those 16 px high in their own frame.
        ap50_by_kind: the parts of ``map50``.
        map50_by_light: ``map50`` of the frames of each light; "rain" are all frames with rain.
        recall: of the wanted vehicles of ``map50``, boxes with a score of at least 0.3, any kind.
        false_per_frame: boxes with a score of at least 0.3 that meet no vehicle at all.
        recall_by_height: vehicles at least 40 % visible, by the height of their box.
        recall_by_visibility: vehicles at least 16 px high, by their visible share.
        kind_accuracy: right kinds among found vehicles, by true kind, and "all".
        confusion: how often a found vehicle of one kind was called another: true kind, then said kind.
    """

    model: str
    frames: int
    vehicles: int
    map50: float | None
    map50_95: float | None
    map50_all_sizes: float | None
    map50_all: float | None
    ap50: float | None
    ap50_own_px: float | None
    ap50_by_kind: dict[str, Share]
    map50_by_light: dict[str, Share]
    recall: Share
    false_per_frame: float
    recall_by_height: dict[str, Share]
    recall_by_visibility: dict[str, Share]
    kind_accuracy: dict[str, Share]
    confusion: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame's truth and what the detector said."""

    frame: FrameTruth
    found: Detections


def measure_detector(detector: Detector, dataset: FramesDataset) -> DetectorMetrics:
    """Run the detector, opened with ``MEASURED_FROM``, over every frame, and compare."""
    seen = [Seen(frame, detector.detect(dataset.image(index))) for index, frame in enumerate(dataset.frames)]
    return compare(detector.id, seen)


def compare(model: str, seen: Sequence[Seen]) -> DetectorMetrics:
    """The figures of detections against their frames' truth."""
    chances = [chance for frame in seen for chance in _Chance.of(frame)]
    visible = [chance for chance in chances if chance.visible >= MIN_VISIBLE]
    tall = [chance for chance in chances if chance.height_px >= MIN_HEIGHT_PX]
    main = [chance for chance in visible if chance.height_px >= MIN_HEIGHT_PX]
    by_kind = _by_kind(seen, _is_main, MIN_IOU)
    return DetectorMetrics(
        model=model,
        frames=len(seen),
        vehicles=len(chances),
        map50=_mean(by_kind),
        map50_95=_mean_of([_mean(_by_kind(seen, _is_main, min_iou)) for min_iou in _COCO_IOUS]),
        map50_all_sizes=_mean(_by_kind(seen, _is_visible, MIN_IOU)),
        map50_all=_mean(_by_kind(seen, lambda frame, vehicle: True, MIN_IOU)),
        ap50=_ap_of_any(seen, _is_main, MIN_IOU),
        ap50_own_px=_ap_of_any(seen, _is_main_in_own_px, MIN_IOU),
        ap50_by_kind=by_kind,
        map50_by_light=_by_light(seen),
        recall=_recall(main),
        false_per_frame=round(sum(_n_false(frame) for frame in seen) / max(len(seen), 1), 4),
        recall_by_height=_binned(visible, "height_px", HEIGHTS_PX),
        recall_by_visibility=_binned(tall, "visible", VISIBILITIES),
        kind_accuracy=_kind_accuracy(main),
        confusion={kind: {said: _n_said(main, kind, said) for said in KINDS} for kind in KINDS},
    )


@dataclass(frozen=True, slots=True)
class _Chance:
    """One vehicle that could be found: at the working score, whatever the kind.

    Attributes:
        said: the kind of the box that found it; None where none did.
    """

    kind: str
    height_px: float
    visible: float
    said: str | None

    @classmethod
    def of(cls, seen: Seen) -> list[_Chance]:
        """The vehicles of a frame, each found by one box at most, best boxes first."""
        rows = np.flatnonzero(seen.found.scores >= WORKING_SCORE)
        vehicles = seen.frame.vehicles
        judged = judge(
            seen.found.boxes_px[rows], seen.found.scores[rows], _boxes(vehicles), np.ones(len(vehicles), bool), MIN_IOU
        )
        order = rows[np.argsort(-seen.found.scores[rows], kind="stable")].tolist()
        said = {
            int(truth): seen.found.kinds[row] for truth, row in zip(judged.truth.tolist(), order, strict=True) if truth >= 0
        }
        return [
            cls(vehicle.kind, _height_px(seen.frame, vehicle), vehicle.visible, said.get(index))
            for index, vehicle in enumerate(vehicles)
        ]


def _is_visible(frame: FrameTruth, vehicle: VehicleTruth) -> bool:
    return vehicle.visible >= MIN_VISIBLE


def _is_main(frame: FrameTruth, vehicle: VehicleTruth) -> bool:
    return vehicle.visible >= MIN_VISIBLE and _height_px(frame, vehicle) >= MIN_HEIGHT_PX


def _is_main_in_own_px(frame: FrameTruth, vehicle: VehicleTruth) -> bool:
    return vehicle.visible >= MIN_VISIBLE and vehicle.box_px[3] - vehicle.box_px[1] >= MIN_HEIGHT_PX


def _height_px(frame: FrameTruth, vehicle: VehicleTruth) -> float:
    return (vehicle.box_px[3] - vehicle.box_px[1]) * REFERENCE_HEIGHT_PX / frame.frame_px[1]


def _boxes(vehicles: Sequence[VehicleTruth]) -> Floats:
    return np.array([vehicle.box_px for vehicle in vehicles], np.float32).reshape(-1, 4)


def _ap_of_kind(seen: Sequence[Seen], kind: str, is_wanted: IsWanted, min_iou: float) -> Share:
    """AP of one kind; vehicles that are not wanted forgive boxes of any kind."""
    judged = []
    n = 0
    for frame in seen:
        vehicles = [truth for truth in frame.frame.vehicles if truth.kind == kind or not is_wanted(frame.frame, truth)]
        wanted = np.array([truth.kind == kind and is_wanted(frame.frame, truth) for truth in vehicles], bool)
        rows = np.array([row for row, said in enumerate(frame.found.kinds) if said == kind], np.intp)
        judged.append(judge(frame.found.boxes_px[rows], frame.found.scores[rows], _boxes(vehicles), wanted, min_iou))
        n += int(wanted.sum())
    return Share(_rounded(average_precision(judged)), n)


def _ap_of_any(seen: Sequence[Seen], is_wanted: IsWanted, min_iou: float) -> float | None:
    judged = []
    for frame in seen:
        wanted = np.array([is_wanted(frame.frame, truth) for truth in frame.frame.vehicles], bool)
        judged.append(judge(frame.found.boxes_px, frame.found.scores, _boxes(frame.frame.vehicles), wanted, min_iou))
    return _rounded(average_precision(judged))


def _by_kind(seen: Sequence[Seen], is_wanted: IsWanted, min_iou: float) -> dict[str, Share]:
    return {kind: _ap_of_kind(seen, kind, is_wanted, min_iou) for kind in KINDS}


def _by_light(seen: Sequence[Seen]) -> dict[str, Share]:
    groups: dict[str, list[Seen]] = {}
    for frame in seen:
        for name in (frame.frame.light, *(("rain",) if frame.frame.rain else ())):
            groups.setdefault(name, []).append(frame)
    return {name: Share(_mean(_by_kind(group, _is_main, MIN_IOU)), len(group)) for name, group in sorted(groups.items())}


def _n_false(seen: Seen) -> int:
    boxes = seen.found.boxes_px[seen.found.scores >= WORKING_SCORE]
    overlaps: NDArray[np.float32] = iou(boxes, _boxes(seen.frame.vehicles))
    return int((overlaps.max(axis=1, initial=0.0) < MIN_IOU).sum())


def _recall(chances: Sequence[_Chance]) -> Share:
    n_found = sum(chance.said is not None for chance in chances)
    return Share(round(n_found / len(chances), 4) if chances else None, len(chances))


def _binned(chances: Sequence[_Chance], name: str, edges: Sequence[float]) -> dict[str, Share]:
    bins: dict[str, Share] = {}
    for low, high in pairwise(edges):
        is_last = high == edges[-1]
        inside = [
            chance for chance in chances if low <= getattr(chance, name) < high or (is_last and getattr(chance, name) == high)
        ]
        bins[f"{low:g}-{high:g}"] = _recall(inside)
    return bins


def _n_said(chances: Sequence[_Chance], kind: str, said: str) -> int:
    return sum(chance.kind == kind and chance.said == said for chance in chances)


def _kind_accuracy(chances: Sequence[_Chance]) -> dict[str, Share]:
    found = [chance for chance in chances if chance.said is not None]
    by_kind = {kind: _accuracy([chance.said == kind for chance in found if chance.kind == kind]) for kind in KINDS}
    return by_kind | {"all": _accuracy([chance.said == chance.kind for chance in found])}


def _accuracy(is_right: Sequence[bool]) -> Share:
    return Share(round(sum(is_right) / len(is_right), 4) if is_right else None, len(is_right))


def _mean(by_kind: dict[str, Share]) -> float | None:
    return _mean_of([part.share for part in by_kind.values()])


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(sum(known) / len(known)) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
