"""A clip as a camera that goes on: each round's frames follow the last round's without a gap."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from perception.frames import Frame
from perception.video_file import VideoFile
from site_models.schema import CameraId, ClockSource
from twin.errors import SourceError
from twin.events.ids import SECOND, Micros


class LoopedVideo:
    """Frames of one file, ``n_rounds`` times over; without end where that is None.

    Frame i of round k is exposed at ``start_at`` + (k ``n_frames`` + i) / ``fps``: cameras that start together stay together,
    whatever the files' own time stamps say. The file is opened anew for each round.

    Raises:
        SourceError: the file cannot be read as a video.
    """

    is_live = False
    clock: ClockSource = "file"

    def __init__(
        self, camera: CameraId, path: Path, *, start_at: Micros, fps: int, n_frames: int, n_rounds: int | None = None
    ) -> None:
        self.camera = camera
        self._n_rounds = n_rounds
        self._path, self._start_at, self._fps, self._n_frames = path, start_at, fps, n_frames
        self._round: VideoFile | None = VideoFile(camera, path, start_at=0)
        self._is_interrupted = False

    def frames(self) -> Iterator[Frame]:
        """Every round's frames; a SourceError if the file has fewer or more than it should."""
        first = 0
        while not self._is_interrupted and (self._n_rounds is None or first < self._n_rounds * self._n_frames):
            self._round = self._round or VideoFile(self.camera, self._path, start_at=0)
            n = 0
            for frame in self._round.frames():
                if self._is_interrupted:
                    return
                if n < self._n_frames:
                    index = first + n
                    exposed_at = self._start_at + round(Fraction(index * SECOND, self._fps))
                    yield Frame(camera=self.camera, exposed_at=exposed_at, index=index, image=frame.image)
                n += 1
            if self._is_interrupted:
                return
            if n != self._n_frames:
                raise SourceError(
                    f"clip '{self._path}' of camera '{self.camera}' has {n} frames, but should have {self._n_frames}; "
                    "the cameras would drift apart: render the clips again"
                )
            self.close()
            first += n

    def interrupt(self) -> None:
        """From any thread: end ``frames`` soon, without an error."""
        self._is_interrupted = True
        if (playing := self._round) is not None:
            playing.interrupt()

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._round is not None:
            self._round.close()
            self._round = None
