"""What one camera reported beside what was truly there: every vehicle in its frame matched to a reported box or to none.

An outsider's view: it knows the site, the truth and the output, and nothing of how the output was made. Truth is taken at the
moment of each capture, projected, and assigned to the reported boxes by intersection over union.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from perception.detect import iou
from perception.synthetic.capture_clock import CaptureClock, Times, earliest_clock
from perception.synthetic.sensors import Delivery
from perception.synthetic.truth import TruthFrame, VehicleState
from perception.synthetic.vehicles import TrueVehicleId
from perception.synthetic.views import View, Viewer, covered
from site_models.schema import Camera, Site
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import FrameObserved, TrackletEmbedded

SEEN = np.dtype(
    [
        ("at", "i8"),
        ("frame", "i4"),
        ("vehicle", "i4"),
        ("side_px", "f4"),
        ("hidden", "f4"),
        ("crowd", "f4"),
        ("is_moving", "?"),
        ("tracklet", "i4"),
        ("is_full", "?"),
        ("error", "f4", (4,)),
        ("box_px", "f4", (4,)),
    ]
)
"""A vehicle in a frame: capture time, index of the frame and of the vehicle, shorter side of its true box, share hidden,
largest overlap with another true box, index of the tracklet (-1: not reported), whether a box was sent (false: unchanged),
error of the sent box's edges as shares of the true box's width and height (NaN where the frame cuts or nearly cuts the box)."""

REPORTED = np.dtype([("frame", "i4"), ("tracklet", "i4"), ("vehicle", "i4"), ("box_px", "f4", (4,))])
"""A reported vehicle in a frame: indices of frame, tracklet and vehicle (-1: nothing was there)."""

_MATCHED = 0.3  # intersection over union from which a box may be a vehicle's
_HIDDEN = 0.8  # share from which a vehicle cannot be what a box shows: FORMATS.md ends detection at 0.7
_BORDER = 0.4  # of the box's size: nearer to the frame's border, the border bends the box's error
_BATCH = 100  # frames that are projected at once
_LEAST_MPS = 1.0  # of a vehicle that tells the time
_STEP: Micros = SECOND // 20
_TIMED = 300  # frames on which a clock is set before matching

Floats = NDArray[np.float64]
Rows = NDArray[Any]


class CameraOutput(NamedTuple):
    """One camera's deliveries, frames in order of capture.

    Attributes:
        occurred_at, arrival_at: (F,) of the frames.
        embeddings: each with the time of its frame.
    """

    camera: Camera
    occurred_at: Times
    arrival_at: Times
    frames: list[FrameObserved]
    embeddings: list[tuple[Micros, TrackletEmbedded]]


class Sightings(NamedTuple):
    """A camera's output, matched.

    Attributes:
        seen: (S,) of ``SEEN``, by frame.
        reported: (R,) of ``REPORTED``, by frame.
        tracklets: their names, by index.
    """

    output: CameraOutput
    clock: CaptureClock
    seen: Rows
    reported: Rows
    tracklets: list[TrackletId]


def outputs(site: Site, deliveries: Iterable[Delivery]) -> list[CameraOutput]:
    """Deliveries by camera, in the order of the site's cameras; one without frames is left out."""
    frames: dict[str, list[tuple[Micros, Micros, FrameObserved]]] = {str(one.id): [] for one in site.cameras}
    embeddings: dict[str, list[tuple[Micros, TrackletEmbedded]]] = {str(one.id): [] for one in site.cameras}
    for arrival_at, event in deliveries:
        if isinstance(event.payload, FrameObserved):
            frames[event.payload.camera].append((event.occurred_at, arrival_at, event.payload))
        elif isinstance(event.payload, TrackletEmbedded):
            embeddings[event.payload.camera].append((event.occurred_at, event.payload))
    found = list[CameraOutput]()
    for camera in site.cameras:
        rows = sorted(frames[camera.id], key=lambda row: row[0])
        if rows:
            occurred_at, arrival_at, payloads = zip(*rows, strict=True)
            found.append(
                CameraOutput(camera, np.array(occurred_at), np.array(arrival_at), list(payloads), embeddings[camera.id])
            )
    return found


class Truth:
    """Where every vehicle was at any moment, between the frames of the ground truth too."""

    def __init__(self, frames: Sequence[TruthFrame]) -> None:
        self._frames, self._ats = frames, [frame.at for frame in frames]
        self.vehicles = {state.vehicle.id: state.vehicle for frame in frames for state in frame.vehicles}
        self.index_by_vehicle = {vehicle: index for index, vehicle in enumerate(sorted(self.vehicles))}

    def at(self, at: Micros) -> list[VehicleState]:
        """The states, straight on between two frames; who is in only one of them is left out."""
        after = bisect_right(self._ats, at)
        if after == 0 or after == len(self._ats):
            return list(self._frames[min(after, len(self._ats) - 1)].vehicles)
        one, other = self._frames[after - 1], self._frames[after]
        part = (at - one.at) / (other.at - one.at)
        later = {state.vehicle.id: state for state in other.vehicles}
        return [_between(state, later[state.vehicle.id], part) for state in one.vehicles if state.vehicle.id in later]


def _between(one: VehicleState, other: VehicleState, part: float) -> VehicleState:
    if one is other:
        return one
    turn_deg = (other.heading_deg - one.heading_deg + 180.0) % 360.0 - 180.0
    return replace(
        one if part < 0.5 else other,
        x_m=one.x_m + part * (other.x_m - one.x_m),
        y_m=one.y_m + part * (other.y_m - one.y_m),
        heading_deg=one.heading_deg + part * turn_deg,
        speed_mps=one.speed_mps + part * (other.speed_mps - one.speed_mps),
    )


def sightings(site: Site, output: CameraOutput, truth: Truth) -> Sightings:
    """Set the camera's clock, then match every frame."""
    matcher = _Matcher(site, output, truth)
    clock = earliest_clock(output.occurred_at, output.arrival_at)
    every = range(0, len(output.frames), max(1, len(output.frames) // _TIMED))
    for _ in range(2):
        clock = clock.later(matcher.lead_us(clock, every))
    return matcher.matched(clock)


def by(rows: Rows, name: str) -> dict[int, Rows]:
    """Rows by a column's value, each group in the order it was in."""
    if not len(rows):
        return {}
    ordered = rows[np.argsort(rows[name], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(ordered[name]) != 0])
    return {int(group[name][0]): group for group in np.split(ordered, starts[1:])}


class _Matcher:
    def __init__(self, site: Site, output: CameraOutput, truth: Truth) -> None:
        self._output, self._truth, self._viewer = output, truth, Viewer(site, output.camera)
        self._still: dict[TrueVehicleId, tuple[VehicleState, View | None]] = {}
        self._index: dict[TrackletId, int] = {}
        self._boxes = _boxes(output.frames)

    def matched(self, clock: CaptureClock) -> Sightings:
        seen, reported = list[tuple[Any, ...]](), list[tuple[Any, ...]]()
        ats = clock.captured_at(self._output.occurred_at)
        for first in range(0, len(ats), _BATCH):
            numbers = range(first, min(first + _BATCH, len(ats)))
            for number, views in zip(numbers, self._views([int(ats[n]) for n in numbers]), strict=True):
                self._match(number, int(ats[number]), views, seen, reported)
        rows = np.array(seen, dtype=SEEN), np.array(reported, dtype=REPORTED)
        return Sightings(self._output, clock, *rows, list(self._index))

    def lead_us(self, clock: CaptureClock, numbers: Iterable[int]) -> float:
        """How much later than the clock says the boxes of moving vehicles were seen, by weighted least squares."""
        moved_by = against = 0.0
        for number in numbers:
            at = int(clock.captured_at(self._output.occurred_at[number : number + 1])[0])
            now, before, after = self._views([at, at - _STEP, at + _STEP])
            speeds = _speeds(before, after)
            for view, sent in self._moving(number, now):
                if (speed := speeds.get(view.state.vehicle.id)) is not None:
                    size = np.array(_size(view.box_px))
                    moved_by += float(((np.array(sent) - view.box_px) / size * (speed / size)).sum())
                    against += float(((speed / size) ** 2).sum())
        return 0.0 if against == 0 else moved_by / against

    def _moving(self, number: int, views: list[View]) -> list[tuple[View, tuple[float, ...]]]:
        """Vehicles that move, whole in the frame and unhidden, with the boxes sent of them."""
        boxes = self._boxes[number]
        names = list(boxes)
        hidden = _hidden(views)
        pairs = _assigned(_overlaps(_array([v.box_px for v in views]), _array([boxes[n][0] for n in names])))
        return [
            (views[row], boxes[names[column]][0])
            for row, column in pairs
            if abs(views[row].state.speed_mps) > _LEAST_MPS
            and not views[row].truncated
            and hidden[row] < 0.1
            and boxes[names[column]][1]
        ]

    def _views(self, ats: Sequence[Micros]) -> list[list[View]]:
        """Views at each moment; those of vehicles that stand are kept, the others are projected together."""
        frames = [self._truth.at(at) for at in ats]
        level = self._output.camera.level
        fresh = {id(s): s for frame in frames for s in frame if s.level == level and not self._is_kept(s)}
        found = dict(zip(fresh, self._viewer.views(list(fresh.values())), strict=True))
        self._still |= {s.vehicle.id: (s, found[key]) for key, s in fresh.items() if s.state == "parked"}
        rows = [[found[id(s)] if id(s) in found else self._kept(s) for s in frame if s.level == level] for frame in frames]
        return [[view for view in row if view is not None] for row in rows]

    def _is_kept(self, state: VehicleState) -> bool:
        return state.vehicle.id in self._still and self._still[state.vehicle.id][0] is state

    def _kept(self, state: VehicleState) -> View | None:
        return self._still[state.vehicle.id][1]

    def _match(self, number: int, at: Micros, views: list[View], seen: list[Any], reported: list[Any]) -> None:
        boxes, hidden = self._boxes[number], _hidden(views)
        names = list(boxes)
        true_px, sent_px = _array([view.box_px for view in views]), _array([boxes[name][0] for name in names])
        overlaps, crowd = _overlaps(true_px, sent_px), _crowd(true_px)
        overlaps[hidden >= _HIDDEN] = 0.0
        found = dict(_assigned(overlaps))
        of_tracklet = {column: row for row, column in found.items()}
        vehicles = [self._truth.index_by_vehicle[view.state.vehicle.id] for view in views]
        for row, view in enumerate(views):
            name = names[found[row]] if row in found else None
            is_full = name is not None and boxes[name][1]
            error = self._error(view, boxes[name][0]) if name is not None and is_full else _NO_ERROR
            moves = view.state.speed_mps != 0
            tracklet = -1 if name is None else self._index.setdefault(name, len(self._index))
            at_row = (at, number, vehicles[row], min(_size(view.box_px)[:2]), hidden[row], crowd[row], moves)
            seen.append((*at_row, tracklet, is_full, error, view.box_px))
        for column, name in enumerate(names):
            vehicle = vehicles[of_tracklet[column]] if column in of_tracklet else -1
            reported.append((number, self._index.setdefault(name, len(self._index)), vehicle, boxes[name][0]))

    def _error(self, view: View, sent_px: tuple[float, ...]) -> tuple[float, ...]:
        width, height = self._output.camera.frame_px
        across, upright = _BORDER * _size(view.box_px)[0], _BORDER * _size(view.box_px)[1]
        x1, y1, x2, y2 = view.box_px
        if x1 < across or y1 < upright or x2 > width - across or y2 > height - upright:
            return _NO_ERROR
        return tuple((one - other) / size for one, other, size in zip(sent_px, view.box_px, _size(view.box_px), strict=True))


_NO_ERROR = (float("nan"),) * 4


def _boxes(frames: Sequence[FrameObserved]) -> list[dict[TrackletId, tuple[tuple[float, ...], bool]]]:
    """Per frame, tracklets with their box and whether it was sent in this frame: what is unchanged is where it was."""
    last: dict[TrackletId, tuple[float, ...]] = {}
    found = list[dict[TrackletId, tuple[tuple[float, ...], bool]]]()
    for frame in frames:
        last |= {box.tracklet: box.box_px for box in frame.boxes}
        still = {name: (last[name], False) for name in frame.unchanged if name in last}
        found.append({box.tracklet: (box.box_px, True) for box in frame.boxes} | still)
    return found


def _hidden(views: Sequence[View]) -> Floats:
    behind = np.array([view.behind_walls for view in views])
    return 1.0 - (1.0 - covered(views)) * (1.0 - behind)


def _speeds(before: Sequence[View], after: Sequence[View]) -> dict[TrueVehicleId, Floats]:
    """Pixels a microsecond of each edge."""
    later = {view.state.vehicle.id: view for view in after}
    return {
        view.state.vehicle.id: (np.array(later[view.state.vehicle.id].box_px) - view.box_px) / (2 * _STEP)
        for view in before
        if view.state.vehicle.id in later
    }


def _size(box: Sequence[float]) -> tuple[float, float, float, float]:
    width, height = box[2] - box[0], box[3] - box[1]
    return width, height, width, height


def _array(boxes: Sequence[Sequence[float]]) -> Floats:
    return np.array(boxes, dtype=float).reshape(-1, 4)


def _overlaps(one: Floats, other: Floats) -> Floats:
    """(N, M) intersection over union."""
    return iou(one.astype(np.float32), other.astype(np.float32)).astype(np.float64)


def _crowd(boxes: Floats) -> Floats:
    """(N,) each box's largest overlap with another."""
    if len(boxes) < 2:
        return np.zeros(len(boxes))
    overlaps = _overlaps(boxes, boxes)
    np.fill_diagonal(overlaps, 0.0)
    return overlaps.max(axis=1)


def _assigned(overlaps: Floats) -> list[tuple[int, int]]:
    """Pairs that overlap enough, with the largest sum."""
    if not overlaps.size:
        return []
    enough = np.where(overlaps >= _MATCHED, overlaps, 0.0)
    rows, columns = linear_sum_assignment(enough, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if enough[row, column] > 0]
