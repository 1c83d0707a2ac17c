"""Tracking within one camera: ByteTrack (Zhang et al., 2022) as the ``trackers`` library has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from perception.box_motion import BoxMotion
from perception.detect import Detections
from site_models.schema import CameraId
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import VehicleKind

_NOMINAL_FPS = 30.0  # what the library's motion noise is tuned for; time stamps carry the true rate
_LEAST_IOU = 0.35  # less is another vehicle: two short tracklets can be joined, one of two vehicles cannot be cut
_LOST_FRAMES = 30  # of the nominal rate: a tracklet ends one second after its last detection


@dataclass(frozen=True, slots=True)
class TrackedBox:
    """One detection with the tracklet that it belongs to."""

    tracklet: TrackletId
    kind: VehicleKind
    score: float
    box_px: tuple[float, float, float, float]


class CameraTracker:
    """Joins the detections of one camera into tracklets named ``camera:boot_epoch:n``, n from 1.

    A tracklet starts with its second detection in a row, at least the first of ``min_score``. Its kind is the one
    with the largest sum of scores so far, so that it does not flicker between car and truck.
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
        self._seen_at: dict[int, Micros] = {}
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
        return [self._box(own, row, detections, exposed_at) for own, row in pairs]

    def _box(self, own: int, row: int, detections: Detections, exposed_at: Micros) -> TrackedBox:
        if own not in self._number:
            self.n_tracklets += 1
            self._number[own] = self.n_tracklets
        self._seen_at[own] = exposed_at
        score = float(detections.scores[row])
        votes = self._votes.setdefault(own, {})
        votes[detections.kinds[row]] = votes.get(detections.kinds[row], 0.0) + score
        x1, y1, x2, y2 = (float(edge) for edge in detections.boxes_px[row])
        return TrackedBox(
            tracklet=TrackletId(f"{self._prefix}:{self._number[own]}"),
            kind=max(sorted(votes), key=lambda kind: votes[kind]),
            score=score,
            box_px=(x1, y1, x2, y2),
        )

    def _forget(self, exposed_at: Micros) -> None:
        """Drop what is kept of tracklets that the library has ended for certain."""
        ended = [own for own, at in self._seen_at.items() if exposed_at - at > 10 * SECOND]
        for own in ended:
            del self._votes[own], self._seen_at[own], self._number[own]


def _columns(detections: Detections) -> sv.Detections:
    n = len(detections)
    return sv.Detections(
        xyxy=detections.boxes_px.reshape(n, 4),
        confidence=detections.scores,
        data={"row": np.arange(n)},
    )
