"""From ground truth to what a camera with a detector, a tracker and an embedder would report, noise profile and all.

A box that has not moved is sent as ``unchanged`` with a full box every 5 s, as the edge does. Frames that the profile drops
or an outage swallows never get a sequence number: the device did not make them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from perception.synthetic.looks import EMBEDDER, Looks
from perception.synthetic.plates import PlateReader
from perception.synthetic.profiles import FIXED_DELAY_S, MOST_LATE_S, NoiseProfile, detection_probability
from perception.synthetic.seeds import generator
from perception.synthetic.tracklets import Box, FalseBox, FalseBoxes, Tracker, Tracklet
from perception.synthetic.traffic import TruthFrame, VehicleState
from perception.synthetic.vehicles import TrueVehicleId
from perception.synthetic.views import View, Viewer, covered
from site_models.schema import Camera, Site
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND, DeviceId, Micros, TrackletId
from twin.events.observations import DetectedBox, FrameObserved, Observation, Personal, TrackletEmbedded

DETECTOR = "simulated@1"

_DAY: Micros = 24 * 3600 * SECOND
_FULL_EVERY: Micros = 5 * SECOND
_STILL_AFTER: Micros = SECOND
_EMBED_AFTER, _EMBED_EVERY = SECOND // 2, 10 * SECOND
_CLEARLY_BETTER = 1.3
_SHARP_PX = 120.0  # a crop this wide and high is as good as any
_LEAST_SIGMA_PX = 0.5  # boxes are not better than that even without noise


class Delivery(NamedTuple):
    """An event and when it reaches the log."""

    arrival_at: Micros
    event: ObservationEvent


class _Seen(NamedTuple):
    view: View
    covered: float


class CameraSensor:
    """One camera's reports. Draws depend only on seed, camera and the frames so far."""

    def __init__(
        self, site: Site, camera: Camera, profile: NoiseProfile, seed: int, start_at: Micros, *, boot_epoch: int = 1
    ) -> None:
        self.camera, self._profile, self._site, self._seed = camera, profile, site, seed
        self._start_at, self._boot_epoch = start_at, boot_epoch
        self._viewer = Viewer(site, camera)
        self._rng = generator(seed, "camera", camera.id)
        clock = generator(seed, "clock", camera.id)
        self._offset_us = round(float(clock.uniform(-1, 1)) * profile.clock_offset_s * SECOND)
        self._drift = float(clock.uniform(-1, 1)) * profile.clock_drift_ppm * 1e-6
        self._period_us = SECOND / camera.fps
        self._phase_us = float(clock.uniform(0, 1)) * self._period_us
        self._n_frames = self._n_events = 0
        self._tracker = Tracker(f"{camera.id}.{boot_epoch}", profile, generator(seed, "tracker", camera.id))
        self._false_boxes = FalseBoxes(self._tracker, profile, camera.frame_px, generator(seed, "false boxes", camera.id))
        self._looks, self._plates = Looks(seed, profile.look_sigma), PlateReader(seed, profile.plates)
        self._parked: dict[int, tuple[VehicleState, View | None]] = {}  # by the state's id(), which it keeps from another's use
        self._cover: tuple[tuple[int, ...], list[View], list[float]] = ((), [], [])
        self._outages: tuple[int, list[tuple[Micros, Micros]]] = (-1, [])

    @property
    def clock_error(self) -> tuple[Micros, float]:
        """The clock's true offset at the start, microseconds, and its drift, microseconds a microsecond."""
        return self._offset_us, self._drift

    def capture_times(self, until_at: Micros) -> Iterator[Micros]:
        """True times of the frames from the last one asked for, up to but without ``until_at``."""
        while (at := self._start_at + round(self._phase_us + self._n_frames * self._period_us)) < until_at:
            self._n_frames += 1
            yield at

    def observe(self, frames: Sequence[TruthFrame]) -> list[Delivery]:
        """What the camera reports of these moments, in capture order."""
        kept = [frame for frame in frames if self._is_up(frame.at)]
        deliveries = list[Delivery]()
        for frame, views in zip(kept, self._views(kept), strict=True):
            deliveries += self._report(frame.at, views)
        return deliveries

    def _report(self, at: Micros, views: list[View]) -> list[Delivery]:
        is_dropped, delay, late, how_late = self._rng.random(4).tolist()
        seen = self._detected(views)
        tracklets = self._tracker.follow([one.view for one in seen], at)
        false_boxes = self._false_boxes.next_frame()
        if is_dropped < self._profile.dropped:
            return []
        arrival_at = at + round(SECOND * (FIXED_DELAY_S - self._profile.delay_mean_s * float(np.log1p(-delay))))
        if late < self._profile.late:
            arrival_at += round(SECOND * MOST_LATE_S * how_late)
        frame = self._frame(at, seen, tracklets, false_boxes)
        payloads = [frame, *self._embedded(at, seen, tracklets)]
        return [Delivery(arrival_at, self._event(at, payload)) for payload in payloads]

    def _event(self, at: Micros, payload: Observation) -> ObservationEvent:
        self._n_events += 1
        key = DeviceKey(device=DeviceId(self.camera.id), boot_epoch=self._boot_epoch, sequence=self._n_events)
        skewed_at = at + self._offset_us + round(self._drift * (at - self._start_at))
        return ObservationEvent(site=self._site.name, key=key, occurred_at=skewed_at, payload=payload)

    def _views(self, frames: Sequence[TruthFrame]) -> list[list[View]]:
        """Each frame's views; moving vehicles of all frames are projected at once, parked ones once for their stay."""
        here = [[state for state in frame.vehicles if state.level == self.camera.level] for frame in frames]
        states = {id(state): state for row in here for state in row}
        known = {key: self._parked[key] for key in states.keys() & self._parked.keys()}
        fresh = {key: state for key, state in states.items() if key not in known}
        found = dict(zip(fresh, self._viewer.views(list(fresh.values())), strict=True))
        view_of = {key: view for key, (_, view) in known.items()} | found
        stand = {key: (state, found[key]) for key, state in fresh.items() if state.state == "parked"}
        self._parked = known | stand
        return [[view for state in row if (view := view_of[id(state)]) is not None] for row in here]

    def _detected(self, views: list[View]) -> list[_Seen]:
        if not views:
            return []
        shown = list[_Seen]()
        draws = self._rng.random(len(views)).tolist()
        for view, by_others, draw in zip(views, self._covered(views), draws, strict=True):
            hidden = 1.0 - (1.0 - by_others) * (1.0 - view.behind_walls)
            if draw < detection_probability(self._profile, hidden, _side(view)):
                shown.append(_Seen(view, hidden))
        return shown

    def _covered(self, views: list[View]) -> list[float]:
        """As ``covered``, remembered while nothing moves."""
        key = tuple(map(id, views))
        if self._cover[0] != key:
            self._cover = (key, views, covered(views).tolist())
        return self._cover[2]

    def _frame(
        self, at: Micros, seen: list[_Seen], tracklets: Mapping[TrueVehicleId, Tracklet], false_boxes: list[FalseBox]
    ) -> FrameObserved:
        boxes = [self._false(one) for one in false_boxes]
        unchanged = list[TrackletId]()
        for one in seen:
            tracklet = tracklets[one.view.state.vehicle.id]
            if self._is_unchanged(tracklet, one.view.state, at):
                unchanged.append(tracklet.id)
            else:
                tracklet.full_at = at
                boxes.append(self._box(one, tracklet, at))
        boxes = [box for box in boxes if box.box_px[0] < box.box_px[2] and box.box_px[1] < box.box_px[3]]
        return FrameObserved(
            camera=self.camera.id,
            frame_px=self.camera.frame_px,
            detector=DETECTOR,
            clock=self.camera.clock,
            boxes=tuple(sorted(boxes, key=lambda box: box.tracklet)),
            unchanged=tuple(sorted(unchanged)),
        )

    def _is_unchanged(self, tracklet: Tracklet, state: VehicleState, at: Micros) -> bool:
        """Whether the tracker would say that nothing changed since the tracklet's last full box."""
        if state.speed_mps:
            tracklet.still_since = None
            return False
        if tracklet.still_since is None:
            tracklet.still_since = at
        full_at = tracklet.full_at
        return full_at is not None and full_at >= tracklet.still_since + _STILL_AFTER and at - full_at < _FULL_EVERY

    def _box(self, seen: _Seen, tracklet: Tracklet, at: Micros) -> DetectedBox:
        view, sigma = seen.view, self._profile.box_sigma
        score = 0.95 - 0.5 * seen.covered - 0.05 * abs(tracklet.error[0])
        return DetectedBox(
            tracklet=tracklet.id,
            kind=view.state.vehicle.shape.kind,
            score=round(min(0.99, max(0.3, score)), 3),
            box_px=self._inside(tracklet.noisy(view.box_px, at, sigma, self._rng)),
            box_sigma_px=self._sigma_px(view.box_px, sigma),
            truncated=view.truncated,
        )

    def _false(self, one: FalseBox) -> DetectedBox:
        """As sure of its edges as a detector is of any box."""
        box = self._inside(one.box_px)
        sigma_px = self._sigma_px(box, self._profile.box_sigma)
        return DetectedBox(tracklet=one.tracklet, kind=one.kind, score=round(one.score, 3), box_px=box, box_sigma_px=sigma_px)

    def _inside(self, box: Box) -> Box:
        # Floats, as an event is read back: else a resend from memory would have other bytes than one from the wire.
        width, height = map(float, self.camera.frame_px)
        x1, y1, x2, y2 = box
        return (
            round(min(max(x1, 0.0), width), 1),
            round(min(max(y1, 0.0), height), 1),
            round(min(max(x2, 0.0), width), 1),
            round(min(max(y2, 0.0), height), 1),
        )

    def _embedded(
        self, at: Micros, seen: list[_Seen], tracklets: Mapping[TrueVehicleId, Tracklet]
    ) -> Iterator[TrackletEmbedded]:
        """Crops at good moments: the first after half a second, then clearly better ones, and every 10 s while moving."""
        for one in seen:
            tracklet, view = tracklets[one.view.state.vehicle.id], one.view
            quality = _quality(one)
            is_first = tracklet.embedded_at is None and at - tracklet.born_at >= _EMBED_AFTER
            is_better = tracklet.embedded_at is not None and quality > _CLEARLY_BETTER * tracklet.best_quality
            is_due = tracklet.embedded_at is not None and view.state.speed_mps and at - tracklet.embedded_at >= _EMBED_EVERY
            if not (is_first or is_better or is_due):
                continue
            tracklet.embedded_at, tracklet.n_crops = at, tracklet.n_crops + 1
            tracklet.best_quality = max(quality, tracklet.best_quality)
            embedding = self._looks.embedding(view.state.vehicle, self.camera.id, tracklet.id, tracklet.n_crops)
            plate = self._plates.read(view, self._viewer.eye_m, tracklet.id, tracklet.n_crops)
            yield TrackletEmbedded(
                camera=self.camera.id,
                tracklet=tracklet.id,
                kind=view.state.vehicle.shape.kind,
                embedder=EMBEDDER,
                box_px=self._inside(view.box_px),
                quality=round(quality, 3),
                personal=Personal(embedding=embedding, plate=plate),
            )

    def _is_up(self, at: Micros) -> bool:
        """Whether no outage covers this moment; each of the profile's outages falls anywhere in its day."""
        day = (at - self._start_at) // _DAY
        if self._outages[0] != day:
            rng = generator(self._seed, "outages", self.camera.id, int(day))
            starts = self._start_at + day * _DAY + rng.integers(0, _DAY, self._profile.outages_a_day)
            lasts = rng.uniform(*self._profile.outage_s, self._profile.outages_a_day)
            spans = [(int(start), int(start) + round(float(s) * SECOND)) for start, s in zip(starts, lasts, strict=True)]
            self._outages = (day, [*(span for span in self._outages[1] if span[1] > at), *spans])
        return not any(start <= at < end for start, end in self._outages[1])

    @staticmethod
    def _sigma_px(box: Box, sigma: float) -> tuple[float, float]:
        across, upright = sigma * (box[2] - box[0]), sigma * (box[3] - box[1])
        return round(max(_LEAST_SIGMA_PX, across), 2), round(max(_LEAST_SIGMA_PX, upright), 2)


def _side(view: View) -> float:
    return min(view.box_px[2] - view.box_px[0], view.box_px[3] - view.box_px[1])


def _quality(seen: _Seen) -> float:
    """0..1 by size, cover and truncation."""
    whole = 0.6 if seen.view.truncated else 1.0
    return min(1.0, _side(seen.view) / _SHARP_PX) * (1.0 - seen.covered) * whole
