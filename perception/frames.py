"""Frames and the port of everything that yields them: a file, a folder of pictures, a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from site_models.schema import CameraId, ClockSource
from twin.events.ids import SECOND, Micros

Image = NDArray[np.uint8]
"""(H, W, 3) picture, blue, green, red, 0..255."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera.

    Attributes:
        exposed_at: when it was taken, on the source's clock; strictly increasing per camera.
        index: 0, 1, 2, … as the source counts, before any frame is left out.
    """

    camera: CameraId
    exposed_at: Micros
    index: int
    image: Image

    @property
    def size_px(self) -> tuple[int, int]:
        """Width, height."""
        return int(self.image.shape[1]), int(self.image.shape[0])


class FrameSource(Protocol):
    """One camera's frames in exposure order; opened when made, so that a wrong address fails at once."""

    @property
    def camera(self) -> CameraId: ...

    @property
    def clock(self) -> ClockSource:
        """What the exposure times rest on."""
        ...

    @property
    def is_live(self) -> bool:
        """Frames come when they come: what is not taken in time is gone."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Every frame that can be had.

        Raises:
            SourceError: it broke off or was damaged; raised after the last frame that could be decoded.
        """
        ...

    def interrupt(self) -> None:
        """From any thread: end ``frames`` soon, without an error."""
        ...

    def close(self) -> None:
        """Release the source, from the thread that takes its frames; a second call does nothing."""
        ...


def thinned(frames: Iterator[Frame], fps: float | None) -> Iterator[Frame]:
    """At most ``fps`` frames a second of exposure time, evenly spaced; all of them when None."""
    if fps is None:
        yield from frames
        return
    period = round(SECOND / fps)
    origin: Micros | None = None
    last_slot = -1
    for frame in frames:
        origin = frame.exposed_at if origin is None else origin
        # a quarter period early is on time: 30 fps thinned to 10 must not alternate between 3 and 4 frames apart
        slot = (frame.exposed_at - origin + period // 4) // period
        if slot > last_slot:
            last_slot = slot
            yield frame
