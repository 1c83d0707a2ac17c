"""One live client's outbox: bounded, and never in the way of others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

SOFT_LIMIT = 20  # deltas not taken: two seconds of 10 Hz
HARD_LIMIT = 300  # half a minute

Write = Callable[[bytes], bool]
"""Puts a WebSocket frame on a connection at once; False where the connection has no room, and nothing was put."""


class Close(Enum):
    """Why the hub ends a subscription: a WebSocket close code and its reason. All of them may come back with epoch and seq."""

    TOO_SLOW = (4008, "too slow: reconnect, with ?epoch=&seq= to resume")
    STOPPING = (1012, "the service restarts: reconnect")


class Source(Protocol):
    """What a client follows."""

    seq: int

    def snapshot(self) -> str:
        """The state at ``seq``."""
        ...

    def since(self, seq: int) -> str | None:
        """All that changed since, as one delta; None where it is not known any more."""
        ...


class Slowness:
    """How often clients of a feed did not keep up, since it began.

    Attributes:
        n_conflated: times that a client was owed one delta in place of many.
        n_too_slow: clients that were closed, with 4008.
    """

    def __init__(self) -> None:
        self.n_conflated = 0
        self.n_too_slow = 0


class Subscriber:
    """Holds deltas until they are taken; where a client keeps up, they are written to its connection and never held.

    Past ``soft_limit`` they are thrown away, and the client is owed one delta in their place, with the last of each vehicle and
    stall when it next takes: so a client that stalls costs no memory. Past ``hard_limit`` deltas without a single take it is
    closed.

    Attributes:
        seq: where the client is once it has applied what it was given.
    """

    def __init__(
        self,
        source: Source,
        *,
        soft_limit: int = SOFT_LIMIT,
        hard_limit: int = HARD_LIMIT,
        write: Write | None = None,
        slowness: Slowness | None = None,
    ) -> None:
        self.seq = source.seq
        self.wants_snapshot = False
        self.is_conflated = False
        self.closed: Close | None = None
        self._slowness = slowness or Slowness()
        self._source = source
        self._soft_limit = soft_limit
        self._hard_limit = hard_limit
        self._write = write
        self._direct: Write | None = None  # while whoever takes has sent all that it took, and nothing is queued
        self._messages: deque[str] = deque()
        self._n_untaken = 0
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()

    def prime(self, seq: int, messages: list[str]) -> None:
        """Queue the deltas that a returning client missed after ``seq``; they do not count against the limits."""
        self.seq = seq
        self._messages.extend(messages)
        self._wake()

    def offer(self, message: str, frame: bytes) -> None:
        """Send a delta, of which ``frame`` is the same for a connection, or queue it; never waits."""
        if self._direct is not None and self._direct(frame):
            self.seq = self._source.seq
            return
        self._n_untaken += 1
        if self._n_untaken > self._hard_limit:
            self._slowness.n_too_slow += self.closed is None
            self.close(Close.TOO_SLOW)
        elif not (self.wants_snapshot or self.is_conflated):
            self._messages.append(message)
            if self._n_untaken > self._soft_limit:
                self._slowness.n_conflated += 1
                self._messages.clear()
                self.is_conflated = True
        self._wake()

    def ping(self, message: str, frame: bytes) -> None:
        """Break a silence; somebody who has not even taken what there is needs no ping."""
        if not self.has_news() and not self._n_untaken and (self._direct is None or not self._direct(frame)):
            self._messages.append(message)
            self._wake()

    def want_snapshot(self) -> None:
        """Owe the client a snapshot in place of what is queued."""
        self._messages.clear()
        self.wants_snapshot = True
        self._wake()

    def close(self, why: Close) -> None:
        """End the subscription; what is queued is dropped."""
        self.closed = self.closed or why
        self._messages.clear()
        self._wake()
        self._ended.set()

    async def until_closed(self) -> None:
        """Wait until the hub ends the subscription."""
        await self._ended.wait()

    async def ready(self) -> None:
        """Wait until there is something to take."""
        if self.has_news():
            return
        self._woken.clear()
        self._direct = self._write
        try:
            await self._woken.wait()
        finally:
            self._direct = None

    @property
    def n_queued(self) -> int:
        """Messages that wait to be taken."""
        return len(self._messages)

    def take(self) -> list[str]:
        """What the client is owed now, in order: a snapshot, or one delta for many, or those that are queued."""
        messages = self._owed()
        self._n_untaken = 0
        self.wants_snapshot = self.is_conflated = False
        self._messages.clear()
        self.seq = self._source.seq
        return messages

    def has_news(self) -> bool:
        """Whether there is something to take."""
        return bool(self._messages) or self.wants_snapshot or self.is_conflated or self.closed is not None

    def _owed(self) -> list[str]:
        if self.closed is not None:
            return []
        if self.wants_snapshot:
            return [self._source.snapshot()]
        if self.is_conflated:
            return [self._source.since(self.seq) or self._source.snapshot()]
        return list(self._messages)

    def _wake(self) -> None:
        """Have what is owed taken; nothing may be written past it."""
        self._direct = None
        self._woken.set()
