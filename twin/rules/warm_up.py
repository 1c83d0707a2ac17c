"""Has the fold's kernels compiled, or loaded from where they are kept, before a service's first frame would wait for it.

Some seconds of two made-up vehicles on a packaged site go through a fold that is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from site_models.load import PACKAGED, load_site
from site_models.schema import Camera, Site
from twin.events.envelope import DeviceKey, ObservationEvent, Recorded
from twin.events.ids import SECOND, DeviceId, Micros, TrackletId
from twin.events.observations import ClockTicked, DetectedBox, FrameObserved, Observation
from twin.fusion.parameters import DEFAULTS
from twin.fusion.scene import Scene
from twin.rules.fold import Fold
from twin.spatial.camera import GroundCamera

_FROM: Micros = 1_767_225_600 * SECOND
_FRAMES, _MISSED, _EVERY_US = 160, 5, SECOND // 10
_AHEAD_M = 0.1  # from frame to frame of the one that drives
_SIZE_M = (2.2, 0.9, 1.5)  # half a car's length and width, and its height


def warm_up() -> None:
    """Fold some seconds of made-up traffic."""
    site = load_site(PACKAGED / "demo_lot")
    fold = Fold(site)
    state = fold.initial()
    for position, event in enumerate(_events(site), 1):
        state, _ = fold.step(state, Recorded(position=position, recorded_at=event.occurred_at, event=event), None)


def _events(site: Site) -> Iterator[ObservationEvent]:
    """Frames of the site's first camera, at whose middle one vehicle stands, until it is missed, and another drives by; clock
    ticks each second."""
    camera = site.cameras[0]
    level = next(level for level in site.levels if level.id == camera.level)
    ground = GroundCamera.of(camera, level)
    shown = [view.place for view in Scene(site, DEFAULTS).stall_views(ground, camera.level, camera.frame_px).values()]
    near, far = shown[len(shown) // 2], shown[0]
    for number in range(_FRAMES):
        at = _FROM + number * _EVERY_US
        places = (near.centre_m, (far.centre_m[0] + _AHEAD_M * number, far.centre_m[1]))
        boxes = tuple(_box(ground, place, f"warm:1:{n}") for n, place in enumerate(places))
        is_still, is_missed = number > _FRAMES // 2 and number % 2 == 1, number >= _FRAMES - _MISSED
        unchanged = (boxes[0].tracklet,) if is_still and not is_missed else ()
        yield _event(site, camera, 2 * number, at, _frame(camera, boxes[1:] if is_still or is_missed else boxes, unchanged))
        if number % 10 == 0:
            yield _event(site, camera, 2 * number + 1, at + SECOND, ClockTicked(worker="warm", source="events"))


def _frame(camera: Camera, boxes: tuple[DetectedBox, ...], unchanged: tuple[TrackletId, ...]) -> FrameObserved:
    return FrameObserved(
        camera=camera.id, frame_px=camera.frame_px, detector="warm", clock="file", boxes=boxes, unchanged=unchanged
    )


def _event(site: Site, camera: Camera, sequence: int, at: Micros, payload: Observation) -> ObservationEvent:
    key = DeviceKey(device=DeviceId(f"warm-{camera.id}"), boot_epoch=1, sequence=sequence + 1)
    return ObservationEvent(site=site.name, key=key, occurred_at=at, payload=payload)


def _box(ground: GroundCamera, place_m: tuple[float, float], tracklet: str) -> DetectedBox:
    length, width, height = _SIZE_M
    x, y = place_m
    corners = np.array([(x + a * length, y + b * width, h) for a in (-1, 1) for b in (-1, 1) for h in (0.0, height)])
    pixels = ground.to_pixels(corners).points_px
    (x1, y1), (x2, y2) = pixels.min(axis=0).tolist(), pixels.max(axis=0).tolist()
    return DetectedBox(tracklet=TrackletId(tracklet), kind="car", score=0.9, box_px=(x1, y1, x2, y2), box_sigma_px=(2.0, 2.0))
