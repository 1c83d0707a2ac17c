"""From one frame's detections to observations: tracklets, what stands still, and views worth keeping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception.attributes import AttributeReader, Attributes
from perception.box_sigma import BoxSigma, edges_cut
from perception.crops import BestViews, best_quality_of, covered_shares, cut, encode_jpeg, quality_of
from perception.detect import Detections
from perception.embed import Embedder
from perception.frames import Frame, Image
from perception.plates import CONTEXT, PlateReader, PlateTurns
from perception.region import contains
from perception.stillness import Stillness
from perception.track import CameraTracker, TrackedBox
from site_models.schema import Camera, ClockSource
from twin.events.ids import SECOND, CropId, Micros
from twin.events.observations import DetectedBox, FrameObserved, Personal, PlateRead, TrackletEmbedded

_FORGET_EVERY: Micros = 10 * SECOND
_TWO_WHEELED = ("motorcycle", "bicycle")  # their readers know none, and most of a view is the rider


@dataclass(frozen=True, slots=True)
class Crop:
    """A picture to be kept beside the event that names it."""

    id: CropId
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Emission:
    """An observation before it has a device key, and the crop that it names."""

    occurred_at: Micros
    payload: FrameObserved | TrackletEmbedded
    crop: Crop | None = None


class CameraEmitter:
    """Turns the frames of one camera into emissions; keeps the camera's tracker and views.

    Attributes:
        boxes: all of the last frame, those that stand still and were left out of its emission too.

    Boxes whose bottom centre is outside of the camera's region are left out before tracking.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        clock: ClockSource,
        boot_epoch: int,
        detector_id: str,
        box_sigma: BoxSigma,
        embedder: Embedder,
        min_score: float,
        attributes: AttributeReader | None = None,
        plates: PlateReader | None = None,
    ) -> None:
        self._camera = camera
        self._clock: ClockSource = clock
        self._detector_id = detector_id
        self._box_sigma = box_sigma
        self._embedder = embedder
        self._tracker = CameraTracker(camera.id, boot_epoch, min_score=min_score)
        self._stillness = Stillness()
        self._views = BestViews()
        self._attributes, self._plates = attributes, plates
        self._turns = PlateTurns()
        self._forget_at: Micros = 0
        self.boxes: tuple[DetectedBox, ...] = ()
        self.n_embeddings = 0

    @property
    def n_tracklets(self) -> int:
        return self._tracker.n_tracklets

    def emit(self, frame: Frame, detections: Detections, scale: float) -> list[Emission]:
        """One ``FrameObserved``, then a ``TrackletEmbedded`` for each view that is kept.

        Args:
            scale: the detector's input pixels per frame pixel.
        """
        tracked = self._tracker.update(frame.exposed_at, self._inside(detections))
        boxes = [self._box(frame, box, scale) for box in tracked]
        self.boxes = tuple(boxes)
        at = frame.exposed_at
        still = [self._stillness.is_unchanged(box.tracklet, at, box.box_px, box.box_sigma_px) for box in boxes]
        observed = FrameObserved(
            camera=self._camera.id,
            frame_px=frame.size_px,
            detector=self._detector_id,
            clock=self._clock,
            boxes=tuple(box for box, is_still in zip(boxes, still, strict=True) if not is_still),
            unchanged=tuple(box.tracklet for box, is_still in zip(boxes, still, strict=True) if is_still),
        )
        self._forget(at)
        return [Emission(at, observed), *self._embedded(frame, boxes)]

    def _inside(self, detections: Detections) -> Detections:
        region = self._camera.region_px
        if not region or not len(detections):
            return detections
        boxes = detections.boxes_px.astype(np.float64)
        bottom_centre = np.stack(((boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]), axis=1)
        return detections.chosen(np.flatnonzero(contains(region, bottom_centre)))

    def _box(self, frame: Frame, box: TrackedBox, scale: float) -> DetectedBox:
        truncated = edges_cut(box.box_px, frame.size_px)
        sigma_x, sigma_y = self._box_sigma.of(box.box_px, scale, truncated)
        x1, y1, x2, y2 = (round(edge, 1) for edge in box.box_px)
        return DetectedBox(
            tracklet=box.tracklet,
            kind=box.kind,
            score=round(box.score, 4),
            box_px=(x1, y1, x2, y2),
            box_sigma_px=(round(sigma_x, 2), round(sigma_y, 2)),
            truncated=truncated,
        )

    def _embedded(self, frame: Frame, boxes: list[DetectedBox]) -> list[Emission]:
        covered = covered_shares([box.box_px for box in boxes])
        emissions: list[Emission] = []
        for box, share in zip(boxes, covered, strict=True):
            is_moving = self._stillness.is_moving(box.tracklet, frame.exposed_at)
            if not self._views.is_due(box.tracklet, frame.exposed_at, is_moving=is_moving):
                continue
            if not self._views.wants(
                box.tracklet, frame.exposed_at, best_quality_of(frame.image, box.box_px, box.truncated, share)
            ):
                continue
            quality = quality_of(frame.image, box.box_px, box.truncated, share)
            if self._views.keeps(box.tracklet, frame.exposed_at, quality):
                emissions.append(self._embedding(frame, box, quality))
        self.n_embeddings += len(emissions)
        return emissions

    def _embedding(self, frame: Frame, box: DetectedBox, quality: float) -> Emission:
        view = cut(frame.image, box.box_px)
        crop_id, jpeg = encode_jpeg(view)
        told = self._told(box, view)
        plate = self._plate(frame, box, quality)
        payload = TrackletEmbedded(
            camera=self._camera.id,
            tracklet=box.tracklet,
            kind=box.kind,
            embedder=self._embedder.id,
            box_px=box.box_px,
            quality=round(quality, 4),
            personal=Personal(embedding=self._embedder.embed(view), crop=crop_id, plate=plate),
            colour=told.colour,
            body=told.body,
        )
        return Emission(frame.exposed_at, payload, Crop(crop_id, jpeg))

    def _told(self, box: DetectedBox, view: Image) -> Attributes:
        if self._attributes is None or box.kind in _TWO_WHEELED:
            return Attributes()
        return self._attributes.read(view)

    def _plate(self, frame: Frame, box: DetectedBox, quality: float) -> PlateRead | None:
        if self._plates is None or not self._turns.takes(box.tracklet, frame.exposed_at, quality):
            return None
        return self._plates.read(cut(frame.image, box.box_px, margin=CONTEXT))

    def _forget(self, at: Micros) -> None:
        if at >= self._forget_at:
            self._forget_at = at + _FORGET_EVERY
            self._stillness.forget(at)
            self._views.forget(at)
            self._turns.forget(at)
