"""The latest picture of each camera with what was seen in it, sent to the service now and then, to look at."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import cv2
import httpx2
import msgspec

from perception.frames import Frame, Image
from perception.sender import detail
from site_models.schema import CameraId
from twin.client_key import key_shown
from twin.events.codec import rfc3339
from twin.events.ids import SiteId
from twin.events.observations import DetectedBox
from twin.events.pictures import MOST_BOXES, PictureBox, PictureBoxes

PERIOD_S = 1.0
LONGEST_PX = 1280
_QUALITIES = (80, 60, 30)
_MOST_BYTES = 2_000_000  # what the service takes
_TIMEOUT_S = 5.0
_PAUSE_S = 5.0  # after a failure
_OLD = frozenset({409})  # a newer one is there, or the boxes do not fit this site: neither is mended by waiting

_logger = logging.getLogger(__name__)


class _Shot(NamedTuple):
    frame: Frame
    boxes: Sequence[DetectedBox]


class PictureSender:
    """Sends at most one picture a second and camera, from a thread of its own; never waits, keeps none, tries none twice.

    A picture goes with the boxes of its own frame, in one request. One that cannot be sent is forgotten: the next one is as
    good. While one is on its way, the newest of each camera waits in the place of the one before.

    Args:
        key: API key with scope ``ingest`` for the site; None where access is open.
        longest_px: larger frames are made smaller; boxes stay in pixels of the full frame.
    """

    def __init__(
        self,
        url: str,
        site: SiteId,
        *,
        key: str | None = None,
        longest_px: int = LONGEST_PX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = f"{url.rstrip('/')}/v1/sites/{site}/cameras"
        self._longest_px = longest_px
        self._monotonic = monotonic
        self._client = httpx2.Client(timeout=_TIMEOUT_S, headers=key_shown(key))
        self._offered_s: dict[CameraId, float] = {}
        self._waiting: dict[CameraId, _Shot] = {}  # one a camera
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

    def offer(self, frame: Frame, boxes: Sequence[DetectedBox] = ()) -> None:
        """Send it, unless one of this camera was offered within the last second."""
        now_s = self._monotonic()
        if now_s - self._offered_s.get(frame.camera, -PERIOD_S) < PERIOD_S:
            return
        self._offered_s[frame.camera] = now_s
        with self._changed:
            self._waiting[frame.camera] = _Shot(frame, boxes)
            self._changed.notify()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                shot = self._waiting.pop(next(iter(self._waiting)))  # of the camera that waits longest
            self._send(shot)

    def _send(self, shot: _Shot) -> None:
        frame = shot.frame
        try:
            parts = {
                "picture": ("picture.jpg", _encoded(scaled(frame.image, self._longest_px)), "image/jpeg"),
                "boxes": (None, msgspec.json.encode(boxes_of(frame, shot.boxes)), "application/json"),
            }
            at = {"at": rfc3339(frame.exposed_at)}
            answer = self._client.put(f"{self._base}/{frame.camera}/picture", files=parts, params=at)
        except (httpx2.TransportError, httpx2.InvalidURL, cv2.error) as wrong:
            self._fail(str(wrong) or type(wrong).__name__)
            return
        if answer.is_success:
            self.n_sent += 1
            self.last_trouble = None
        else:
            self._fail(f"{self._base} answered {answer.status_code}: {detail(answer)}", is_passing=answer.status_code in _OLD)

    def _fail(self, trouble: str, *, is_passing: bool = False) -> None:
        self.n_failed += 1
        if trouble != self.last_trouble:
            _logger.warning("a picture was not taken: %s; the next one is sent all the same", trouble)
        self.last_trouble = trouble
        if not is_passing:
            self._stopping.wait(_PAUSE_S)


def boxes_of(frame: Frame, boxes: Sequence[DetectedBox]) -> PictureBoxes:
    """What goes with a picture of this frame: of too many boxes the surest."""
    chosen = sorted(boxes, key=lambda one: -one.score)[:MOST_BOXES] if len(boxes) > MOST_BOXES else boxes
    return PictureBoxes(
        frame_px=frame.size_px,
        boxes=tuple(
            PictureBox(
                tracklet=one.tracklet,
                kind=one.kind,
                score=min(max(one.score, 0.0), 1.0),
                box_px=one.box_px,
                truncated=one.truncated,
            )
            for one in chosen
        ),
    )


def scaled(image: Image, longest_px: int) -> Image:
    """A picture whose longer side is no longer than this; one that is small enough is as it was."""
    height, width = image.shape[:2]
    share = longest_px / max(height, width)
    if share >= 1.0:
        return image
    size = max(1, round(width * share)), max(1, round(height * share))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # pyright: ignore[reportReturnType]


def _encoded(image: Image) -> bytes:
    """JPEG, of less quality where it would be too large for the service."""
    pictures = (cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for quality in _QUALITIES)
    smallest = b""
    for smallest in pictures:
        if len(smallest) <= _MOST_BYTES:
            break
    return smallest
