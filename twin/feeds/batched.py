"""What comes while something is being stored is stored together, next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batched(Generic[T]):
    """Stores items, as many at once as have come since the last time; never two batches at the same time."""

    def __init__(self, store: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._store = store
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._lock = asyncio.Lock()

    async def add(self, item: T) -> None:
        """Return once an item is stored; raises what storing its batch raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        async with self._lock:
            if not done.done():
                await self._store_all()
        await done

    async def _store_all(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            await self._store([item for item, _ in batch])
        except asyncio.CancelledError:
            self._waiting = [one for one in batch if not one[1].done()] + self._waiting  # whoever comes next stores it
            raise
        except Exception as wrong:  # each of those who wait is told
            for _, done in batch:
                if not done.done():
                    done.set_exception(wrong)
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
