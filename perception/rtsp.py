"""A network camera (RTSP) as a frame source; reconnects by itself, a bounded number of times."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import av.error

from perception.frames import Frame
from perception.stream_clock import StreamClock
from perception.video_file import reason
from site_models.schema import CameraId, ClockSource
from twin.backoff import Backoff
from twin.errors import SourceError
from twin.events.ids import Micros

# without "nobuffer", what arrives while the stream is probed would come late and all at once, with a wrong time
_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "analyzeduration": "500000"}


class RtspStream:
    """Frames of one RTSP address over TCP, stamped by ``StreamClock``.

    Args:
        max_tries: connections in a row that give no frame before it gives up; a frame starts the count again.
        timeout_s: the longest wait for a connection and for the next packet.
        now: the wall clock.
    """

    is_live = True
    clock: ClockSource = "stream"

    def __init__(
        self,
        camera: CameraId,
        url: str,
        *,
        max_tries: int = 8,
        timeout_s: float = 5.0,
        backoff: Backoff | None = None,
        now: Callable[[], Micros] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.camera = camera
        self.n_connections = 0
        self._url = url
        self._max_tries = max_tries
        self._timeout_s = timeout_s
        self._backoff = backoff or Backoff(random.random)
        self._now = now
        self._interrupted = threading.Event()
        self._index = 0
        self._last_at: Micros = 0

    def frames(self) -> Iterator[Frame]:
        """Frames until ``interrupt``; a SourceError when ``max_tries`` connections in a row gave none."""
        n_failures = 0
        while not self._interrupted.is_set():
            before, why = self._index, "the stream ended"
            try:
                yield from self._connection()
            except (av.error.FFmpegError, OSError) as wrong:
                why = reason(wrong)
            n_failures = 1 if self._index > before else n_failures + 1
            if n_failures >= self._max_tries and not self._interrupted.is_set():
                raise SourceError(
                    f"camera '{self.camera}': {without_password(self._url)} gave no frame in {n_failures} tries in a row"
                    f" (last: {why}), after {self._index} frames in all; check the address and that the camera is on"
                )
            self._interrupted.wait(self._backoff.wait_s(n_failures))

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        """The connection belongs to ``frames`` and ends with it."""
        self._interrupted.set()

    def _connection(self) -> Iterator[Frame]:
        with av.open(self._url, options=dict(_OPTIONS), timeout=(self._timeout_s, self._timeout_s)) as container:
            if not container.streams.video:
                raise OSError(f"{len(container.streams)} streams, none with pictures")
            self.n_connections += 1
            stamps = StreamClock(not_before=self._last_at)
            for packet in container.demux(container.streams.video[0]):
                if self._interrupted.is_set():
                    return
                yield from self._decoded(packet, stamps)

    def _decoded(self, packet: Any, stamps: StreamClock) -> Iterator[Frame]:
        try:
            pictures = packet.decode()
        except av.error.InvalidDataError:
            return  # joined in the middle of a group of pictures: the next key frame mends it
        for picture in pictures:
            self._last_at = stamps.exposed_at(picture.time, self._now())
            image = picture.to_ndarray(format="bgr24")
            yield Frame(camera=self.camera, exposed_at=self._last_at, index=self._index, image=image)
            self._index += 1


def without_password(url: str) -> str:
    """The address without its user and password, for messages.

    >>> without_password("rtsp://admin:secret@10.0.0.7/live")
    'rtsp://***@10.0.0.7/live'
    """
    return re.sub(r"//[^/@]*@", "//***@", url)
