"""Exposure times of a live stream, from when its frames arrive and its own time stamps."""

from __future__ import annotations

from collections import deque

from twin.events.ids import SECOND, Micros

_WINDOW_FRAMES = 300


class StreamClock:
    """Maps a stream's time stamps to the wall clock of the receiver.

    A frame is never received before it is taken, so the smallest "received minus stamped" of the last 300 frames is
    the offset with the least delay in it; what the network adds to single frames drops out. One clock a connection.
    """

    def __init__(self, *, not_before: Micros = 0) -> None:
        self._offsets: deque[Micros] = deque(maxlen=_WINDOW_FRAMES)
        self._last = not_before

    def exposed_at(self, stamp_s: float | None, received_at: Micros) -> Micros:
        """The exposure time of the next frame, after every one before; the receipt's time without a stamp."""
        at = received_at
        if stamp_s is not None:
            stamp = round(stamp_s * SECOND)
            self._offsets.append(received_at - stamp)
            at = stamp + min(self._offsets)
        self._last = max(at, self._last + 1)
        return self._last
