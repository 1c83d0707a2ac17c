"""Work that takes a processor: so much at once, so much that waits, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from twin.errors import Overloaded


class Turns:
    """``at_once`` are at work, ``most_waiting`` wait for it; whoever comes then is told to come again."""

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._n_waiting = 0

    @asynccontextmanager
    async def turn(self, what: str) -> AsyncIterator[None]:
        """Hold a turn while the block runs; raises Overloaded where too many wait."""
        if self._n_waiting >= self._most_waiting:
            raise Overloaded(f"{self._n_waiting} {what} wait already; try again in a moment")
        self._n_waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._n_waiting -= 1
        try:
            yield
        finally:
            self._free.release()
