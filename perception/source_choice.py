"""Where frames come from, and how fast, as the command line says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from perception.clips import Clips
from perception.corruptions import CorruptedSource, corruption_named
from perception.frames import FrameSource
from perception.sources import is_stream, open_source
from perception.worker import Pace
from site_models.schema import Camera, CameraId
from twin.errors import BadInput
from twin.events.codec import micros
from twin.events.ids import Micros


def pace_of(
    addresses: list[str],
    realtime: bool | None,
    start_at: str | None,
    *,
    is_sent: bool,
    fps: float | None,
    max_frames: int | None,
) -> Pace:
    """How fast frames are taken, and when the first one was; raises BadInput for a stream that is to be as fast as possible."""
    streams = [address for address in addresses if is_stream(address)]
    if streams and realtime is False:
        raise BadInput("a stream comes in real time; leave out --as-fast-as-possible or give files only")
    is_real_time = realtime if realtime is not None else bool(streams) or is_sent
    return Pace(
        is_real_time=is_real_time,
        origin_at=time_given(start_at if start_at is not None else "now"),
        fps=fps,
        max_frames=max_frames,
    )


def time_given(text: str) -> Micros:
    """A time as options give it, or now; raises BadInput."""
    if text == "now":
        return time.time_ns() // 1000
    try:
        return micros(text)
    except ValueError as wrong:
        raise BadInput(f"--start-at '{text}' is no time: {wrong}; write it as 2026-01-01T12:00:00Z, or 'now'") from None


def clip_of(clips: Clips, start_at: Micros, n_rounds: int | None, camera: Camera) -> FrameSource:
    """A camera's clip of the site."""
    return clips.open(camera, start_at, n_rounds=n_rounds)


def video_of(address_of: Mapping[CameraId, str], start_at: Micros | None, max_tries: int, camera: Camera) -> FrameSource:
    """A camera's video or stream."""
    return open_source(camera, address_of[camera.id], start_at=start_at, max_tries=max_tries)


def corrupted(opens: Callable[[Camera], FrameSource], name: str, seed: int) -> Callable[[Camera], FrameSource]:
    """What opens the same with every picture made worse."""
    corruption = corruption_named(name)

    def opened(camera: Camera) -> FrameSource:
        return CorruptedSource(opens(camera), corruption, seed)

    return opened


@contextmanager
def sources_of(cameras: list[Camera], opens: Callable[[Camera], FrameSource]) -> Iterator[list[FrameSource]]:
    """A source for each camera, closed at the end."""
    sources: list[FrameSource] = []
    try:
        for camera in cameras:
            sources.append(opens(camera))
        yield sources
    finally:
        for source in sources:
            source.close()
