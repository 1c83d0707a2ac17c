"""The latest picture of each camera, sent to the service now and then, to calibrate and to look at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import cv2
import httpx2

from perception.frames import Frame
from site_models.schema import CameraId
from twin.client_key import key_shown
from twin.events.codec import rfc3339
from twin.events.ids import SiteId

PERIOD_S = 1.0
_QUALITIES = (85, 60, 30)
_MOST_BYTES = 2_000_000  # what the service takes
_TIMEOUT_S = 5.0
_PAUSE_S = 5.0  # after a failure


class PictureSender:
    """Sends at most one picture a second and camera, from a thread of its own; never waits, keeps none, tries none twice.

    A picture that cannot be sent is forgotten: the next one is as good.

    Args:
        key: API key with scope ``ingest`` for the site; None where access is open.
    """

    def __init__(
        self, url: str, site: SiteId, *, key: str | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._base = f"{url.rstrip('/')}/v1/sites/{site}/cameras"
        self._monotonic = monotonic
        self._client = httpx2.Client(timeout=_TIMEOUT_S, headers=key_shown(key))
        self._offered_s: dict[CameraId, float] = {}
        self._waiting: dict[CameraId, Frame] = {}  # one a camera
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self.n_sent = 0
        self.n_failed = 0
        self.last_trouble: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()
        self._client.close()

    def offer(self, frame: Frame) -> None:
        """Send it, unless one of this camera was offered within the last second."""
        now_s = self._monotonic()
        if now_s - self._offered_s.get(frame.camera, -PERIOD_S) < PERIOD_S:
            return
        self._offered_s[frame.camera] = now_s
        with self._changed:
            self._waiting[frame.camera] = frame
            self._changed.notify()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping.is_set())
                waiting, self._waiting = self._waiting, {}
            for frame in waiting.values():
                if self._stopping.is_set():
                    return
                self._send(frame)

    def _send(self, frame: Frame) -> None:
        try:
            picture = _encoded(frame)
            at = {"at": rfc3339(frame.exposed_at)}
            headers = {"content-type": "image/jpeg"}
            answer = self._client.put(f"{self._base}/{frame.camera}/picture", content=picture, params=at, headers=headers)
        except (httpx2.TransportError, httpx2.InvalidURL, cv2.error) as wrong:
            self._fail(str(wrong) or type(wrong).__name__)
            return
        if answer.is_success:
            self.n_sent += 1
            self.last_trouble = None
        else:
            self._fail(f"the service answered {answer.status_code}")

    def _fail(self, trouble: str) -> None:
        self.n_failed += 1
        self.last_trouble = trouble
        self._stopping.wait(_PAUSE_S)


def _encoded(frame: Frame) -> bytes:
    """JPEG, of less quality where it would be too large for the service."""
    pictures = (cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for quality in _QUALITIES)
    smallest = b""
    for smallest in pictures:
        if len(smallest) <= _MOST_BYTES:
            break
    return smallest
