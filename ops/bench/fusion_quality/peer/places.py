"""Observations as places on the ground, a fifth of a second at a time, in the order in which they arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from site_models.schema import CameraId, LevelId, Site
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, Micros, TrackletId
from twin.events.observations import ClockTicked, DetectedBox, FrameObserved
from twin.spatial.camera import GroundCamera
from twin.spatial.footprint import centres

STEP: Micros = SECOND // 5
SAME_M = 2.0
"""What two cameras see this near to each other is one."""
LEAST_SCORE = 0.45
MOST_KNOWN = 500

Point = tuple[float, float]


@dataclass
class _Watch:
    """A camera's newest frame, and the last full box of each tracklet, which stands for it while it has not changed."""

    newest_at: Micros = -(2**62)
    boxes: tuple[DetectedBox, ...] = ()
    known: dict[TrackletId, DetectedBox] = field(default_factory=dict[TrackletId, DetectedBox])
    is_new: bool = False


class Places:
    """Turns arriving frames into places on each level."""

    def __init__(self, site: Site) -> None:
        levels = {level.id: level for level in site.levels}
        self._level = {camera.id: camera.level for camera in site.cameras}
        self._cameras = {camera.id: GroundCamera.of(camera, levels[camera.level]) for camera in site.cameras}
        self._watches: dict[CameraId, _Watch] = {camera.id: _Watch() for camera in site.cameras}

    def steps(self, events: Iterable[ObservationEvent]) -> Iterator[tuple[Micros, dict[LevelId, list[Point]]]]:
        """A time and what was seen in the ``STEP`` before it.

        Times are those of arrival where the observations have a clock of the service, as a tracker beside the cameras would
        have it; else those of exposure.
        """
        now: Micros | None = None
        due: Micros | None = None
        has_clock = False
        for event in events:
            match event.payload:
                case ClockTicked(source="wall"):
                    has_clock, now = True, event.occurred_at
                case FrameObserved() as frame:
                    now = now if has_clock else max(now or event.occurred_at, event.occurred_at)
                    self._take(frame, event.occurred_at)
                case _:
                    continue
            if now is None:
                continue
            due = now + STEP if due is None else due
            if now >= due:
                yield now, self._seen()
                due += STEP * ((now - due) // STEP + 1)

    def _take(self, frame: FrameObserved, at: Micros) -> None:
        """A frame that is older than its camera's newest is left out: a tracker cannot go back."""
        watch = self._watches.get(frame.camera)
        if watch is None or at <= watch.newest_at:
            return
        watch.newest_at, watch.is_new = at, True
        watch.boxes = (*frame.boxes, *(watch.known[name] for name in frame.unchanged if name in watch.known))
        for box in frame.boxes:
            watch.known.pop(box.tracklet, None)
            watch.known[box.tracklet] = box
        while len(watch.known) > MOST_KNOWN:
            del watch.known[next(iter(watch.known))]

    def _seen(self) -> dict[LevelId, list[Point]]:
        found: dict[LevelId, list[tuple[CameraId, Point]]] = {}
        for camera, watch in self._watches.items():
            if watch.is_new:
                watch.is_new = False
                found.setdefault(self._level[camera], []).extend((camera, point) for point in self._placed(camera, watch))
        return {level: _merged(points) for level, points in found.items()}

    def _placed(self, camera: CameraId, watch: _Watch) -> list[Point]:
        """Where the boxes touch the ground, and from there half a car on along the line of sight."""
        boxes = [one for one in watch.boxes if one.score >= LEAST_SCORE and "bottom" not in one.truncated]
        if not boxes:
            return []
        ground = centres(self._cameras[camera], boxes, np.zeros((len(boxes), 2)))
        return [(x, y) for (x, y), is_valid in zip(ground.points_m.tolist(), ground.is_valid, strict=True) if is_valid]


def _merged(points: list[tuple[CameraId, Point]]) -> list[Point]:
    """The mean of what different cameras see close together."""
    groups = list[dict[CameraId, Point]]()
    for camera, (x, y) in points:
        near = [(np.hypot(x - gx, y - gy), group) for group in groups if camera not in group for gx, gy in [_mean(group)]]
        distance, group = min(near, key=lambda one: one[0], default=(SAME_M, None))
        if group is not None and distance < SAME_M:
            group[camera] = (x, y)
        else:
            groups.append({camera: (x, y)})
    return [_mean(group) for group in groups]


def _mean(group: dict[CameraId, Point]) -> Point:
    xs, ys = zip(*group.values(), strict=True)
    return sum(xs) / len(xs), sum(ys) / len(ys)
