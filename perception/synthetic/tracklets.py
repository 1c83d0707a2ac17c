"""The tracker's side of the noise: box error, breaks, swaps, and boxes that are clustered where nothing is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from perception.synthetic.profiles import BOX_CORRELATION_S, NoiseProfile
from perception.synthetic.vehicles import TrueVehicleId
from perception.synthetic.views import View
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import VehicleKind

Box = tuple[float, float, float, float]

_PATIENCE: Micros = 3 * SECOND  # a vehicle not detected for longer comes back as a new tracklet
_CROSSING, _APART = 0.3, 0.1  # intersection over union at which two boxes begin, and cease, to cross

_CLUSTER_FRAMES, _SHOWN = 8.0, 0.7  # frames that a cluster of false boxes lasts; share of them that have the box
_N_SPOTS, _SPOT_SHARE = 4, 0.7  # places that fool the detector again and again; share of clusters there
_FALSE_KINDS: tuple[VehicleKind, ...] = ("car", "car", "van", "motorcycle")


class Tracklet:
    """What a tracker keeps of one object."""

    def __init__(self, tracklet: TrackletId, born_at: Micros, break_at: Micros | None, error: Sequence[float]) -> None:
        self.id, self.born_at, self.seen_at, self.break_at = tracklet, born_at, born_at, break_at
        self.error = list(error)  # of the four edges, in standard deviations
        self.error_at = born_at
        self.still_since: Micros | None = None
        self.full_at: Micros | None = None  # when its last full box was sent
        self.embedded_at: Micros | None = None
        self.best_quality = 0.0
        self.n_crops = 0

    def noisy(self, box: Box, at: Micros, sigma: float, rng: np.random.Generator) -> Box:
        """The box with an error of ``sigma`` of its size, correlated over ``BOX_CORRELATION_S``."""
        if not sigma:
            return box
        kept = math.exp(-(at - self.error_at) / SECOND / BOX_CORRELATION_S)
        fresh = math.sqrt(1.0 - kept * kept)
        draws = rng.standard_normal(4)
        self.error = [kept * old + fresh * float(new) for old, new in zip(self.error, draws, strict=True)]
        self.error_at = at
        across, upright = sigma * (box[2] - box[0]), sigma * (box[3] - box[1])
        sigmas = (across, upright, across, upright)
        return tuple(edge + size * one for edge, size, one in zip(box, sigmas, self.error, strict=True))  # type: ignore[return-value]


class Tracker:
    """Which tracklet a detected vehicle has in one camera."""

    def __init__(self, prefix: str, profile: NoiseProfile, rng: np.random.Generator) -> None:
        self._prefix, self._profile, self._rng = prefix, profile, rng
        self._tracklets: dict[TrueVehicleId, Tracklet] = {}
        self._crossing: set[tuple[TrueVehicleId, TrueVehicleId]] = set()
        self._n = 0

    def new_id(self) -> TrackletId:
        """A name that this camera gives only once."""
        self._n += 1
        return TrackletId(f"{self._prefix}.{self._n}")

    def follow(self, views: Sequence[View], at: Micros) -> Mapping[TrueVehicleId, Tracklet]:
        """The tracklets of the vehicles detected in a frame."""
        for vehicle in [one for one, tracklet in self._tracklets.items() if at - tracklet.seen_at > _PATIENCE]:
            del self._tracklets[vehicle]
        for view in views:
            tracklet = self._tracklets.get(view.state.vehicle.id)
            if tracklet is None or (tracklet.break_at is not None and at >= tracklet.break_at):
                self._tracklets[view.state.vehicle.id] = self._born(at)
        self._swap(views)
        followed = {view.state.vehicle.id: self._tracklets[view.state.vehicle.id] for view in views}
        for tracklet in followed.values():
            tracklet.seen_at = at
        return followed

    def _born(self, at: Micros) -> Tracklet:
        every_s = self._profile.break_s
        break_at = None if every_s is None else at + round(float(self._rng.exponential(every_s)) * SECOND)
        return Tracklet(self.new_id(), at, break_at, self._rng.standard_normal(4).tolist())

    def _swap(self, views: Sequence[View]) -> None:
        """Exchange the tracklets of two vehicles, by chance, once each time that their boxes cross."""
        if not self._profile.swap or all(view.state.speed_mps == 0 for view in views):
            return
        for number, first in enumerate(views):
            for second in views[number + 1 :]:
                if first.state.speed_mps or second.state.speed_mps:
                    self._cross(first, second)

    def _cross(self, first: View, second: View) -> None:
        pair = (first.state.vehicle.id, second.state.vehicle.id)
        share = overlap_share(first.box_px, second.box_px)
        if share < _APART:
            self._crossing.discard(pair)
        elif share >= _CROSSING and pair not in self._crossing:
            self._crossing.add(pair)
            if self._rng.random() < self._profile.swap:
                one, other = self._tracklets[pair[0]], self._tracklets[pair[1]]
                self._tracklets[pair[0]], self._tracklets[pair[1]] = other, one
                one.full_at = other.full_at = one.still_since = other.still_since = None


class FalseBox(NamedTuple):
    """A detection of nothing."""

    tracklet: TrackletId
    kind: VehicleKind
    box_px: Box
    score: float


class FalseBoxes:
    """Clusters of false boxes: each stays at its place for some frames, most of them where others were before."""

    def __init__(self, tracker: Tracker, profile: NoiseProfile, frame_px: tuple[int, int], rng: np.random.Generator) -> None:
        self._tracker, self._rng, self._frame_px = tracker, rng, frame_px
        self._births = profile.false_boxes / (_CLUSTER_FRAMES * _SHOWN)
        self._spots = [self._anywhere() for _ in range(_N_SPOTS)]
        self._clusters: list[tuple[TrackletId, VehicleKind, Box]] = []

    def next_frame(self) -> list[FalseBox]:
        """The false boxes of one more frame."""
        rng = self._rng
        if self._births:
            for _ in range(int(rng.poisson(self._births))):
                spot = self._spots[int(rng.integers(_N_SPOTS))] if rng.random() < _SPOT_SHARE else self._anywhere()
                kind = _FALSE_KINDS[int(rng.integers(len(_FALSE_KINDS)))]
                self._clusters.append((self._tracker.new_id(), kind, spot))
        shown = [self._shown(*one) for one in self._clusters if rng.random() < _SHOWN]
        self._clusters = [one for one in self._clusters if rng.random() >= 1.0 / _CLUSTER_FRAMES]
        return shown

    def _shown(self, tracklet: TrackletId, kind: VehicleKind, spot: Box) -> FalseBox:
        moves = self._rng.normal(0.0, 1.5, 4)
        x1, y1, x2, y2 = (edge + float(move) for edge, move in zip(spot, moves, strict=True))
        return FalseBox(tracklet, kind, (x1, y1, x2, y2), float(self._rng.uniform(0.3, 0.55)))

    def _anywhere(self) -> Box:
        width, height = self._frame_px
        w = float(self._rng.uniform(0.03, 0.12)) * width
        h = w * float(self._rng.uniform(0.6, 1.2))
        x, y = float(self._rng.uniform(0, width - w)), float(self._rng.uniform(0.3 * height, max(0.3 * height + 1, height - h)))
        return x, y, x + w, y + h


def overlap_share(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
