"""One live client's outbox: bounded, and never in the way of others."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum

SOFT_LIMIT = 20  # deltas not taken: two seconds of 10 Hz
HARD_LIMIT = 300  # half a minute


class Close(Enum):
    """Why the hub ends a subscription: a WebSocket close code and its reason. All of them may come back with epoch and seq."""

    TOO_SLOW = (4008, "too slow: reconnect, with ?epoch=&seq= to resume")
    STOPPING = (1012, "the service restarts: reconnect")


class Subscriber:
    """Holds deltas until they are taken.

    Past ``soft_limit`` they are thrown away, and the client is owed a snapshot of whatever the state is when it next takes:
    so a client that stalls costs no memory. Past ``hard_limit`` deltas without a single take it is closed.
    """

    def __init__(self, *, soft_limit: int = SOFT_LIMIT, hard_limit: int = HARD_LIMIT) -> None:
        self.wants_snapshot = False
        self.closed: Close | None = None
        self.n_conflated = 0
        self._soft_limit = soft_limit
        self._hard_limit = hard_limit
        self._messages: deque[str] = deque()
        self._n_untaken = 0
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()

    def prime(self, messages: list[str]) -> None:
        """Queue the deltas that a returning client missed; they do not count against the limits."""
        self._messages.extend(messages)
        self._woken.set()

    def offer(self, message: str) -> None:
        """Queue a delta; never waits."""
        self._n_untaken += 1
        if self._n_untaken > self._hard_limit:
            self.close(Close.TOO_SLOW)
        elif not self.wants_snapshot:
            self._messages.append(message)
            if self._n_untaken > self._soft_limit:
                self.n_conflated += 1
                self.want_snapshot()
        self._woken.set()

    def want_snapshot(self) -> None:
        """Owe the client a snapshot in place of what is queued."""
        self._messages.clear()
        self.wants_snapshot = True
        self._woken.set()

    def close(self, why: Close) -> None:
        """End the subscription; what is queued is dropped."""
        self.closed = self.closed or why
        self._messages.clear()
        self._woken.set()
        self._ended.set()

    async def until_closed(self) -> None:
        """Wait until the hub ends the subscription."""
        await self._ended.wait()

    async def ready(self, timeout_s: float) -> bool:
        """Wait until there is something to take; False after ``timeout_s`` without."""
        if not self.has_news():
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), timeout_s)
            except TimeoutError:
                return False
        return True

    @property
    def n_queued(self) -> int:
        """Deltas that wait to be taken."""
        return len(self._messages)

    def take(self) -> list[str]:
        """Queued deltas in order; they, and a snapshot that was owed, count as taken."""
        self._n_untaken = 0
        self.wants_snapshot = False
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def has_news(self) -> bool:
        """Whether there is something to take."""
        return bool(self._messages) or self.wants_snapshot or self.closed is not None
