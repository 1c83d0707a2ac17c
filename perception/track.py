"""Tracking within one camera: ByteTrack (Zhang et al., 2022) as the ``trackers`` library has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from perception.box_motion import BoxMotion
from perception.detect import Detections, iou
from site_models.schema import CameraId
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import VehicleKind

BoxPx = tuple[float, float, float, float]
_NOMINAL_FPS = 30.0  # what the library's motion noise is tuned for; time stamps carry the true rate
_LEAST_IOU = 0.35  # less is another vehicle: two short tracklets can be joined, one of two vehicles cannot be cut
_JUMP_IOU = 0.7  # from frame to frame a box of one vehicle hardly ever shares less with where it was, or was going
_BESIDE: Micros = SECOND  # a vehicle seen so short a while ago may be hidden now
_LOST_FRAMES = 30  # of the nominal rate: a tracklet ends one second after its last detection


class _Timed(NamedTuple):
    at: Micros
    box_px: BoxPx


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """One detection with the tracklet that it belongs to."""

    tracklet: TrackletId
    kind: VehicleKind
    score: float
    box_px: BoxPx


class CameraTracker:
    """Joins the detections of one camera into tracklets named ``camera:boot_epoch:n``, n from 1.

    A tracklet starts with its second detection in a row, at least the first of ``min_score``. It ends where its box jumps
    while another tracklet's box is in touch: of two vehicles one may have hidden the other. Its kind is the one with the
    largest sum of scores so far, so that it does not flicker between car and truck.
    """

    def __init__(self, camera: CameraId, boot_epoch: int, *, min_score: float) -> None:
        self._prefix = f"{camera}:{boot_epoch}"
        self._tracker = ByteTrackTracker(
            lost_track_buffer=_LOST_FRAMES,
            frame_rate=_NOMINAL_FPS,
            track_activation_threshold=min_score,
            minimum_consecutive_frames=2,
            minimum_iou_threshold=_LEAST_IOU,
            high_conf_det_threshold=min_score,
            state_estimator_class=BoxMotion,
        )
        self._votes: dict[int, dict[VehicleKind, float]] = {}
        self._newest: dict[int, tuple[_Timed, ...]] = {}  # up to two, the newest last
        self._number: dict[int, int] = {}
        self._first_at: Micros | None = None
        self.n_tracklets = 0

    def update(self, exposed_at: Micros, detections: Detections) -> list[TrackedBox]:
        """The frame's boxes that belong to a tracklet, by tracklet number; times must increase."""
        self._first_at = exposed_at if self._first_at is None else self._first_at
        tracked = self._tracker.update(_columns(detections), timestamp=(exposed_at - self._first_at) / SECOND)
        self._forget(exposed_at)
        ids = np.asarray(tracked.tracker_id, int)
        rows = np.asarray(tracked.data.get("row", ()), int)
        pairs = sorted((int(own), int(row)) for own, row in zip(ids, rows, strict=True) if own >= 0)
        jumped = self._jumped(pairs, detections, exposed_at)
        boxes = [(self._box(own, row, detections, exposed_at, may_be_another=own in jumped), own) for own, row in pairs]
        return [box for box, own in sorted(boxes, key=lambda one: self._number[one[1]])]

    def _jumped(self, pairs: list[tuple[int, int]], detections: Detections, at: Micros) -> set[int]:
        """Whose boxes are neither where the ones before were, nor where the last two were going."""
        known = [(own, row, self._newest[own]) for own, row in pairs if len(self._newest.get(own, ())) == 2]
        if not known:
            return set()
        now = detections.boxes_px[[row for _, row, _ in known]]
        first, last = (np.array([boxes[n].box_px for *_, boxes in known], np.float32) for n in (0, 1))
        ahead = np.array([(at - two.at) / (two.at - one.at) for *_, (one, two) in known], np.float32)
        going = (last + ahead[:, None] * (last - first)).astype(np.float32)
        shared = np.maximum(np.diag(iou(now, last)), np.diag(iou(now, going)))
        return {own for (own, *_), share in zip(known, shared.tolist(), strict=True) if share < _JUMP_IOU}

    def _box(self, own: int, row: int, detections: Detections, exposed_at: Micros, *, may_be_another: bool) -> TrackedBox:
        x1, y1, x2, y2 = (float(edge) for edge in detections.boxes_px[row])
        newest = _Timed(exposed_at, (x1, y1, x2, y2))
        before = self._newest.get(own, ())
        if may_be_another and self._is_beside_another(own, before[-1], newest):
            del self._number[own], self._votes[own]
            before = ()
        if own not in self._number:
            self.n_tracklets += 1
            self._number[own] = self.n_tracklets
        self._newest[own] = (*before[-1:], newest)
        score = float(detections.scores[row])
        votes = self._votes.setdefault(own, {})
        votes[detections.kinds[row]] = votes.get(detections.kinds[row], 0.0) + score
        return TrackedBox(
            tracklet=TrackletId(f"{self._prefix}:{self._number[own]}"),
            kind=max(sorted(votes), key=lambda kind: votes[kind]),
            score=score,
            box_px=newest.box_px,
        )

    def _is_beside_another(self, own: int, before: _Timed, newest: _Timed) -> bool:
        """Whether another tracklet's box of the last second touches where this one was or is."""
        kept = ((other, boxes[-1]) for other, boxes in self._newest.items())
        both = np.array([before.box_px, newest.box_px], np.float32)
        others = [box.box_px for other, box in kept if other != own and newest.at - box.at <= _BESIDE]
        return bool(others) and bool(iou(np.array(others, np.float32), both).any())

    def _forget(self, exposed_at: Micros) -> None:
        """Drop what is kept of tracklets that the library has ended for certain."""
        ended = [own for own, boxes in self._newest.items() if exposed_at - boxes[-1].at > 10 * SECOND]
        for own in ended:
            del self._votes[own], self._newest[own], self._number[own]


def _columns(detections: Detections) -> sv.Detections:
    n = len(detections)
    return sv.Detections(
        xyxy=detections.boxes_px.reshape(n, 4),
        confidence=detections.scores,
        data={"row": np.arange(n)},
    )
