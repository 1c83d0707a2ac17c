"""Which true vehicle each tracklet shows, from a run's observations and its truth alone.

A few frames a second of each camera are taken; every true vehicle is projected into them as a body of usual size, and assigned
to the reported boxes by intersection over union. A tracklet is whose boxes it mostly was. A camera's clock may be off by
seconds: what of its moving boxes fits the truth best is when its frames were taken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from perception.detect import iou
from perception.synthetic.truth import VehicleState
from perception.synthetic.vehicles import TrueVehicleId, Vehicle
from perception.synthetic.views import View, Viewer, covered
from site_models.schema import Camera, LevelId, Site, StallId
from twin.evaluation.run_tables import Table
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, CameraId, Micros, TrackletId
from twin.events.observations import FrameObserved

EVERY_US: Micros = 2 * SECOND // 5
"""Least time between frames of a camera that are looked at."""
WINDOW_US: Micros = 1200 * SECOND
"""How long a camera's clock is taken to be off by the same: 200 ppm make a quarter of a second of it."""
FARTHEST_S, STEP_S = 6.0, 0.25
"""How far a clock is looked for, and how finely at first."""

_N_CLOCK_FRAMES = 80
_LEAST_MPS = 1.0
_MATCHED, _HIDDEN = 0.3, 0.8
_BRIDGED_US: Micros = SECOND

Box = tuple[float, float, float, float]


@dataclass(kw_only=True)
class Labelled:
    """A tracklet with the vehicle that it shows.

    Attributes:
        first_at, last_at: of its boxes, by the camera's clock.
        votes: looked-at frames by vehicle; "" where nothing true fits.
    """

    tracklet: TrackletId
    camera: CameraId
    first_at: Micros
    last_at: Micros
    votes: Counter[str] = field(default_factory=Counter[str])

    @property
    def vehicle(self) -> str | None:
        """Whom at least half of its frames show; None for nobody."""
        name, n = min(self.votes.items(), key=lambda pair: (-pair[1], pair[0]), default=("", 0))
        return name if name and 2 * n >= self.votes.total() else None


class TrackletTruth:
    """Collects observations; then says whom each tracklet shows."""

    def __init__(self, site: Site, truth: Table) -> None:
        self._site, self._truth = site, _Truth(truth)
        self._frames: dict[CameraId, list[tuple[Micros, dict[TrackletId, Box]]]] = {one.id: [] for one in site.cameras}
        self._boxes: dict[CameraId, dict[TrackletId, Box]] = {one.id: {} for one in site.cameras}
        self._tracklets: dict[TrackletId, Labelled] = {}

    def add(self, event: ObservationEvent) -> None:
        """Take one observation; what is no frame of the site's cameras says nothing."""
        frame, at = event.payload, event.occurred_at
        if not isinstance(frame, FrameObserved) or frame.camera not in self._frames:
            return
        known = self._boxes[frame.camera]
        shown = {box.tracklet: box.box_px for box in frame.boxes}
        shown |= {name: known[name] for name in frame.unchanged if name in known}
        self._boxes[frame.camera] = shown
        for name in shown:
            seen = self._tracklets.setdefault(name, Labelled(tracklet=name, camera=frame.camera, first_at=at, last_at=at))
            seen.first_at, seen.last_at = min(seen.first_at, at), max(seen.last_at, at)
        kept = self._frames[frame.camera]
        if not kept or at - kept[-1][0] >= EVERY_US:
            kept.append((at, shown))

    def labelled(self) -> list[Labelled]:
        """Every tracklet, by first time and name."""
        for camera in self._site.cameras:
            matcher = _Matcher(self._site, camera, self._truth)
            for window in _windows(self._frames[camera.id]):
                offset_us = matcher.offset_us(window)
                for at, boxes in window:
                    for name, vehicle in matcher.matched(at - offset_us, boxes).items():
                        self._tracklets[name].votes[vehicle] += 1
        return sorted(self._tracklets.values(), key=lambda one: (one.first_at, one.tracklet))


def labelled(site: Site, truth: Table, events: Iterable[ObservationEvent]) -> list[Labelled]:
    """Every tracklet of a run."""
    found = TrackletTruth(site, truth)
    for event in events:
        found.add(event)
    return found.labelled()


class _Truth:
    """Where every vehicle was at any moment, between its rows too while it moves."""

    def __init__(self, table: Table) -> None:
        names, starts = np.unique(table["vehicle"], return_index=True)
        bounds = [*starts.tolist(), len(table["vehicle"])]
        self._rows = [(str(name), *pair) for name, pair in zip(names.tolist(), pairwise(bounds), strict=True)]
        self._t: list[int] = table["t"].tolist()
        self._columns = {name: table[name].tolist() for name in ("level", "x_m", "y_m", "heading_deg", "state")}
        self._still: dict[int, VehicleState] = {}

    def at(self, level: LevelId, at: Micros) -> list[VehicleState]:
        """Who is on a level; one who stands is the same object each time."""
        found = list[VehicleState]()
        for name, start, end in self._rows:
            if not self._t[start] <= at:
                continue
            row = bisect_right(self._t, at, start, end) - 1
            state = self._columns["state"][row]
            if state != "left" and self._columns["level"][row] == level:
                found.append(self._moving(name, row, end, at) if state == "moving" else self._parked(name, row))
        return found

    def _parked(self, name: str, row: int) -> VehicleState:
        if row not in self._still:
            self._still[row] = self._state(name, row, self._columns["x_m"][row], self._columns["y_m"][row], 0.0)
        return self._still[row]

    def _moving(self, name: str, row: int, end: int, at: Micros) -> VehicleState:
        x, y = self._columns["x_m"], self._columns["y_m"]
        after = row + 1
        gap = self._t[after] - self._t[row] if after < end else 0
        if not 0 < gap <= _BRIDGED_US or self._columns["state"][after] == "left":
            return self._state(name, row, x[row], y[row], 0.0)
        part = (at - self._t[row]) / gap
        dx, dy = x[after] - x[row], y[after] - y[row]
        return self._state(name, row, x[row] + part * dx, y[row] + part * dy, float(np.hypot(dx, dy)) * SECOND / gap)

    def _state(self, name: str, row: int, x_m: float, y_m: float, speed_mps: float) -> VehicleState:
        heading = self._columns["heading_deg"][row]
        return VehicleState(
            vehicle=Vehicle(id=TrueVehicleId(name), body="estate", look=0, plate="", pace=1.0),
            level=self._columns["level"][row],
            x_m=x_m,
            y_m=y_m,
            heading_deg=0.0 if heading != heading else heading,  # labels of one's own may have no heading
            speed_mps=speed_mps,
            stall=StallId("any") if self._columns["state"][row] == "parked" else None,
            state="parked" if self._columns["state"][row] == "parked" else "moving",
        )


class _Matcher:
    """Assigns true vehicles to the boxes of one camera."""

    def __init__(self, site: Site, camera: Camera, truth: _Truth) -> None:
        self._level, self._truth, self._viewer = camera.level, truth, Viewer(site, camera)
        self._still: dict[TrueVehicleId, tuple[VehicleState, View | None]] = {}
        self._offset_us = 0

    def matched(self, at: Micros, boxes: dict[TrackletId, Box]) -> dict[TrackletId, str]:
        """The vehicle of every box; "" for none."""
        views, names = self._views(at), list(boxes)
        found = {names[column]: views[row].state.vehicle.id for row, column, _ in _pairs(views, [boxes[n] for n in names])}
        return {name: str(found.get(name, "")) for name in names}

    def offset_us(self, window: Sequence[tuple[Micros, dict[TrackletId, Box]]]) -> Micros:
        """How far the camera's clock is ahead: where moving vehicles fit their boxes best; as before where none moves."""
        frames = [one for one in window if one[1]][:: max(1, len(window) // _N_CLOCK_FRAMES)]
        steps = np.arange(-FARTHEST_S, FARTHEST_S + STEP_S / 2, STEP_S)
        self._offset_us = self._best(frames, (steps * SECOND).astype(np.int64).tolist())
        fine = range(-SECOND // 5, SECOND // 5 + 1, SECOND // 20)
        self._offset_us = self._best(frames, [self._offset_us + step for step in fine])
        return self._offset_us

    def _best(self, frames: Sequence[tuple[Micros, dict[TrackletId, Box]]], offsets: Sequence[Micros]) -> Micros:
        fits = [(self._fit(frames, offset), -abs(offset - self._offset_us), offset) for offset in offsets]
        best = max(fits)
        return best[2] if best[0] > 0.0 else self._offset_us

    def _fit(self, frames: Sequence[tuple[Micros, dict[TrackletId, Box]]], offset_us: Micros) -> float:
        total = 0.0
        for at, boxes in frames:
            views = [one for one in self._views(at - offset_us) if abs(one.state.speed_mps) > _LEAST_MPS]
            total += sum(overlap for _, _, overlap in _pairs(views, list(boxes.values())))
        return total

    def _views(self, at: Micros) -> list[View]:
        states = self._truth.at(self._level, at)
        fresh = [one for one in states if one.state == "moving" or self._still.get(one.vehicle.id, (None,))[0] is not one]
        found = dict(zip(map(id, fresh), self._viewer.views(fresh), strict=True))
        self._still |= {one.vehicle.id: (one, found[id(one)]) for one in fresh if one.state == "parked"}
        views = [found[id(one)] if id(one) in found else self._still[one.vehicle.id][1] for one in states]
        return [view for view in views if view is not None]


def _pairs(views: Sequence[View], boxes: Sequence[Box]) -> list[tuple[int, int, float]]:
    """Rows of views, columns of boxes and their overlap, each once, with the largest sum."""
    if not views or not boxes:
        return []
    hidden = 1.0 - (1.0 - covered(views)) * (1.0 - np.array([view.behind_walls for view in views]))
    true_px = np.array([view.box_px for view in views], np.float32)
    overlaps = iou(true_px, np.array(boxes, np.float32)).astype(np.float64)
    overlaps[(overlaps < _MATCHED) | (hidden >= _HIDDEN)[:, None]] = 0.0
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column, float(overlaps[row, column])) for row, column in pairs if overlaps[row, column] > 0.0]


def _windows(frames: Sequence[tuple[Micros, dict[TrackletId, Box]]]) -> list[list[tuple[Micros, dict[TrackletId, Box]]]]:
    """Frames by window, in order of time."""
    ordered = sorted(frames, key=lambda one: one[0])
    found = dict[int, list[tuple[Micros, dict[TrackletId, Box]]]]()
    for one in ordered:
        found.setdefault((one[0] - ordered[0][0]) // WINDOW_US, []).append(one)
    return list(found.values())
