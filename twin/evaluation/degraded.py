"""Observations as they would have come if something had been worse: cameras gone, frames lost, clocks off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace

from perception.synthetic.seeds import generator
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, CameraId, Micros
from twin.events.observations import FrameObserved, TrackletEmbedded

Events = Iterable[ObservationEvent]
Degradation = Callable[[Events, Sequence[CameraId], int], Iterator[ObservationEvent]]
"""Of observations, the cameras that sent them, and a seed."""

_OUT_SHARE = 0.25
_SKEW_S = 2.0
_DRIFT = 200e-6


def camera_out(events: Events, cameras: Sequence[CameraId], seed: int) -> Iterator[ObservationEvent]:
    """One camera sends nothing."""
    return _without(events, _drawn(cameras, seed, 1))


def cameras_out(events: Events, cameras: Sequence[CameraId], seed: int) -> Iterator[ObservationEvent]:
    """A quarter of the cameras send nothing, at least two; one is left."""
    return _without(events, _drawn(cameras, seed, max(2, round(_OUT_SHARE * len(cameras)))))


def frames_lost_10(events: Events, cameras: Sequence[CameraId], seed: int) -> Iterator[ObservationEvent]:
    """One frame in ten does not arrive, at random."""
    return _losing(events, seed, 0.1)


def frames_lost_50(events: Events, cameras: Sequence[CameraId], seed: int) -> Iterator[ObservationEvent]:
    """Every second frame does not arrive, at random."""
    return _losing(events, seed, 0.5)


def clocks_off_2s(events: Events, cameras: Sequence[CameraId], seed: int) -> Iterator[ObservationEvent]:
    """Every camera's clock is off by up to 2 s either way, beyond what it is already."""
    draw = generator(seed, "clocks off")
    off = {camera: round(float(draw.uniform(-_SKEW_S, _SKEW_S)) * SECOND) for camera in cameras}
    return _retimed(events, lambda camera, at: at + off.get(camera, 0))


def clocks_drift_200ppm(events: Events, cameras: Sequence[CameraId], seed: int) -> Iterator[ObservationEvent]:
    """Every camera's clock gains or loses 200 parts in a million, from the first frame on."""
    draw = generator(seed, "clocks drift")
    rate = {camera: float(draw.choice((-_DRIFT, _DRIFT))) for camera in cameras}
    first = dict[CameraId, Micros]()

    def drifted(camera: CameraId, at: Micros) -> Micros:
        return at + round(rate.get(camera, 0.0) * (at - first.setdefault(camera, at)))

    return _retimed(events, drifted)


DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {one.__name__: one for one in (camera_out, cameras_out, frames_lost_10, frames_lost_50, clocks_off_2s, clocks_drift_200ppm)}
)


NEED_TWO_CAMERAS = frozenset({camera_out.__name__, cameras_out.__name__})


def only(events: Events, cameras: frozenset[CameraId], until_at: Micros | None) -> Iterator[ObservationEvent]:
    """What these cameras saw until a time, and everything that is of no camera."""
    for event in events:
        camera = _camera_of(event)
        if camera is None or (camera in cameras and (until_at is None or event.occurred_at <= until_at)):
            if until_at is not None and event.occurred_at > until_at + _FLUSH:
                continue
            yield event


_FLUSH: Micros = 40 * SECOND  # clock ticks, until all that came late is fused


def _drawn(cameras: Sequence[CameraId], seed: int, n: int) -> frozenset[CameraId]:
    draw = generator(seed, "cameras out")
    return frozenset(sorted(cameras)[i] for i in draw.permutation(len(cameras))[: min(n, len(cameras) - 1)])


def _without(events: Events, gone: frozenset[CameraId]) -> Iterator[ObservationEvent]:
    return (event for event in events if _camera_of(event) not in gone)


def _losing(events: Events, seed: int, share: float) -> Iterator[ObservationEvent]:
    draw = generator(seed, "frames lost")
    for event in events:
        if not (isinstance(event.payload, FrameObserved) and draw.random() < share):
            yield event


def _retimed(events: Events, time_of: Callable[[CameraId, Micros], Micros]) -> Iterator[ObservationEvent]:
    for event in events:
        camera = _camera_of(event)
        yield event if camera is None else replace(event, occurred_at=time_of(camera, event.occurred_at))


def _camera_of(event: ObservationEvent) -> CameraId | None:
    return event.payload.camera if isinstance(event.payload, FrameObserved | TrackletEmbedded) else None
