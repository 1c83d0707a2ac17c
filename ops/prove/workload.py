"""Observations for proofs: small, numbered, of a few devices."""

from __future__ import annotations

import random
from itertools import count

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import CameraId, DeviceId, SiteId, TrackletId
from twin.events.observations import DetectedBox, FrameObserved

SITE = SiteId("proof")
_START_AT = 1_767_225_600_000_000


def observation(device: int, sequence: int, *, score: float = 0.5, n_boxes: int = 1) -> ObservationEvent:
    """A frame; ``score`` changes the content without the key."""
    box = DetectedBox(
        tracklet=TrackletId(f"c{device}:1:1"),
        kind="car",
        score=score,
        box_px=(1.0, 2.0, 3.0, float(sequence)),
        box_sigma_px=(0.5, 0.5),
    )
    camera = CameraId(f"c{device}")
    return ObservationEvent(
        site=SITE,
        key=DeviceKey(device=DeviceId(f"edge-{device}"), boot_epoch=1, sequence=sequence),
        occurred_at=_START_AT + sequence * 100_000,
        payload=FrameObserved(camera=camera, frame_px=(640, 360), detector="d", clock="ntp", boxes=(box,) * n_boxes),
    )


def batches(draw: random.Random, n_batches: int, n_devices: int = 2) -> list[list[ObservationEvent]]:
    """Batches of 1 to 12 observations, each of one device, some large enough to reach over pages."""
    sequences = [count(1) for _ in range(n_devices)]
    made: list[list[ObservationEvent]] = []
    for _ in range(n_batches):
        device, n_boxes = draw.randrange(n_devices), draw.choice((1, 4, 30))
        made.append([observation(device, next(sequences[device]), n_boxes=n_boxes) for _ in range(draw.randint(1, 12))])
    return made
