"""Following a log: wake-ups inside the process, and a slow poll for what other processes wrote."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Protocol, TypeVar

from twin.events.ids import SiteId

Topic = tuple[Literal["observations", "facts"], SiteId]

BATCH = 500
POLL_S = 0.5


class _Positioned(Protocol):
    @property
    def position(self) -> int: ...


T = TypeVar("T", bound=_Positioned)


class Wakeups:
    """Tells followers that something new is stored; safe to call from the writer's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[Topic, dict[asyncio.Event, asyncio.AbstractEventLoop]] = {}
        self.is_closed = False

    @contextmanager
    def watch(self, topic: Topic) -> Iterator[asyncio.Event]:
        """An event that is set after each commit to the topic, and when the log closes."""
        event = asyncio.Event()
        with self._lock:
            self._watches.setdefault(topic, {})[event] = asyncio.get_running_loop()
        try:
            yield event
        finally:
            with self._lock:
                watches = self._watches[topic]
                del watches[event]
                if not watches:
                    del self._watches[topic]

    def wake(self, topics: Iterable[Topic]) -> None:
        """Set the events of these topics."""
        with self._lock:
            watches = [watch for topic in sorted(set(topics)) for watch in self._watches.get(topic, {}).items()]
        for event, loop in watches:
            with suppress(RuntimeError):  # the follower's loop has ended, and the follower with it
                loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Let every follower end."""
        self.is_closed = True
        with self._lock:
            topics = list(self._watches)
        self.wake(topics)


async def tail(
    read: Callable[[int], Awaitable[list[T]]], wakeups: Wakeups, topic: Topic, *, after: int, poll_s: float = POLL_S
) -> AsyncGenerator[list[T], None]:
    """Batches after a position until the log closes; ``read`` takes a position and bounds its answer.

    It looks again after every wake-up and every ``poll_s``, so a wake-up that is lost only costs time.
    """
    with wakeups.watch(topic) as woken:
        while not wakeups.is_closed:
            woken.clear()
            batch = await read(after)
            if batch:
                after = batch[-1].position
                yield batch
                continue
            with suppress(TimeoutError):  # not wait_for: until Python 3.12 it can swallow a cancellation
                async with asyncio.timeout(poll_s):
                    await woken.wait()
