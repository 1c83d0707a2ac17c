"""A video file as a frame source. Exposure times are the file's own time stamps from a stated start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.error
from av.video.reformatter import VideoReformatter

from perception.frames import Frame, Image
from site_models.schema import CameraId, ClockSource
from twin.errors import SourceError
from twin.events.codec import micros
from twin.events.ids import SECOND, Micros

DEFAULT_START_AT: Micros = micros("2026-01-01T00:00:00Z")
"""Start of a video that does not say when it was taken: fixed, so that every run gives the same times."""

_MAX_PIXELS = 64_000_000


class VideoFile:
    """Frames of one file.

    The first frame is exposed at ``start_at``, else at the container's ``creation_time``, else at
    ``DEFAULT_START_AT``; the others follow by their presentation time stamps.

    Raises:
        SourceError: no such file, not a video, or no picture stream in it.
    """

    is_live = False
    clock: ClockSource = "file"

    def __init__(self, camera: CameraId, path: Path, *, start_at: Micros | None = None) -> None:
        self.camera = camera
        self._path = path
        self._container = _opened(path)
        try:
            self._stream = _picture_stream(path, self._container)
        except SourceError:
            self._container.close()
            raise
        self._is_interrupted = False
        self._start_at = start_at if start_at is not None else _created_at(self._container)

    def frames(self) -> Iterator[Frame]:
        """Every frame that can be decoded; then a SourceError if the file is damaged or ends too early."""
        faults = _Faults()
        times = _Times(self._start_at, self._stream.average_rate)
        to_bgr = VideoReformatter()  # one for all: else each frame makes its own, and threads for it
        n = 0
        for decoded in self._decoded(faults):
            image = cast("Image", to_bgr.reformat(decoded, format="bgr24", threads=1).to_ndarray())
            yield Frame(camera=self.camera, exposed_at=times.of(decoded.time), index=n, image=image)
            n += 1
            faults.n_frames = n
            if self._is_interrupted:
                return
        self._report(faults, n)

    def interrupt(self) -> None:
        self._is_interrupted = True

    def close(self) -> None:
        self._container.close()

    def _decoded(self, faults: _Faults) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError) as wrong:
                faults.add(wrong)
                return
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError as wrong:
                faults.add(wrong)  # a damaged packet: later ones may decode

    def _report(self, faults: _Faults, n: int) -> None:
        name = f"video '{self._path}' of camera '{self.camera}'"
        if n == 0:
            raise SourceError(f"{name} has no frame that can be decoded{faults.text()}; check the file")
        if faults.first is not None:
            raise SourceError(
                f"{name} broke after {faults.first_after} frames{faults.text()}; the {n} frames that could be decoded were used"
            )
        expected = _frames_promised(self._stream)
        if expected > n * 1.02 + 2:  # an edit list may hide a frame or two, and rates are rounded
            raise SourceError(
                f"{name} ended after {n} frames, but its header says {expected}: it is truncated; the {n} frames were used"
            )


class _Faults:
    """Decoding errors of one file."""

    def __init__(self) -> None:
        self.n_frames = 0
        self.count = 0
        self.first: Exception | None = None
        self.first_after = 0

    def add(self, wrong: Exception) -> None:
        self.count += 1
        if self.first is None:
            self.first, self.first_after = wrong, self.n_frames

    def text(self) -> str:
        return "" if self.first is None else f" ({self.count} decoding errors, the first: {reason(self.first)})"


class _Times:
    """Presentation times to exposure times, strictly increasing also where the file's are not."""

    def __init__(self, start_at: Micros, rate: Fraction | None) -> None:
        self._start_at = start_at
        self._period = round(SECOND / (rate or 25))
        self._first_s: float | None = None
        self._last: Micros | None = None

    def of(self, time_s: float | None) -> Micros:
        following = self._start_at if self._last is None else self._last + self._period
        if time_s is None:
            at = following
        else:
            self._first_s = time_s if self._first_s is None else self._first_s
            at = self._start_at + round((time_s - self._first_s) * SECOND)
        self._last = at if self._last is None or at > self._last else following
        return self._last


def reason(wrong: BaseException) -> str:
    """An FFmpeg or system error in a few words, without its errno and file name."""
    return str(getattr(wrong, "strerror", None) or wrong)


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise SourceError(f"video '{path}' does not exist or is no file; give CAMERA=PATH of a video file")
    try:
        return av.open(str(path), mode="r")
    except (av.error.FFmpegError, OSError) as wrong:
        size = path.stat().st_size
        raise SourceError(f"'{path}' ({size} bytes) is not a video that can be read: {reason(wrong)}") from None


def _picture_stream(path: Path, container: Any) -> Any:
    if not container.streams.video:
        raise SourceError(f"'{path}' has {len(container.streams)} streams, but none with pictures; give a video")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > _MAX_PIXELS:
        raise SourceError(f"'{path}' has frames of {width}x{height}; at most {_MAX_PIXELS} pixels are taken: scale it down")
    stream.thread_type = "NONE"  # each camera decodes in a thread of its own; more of them only cost the detector its cores
    return stream


def _frames_promised(stream: Any) -> int:
    """How many frames the header says there are: its count (MP4), else its duration (Matroska); 0 if neither is known."""
    if stream.frames:
        return int(stream.frames)
    parts = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if parts is None or not stream.average_rate:
        return 0
    seconds = int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3])
    return int(seconds * float(stream.average_rate))


def _created_at(container: Any) -> Micros:
    try:
        created_at = micros(container.metadata.get("creation_time", ""))
    except ValueError:
        return DEFAULT_START_AT
    return created_at if created_at > 0 else DEFAULT_START_AT
