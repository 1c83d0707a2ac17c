"""Where the cameras' frames meet: bounded, and either complete and in order, or always the newest."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from perception.frames import Frame
from site_models.schema import CameraId
from twin.events.ids import Micros

_CAPACITY = 4


class Intake:
    """Bounded queues, one a camera, between decoding threads and the detector.

    As fast as possible (``newest_wins`` false): ``put`` waits for room and ``take`` gives every frame in
    (exposure time, camera) order. In real time (true): a full queue drops its oldest frame and counts it, and
    ``take`` gives a frame of the camera whose turn was longest ago, so that too slow a detector is shared evenly.
    """

    def __init__(self, cameras: Sequence[CameraId], *, newest_wins: bool) -> None:
        self._newest_wins = newest_wins
        self._capacity = 1 if newest_wins else _CAPACITY
        self._queues: dict[CameraId, deque[Frame]] = {camera: deque() for camera in sorted(cameras)}
        self._unfinished = set(cameras)
        self._turns: dict[CameraId, int] = dict.fromkeys(sorted(cameras), 0)
        self._n_taken = 0
        lock = threading.Lock()
        self._ready = threading.Condition(lock)
        self._room = {camera: threading.Condition(lock) for camera in cameras}  # each its own: no other camera wakes in vain
        self._is_stopped = False
        self.n_dropped: dict[CameraId, int] = dict.fromkeys(cameras, 0)

    def put(self, frame: Frame) -> bool:
        """Hand over a frame; False when the intake was stopped and the frame is not wanted."""
        with self._ready:
            queue = self._queues[frame.camera]
            while not self._is_stopped and not self._newest_wins and len(queue) >= self._capacity:
                self._room[frame.camera].wait()
            if self._is_stopped:
                return False
            if len(queue) >= self._capacity:
                queue.popleft()
                self.n_dropped[frame.camera] += 1
            queue.append(frame)
            if self._is_ready():
                self._ready.notify_all()
            return True

    def finish(self, camera: CameraId) -> None:
        """This camera puts no more frames."""
        with self._ready:
            self._unfinished.discard(camera)
            self._ready.notify_all()

    def stop(self) -> None:
        """Take no more frames; what waits is still given out."""
        with self._ready:
            self._is_stopped = True
            self._unfinished.clear()
            for changed in (self._ready, *self._room.values()):
                changed.notify_all()

    def take(self) -> Frame | None:
        """The next frame; None when all cameras are finished and nothing waits."""
        with self._ready:
            while not self._is_ready():
                self._ready.wait()
            waiting = [camera for camera, queue in self._queues.items() if queue]
            if not waiting:
                return None
            camera = min(waiting, key=self._turns.__getitem__ if self._newest_wins else self._oldest)
            self._n_taken += 1
            self._turns[camera] = self._n_taken
            frame = self._queues[camera].popleft()
            self._room[camera].notify_all()
            return frame

    def _oldest(self, camera: CameraId) -> tuple[Micros, CameraId]:
        return self._queues[camera][0].exposed_at, camera

    def _is_ready(self) -> bool:
        if self._newest_wins and any(self._queues.values()):
            return True
        return all(self._queues[camera] for camera in self._unfinished)
