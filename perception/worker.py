"""The edge pipeline: decode, detect, track and emit, in threads with bounded queues between them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from perception.attributes import AttributeReader
from perception.detect import Detections
from perception.detector import Detector
from perception.embed import Embedder
from perception.emit import CameraEmitter
from perception.frames import Frame, FrameSource, thinned
from perception.intake import Intake
from perception.plates import PlateReader
from perception.sinks import Sink
from perception.summary import CameraSummary
from site_models.schema import Camera, CameraId
from twin.errors import SourceError
from twin.events.ids import SECOND, Micros
from twin.events.observations import DetectedBox

_PROGRESS_EVERY_S = 2.0
_DETECTED = {True: 2, False: 8}
"""Frames that may wait between detecting and emitting; few in real time, where each is so much delay."""


Look = Callable[[Frame, Sequence[DetectedBox]], None]
"""Is shown a frame, and what was seen in it."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One camera and where its frames come from."""

    camera: Camera
    source: FrameSource


@dataclass(frozen=True, slots=True)
class Pace:
    """How frames are taken.

    Attributes:
        is_real_time: frames come at the rate they were taken, and late ones are dropped; else all of them, in order.
        origin_at: exposure time that is due when the run starts; for files in real time.
        fps: at most this many frames a second and camera.
        max_frames: at most this many frames of each camera.
    """

    is_real_time: bool = False
    origin_at: Micros = 0
    fps: float | None = None
    max_frames: int | None = None


class Worker:
    """Runs the feeds through one detector into one sink.

    One thread a camera decodes, as many detect as the detector can use, and the caller's tracks, embeds and writes, in the
    order in which frames were taken. A source that breaks ends its camera alone; a detector or sink that fails ends the run.
    ``look`` is shown every frame in that order, with all of its boxes, and may not take long.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        detector: Detector,
        embedder: Embedder,
        sink: Sink,
        *,
        min_score: float,
        pace: Pace,
        attributes: AttributeReader | None = None,
        plates: PlateReader | None = None,
        look: Look = lambda frame, boxes: None,
        progress: Callable[[Mapping[CameraId, CameraSummary], float], None] = lambda cameras, seconds: None,
    ) -> None:
        self._feeds = feeds
        self._detector = detector
        self._sink = sink
        self._min_score = min_score
        self._pace = pace
        self._progress = progress
        self._look = look
        self._intake = Intake([feed.camera.id for feed in feeds], newest_wins=pace.is_real_time)
        self._detected: queue.Queue[tuple[Frame, Future[Detections]] | None] = queue.Queue(maxsize=_DETECTED[pace.is_real_time])
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self.summaries: dict[CameraId, CameraSummary] = {feed.camera.id: CameraSummary() for feed in feeds}
        self._emitters = {
            feed.camera.id: CameraEmitter(
                feed.camera,
                clock=feed.source.clock,
                boot_epoch=sink.boot_epoch,
                detector_id=detector.id,
                box_sigma=detector.box_sigma,
                embedder=embedder,
                min_score=min_score,
                attributes=attributes,
                plates=plates,
            )
            for feed in feeds
        }

    def run(self) -> float:
        """Until every source has ended or ``stop``; returns the seconds it took.

        Raises:
            TwinError: the detector or the sink failed. What was written before stays written.
        """
        started_s = time.monotonic()
        threads = [threading.Thread(target=self._decode, args=(feed, started_s), name=feed.camera.id) for feed in self._feeds]
        threads.append(threading.Thread(target=self._detect, name="detect"))
        for thread in threads:
            thread.start()
        try:
            self._emit(started_s)
        except BaseException:
            self.stop()
            while self._detected.get() is not None:  # let the detecting thread end
                pass
            raise
        finally:
            for thread in threads:
                thread.join()
            self._count(time.monotonic() - started_s)
        if self._failure is not None:
            raise self._failure
        return time.monotonic() - started_s

    def stop(self) -> None:
        """From any thread or a signal handler's thread: take no more frames, finish those that wait."""
        self._stopping.set()
        for feed in self._feeds:
            feed.source.interrupt()
        self._intake.stop()

    def _decode(self, feed: Feed, started_s: float) -> None:
        try:
            for n, frame in enumerate(thinned(feed.source.frames(), self._pace.fps), start=1):
                _check_size(feed.camera, frame)
                self._wait_until_due(feed, frame, started_s)
                if not self._intake.put(frame) or n == self._pace.max_frames:
                    return
        except SourceError as wrong:
            self.summaries[feed.camera.id].error = str(wrong)
        except BaseException as wrong:
            self._fail(wrong)
        finally:
            feed.source.close()
            self._intake.finish(feed.camera.id)

    def _wait_until_due(self, feed: Feed, frame: Frame, started_s: float) -> None:
        if self._pace.is_real_time and not feed.source.is_live:
            due_s = started_s + (frame.exposed_at - self._pace.origin_at) / SECOND
            self._stopping.wait(max(due_s - time.monotonic(), 0.0))

    def _detect(self) -> None:
        """Take a frame only once a thread is free for it, so that in real time it is the newest."""
        free = threading.Semaphore(self._detector.parallel)
        try:
            with ThreadPoolExecutor(self._detector.parallel, thread_name_prefix="detect") as threads:
                while free.acquire() and (frame := self._intake.take()) is not None:
                    detections = threads.submit(self._detector.detect, frame.image)
                    detections.add_done_callback(lambda _: free.release())
                    self._detected.put((frame, detections))
        except BaseException as wrong:
            self._fail(wrong)
        finally:
            self._detected.put(None)

    def _emit(self, started_s: float) -> None:
        shown_s = started_s
        while (detected := self._detected.get()) is not None:
            frame, detections = detected[0], detected[1].result()
            emitter = self._emitters[frame.camera]
            self._sink.write(emitter.emit(frame, detections, self._detector.scale(frame.size_px)))
            self._look(frame, emitter.boxes)
            summary = self.summaries[frame.camera]
            summary.frames += 1
            summary.detections += int(np.count_nonzero(detections.scores >= self._min_score))
            now_s = time.monotonic()
            if now_s - shown_s >= _PROGRESS_EVERY_S:
                shown_s = now_s
                self._count(now_s - started_s)
                self._progress(self.summaries, now_s - started_s)

    def _count(self, seconds: float) -> None:
        for camera, summary in self.summaries.items():
            summary.tracklets = self._emitters[camera].n_tracklets
            summary.embeddings = self._emitters[camera].n_embeddings
            summary.dropped = self._intake.n_dropped[camera]
            summary.fps = round(summary.frames / seconds, 2) if seconds > 0 else 0.0

    def _fail(self, wrong: BaseException) -> None:
        self._failure = self._failure or wrong
        self.stop()


def _check_size(camera: Camera, frame: Frame) -> None:
    if frame.size_px != camera.frame_px:
        raise SourceError(
            f"camera '{camera.id}' is calibrated for frames of {camera.frame_px[0]}x{camera.frame_px[1]}, but its video has "
            f"{frame.size_px[0]}x{frame.size_px[1]}; give the video it was calibrated with, or calibrate it again"
        )
