"""The record of who searched, decided, read a plate or opened a picture. It holds no pictures and no plates.

Entries that wait while others are written go into the next transaction together: looking through a page of pictures costs
some writes, not one for each. Who watches a camera opens its picture every second, and is recorded once a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from twin.errors import Overloaded, TwinError
from twin.events.ids import Micros, SiteId
from twin.log.clock import Clock

Action = Literal["search", "decision", "plate", "crop", "picture"]

DAY_US = 86_400_000_000
WATCHED: Micros = 60_000_000
"""How long who opened a camera's picture may go on without another entry."""
_MOST_WAITING = 1_000
_MOST_WATCHED = 10_000
_TRIM_EVERY_S = 3_600.0

_logger = logging.getLogger(__name__)


class Entry(Struct, frozen=True, kw_only=True):
    """Somebody looked, or decided.

    Attributes:
        key, name: who: the key's id and name.
        subject: what: the request's path below the site's, the names of its conditions, the kind of decision.
        address: from where.
        n_results: of a search: how many vehicles it told.
    """

    at: Micros
    site: SiteId
    key: str
    name: str
    action: Action
    subject: str
    address: str
    n_results: int | None = None


class NumberedEntry(Entry, frozen=True, kw_only=True):
    """An entry with its place in the record."""

    number: int


class Audit:
    """Appends to the record, and gives pages of it.

    Args:
        append: stores entries, blocking.
        page: ``page(site, after=, limit=)``, blocking.
        trim: forgets what was recorded before a time, blocking; returns how many.
    """

    def __init__(
        self,
        append: Callable[[Sequence[Entry]], None],
        page: Callable[..., list[NumberedEntry]],
        trim: Callable[[Micros], int],
    ) -> None:
        self._append = append
        self._page = page
        self._trim = trim
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._watched: dict[tuple[str, ...], Micros] = {}

    async def note(self, entry: Entry) -> None:
        """Record it; it is on disk when this returns, or the same look of the last minute is.

        Raises:
            Overloaded: it is not: then nothing may be answered.
        """
        if entry.action != "picture":
            await self._record(entry)
            return
        look = (entry.site, entry.key, entry.address, entry.subject)
        if 0 <= entry.at - self._watched.get(look, -WATCHED) < WATCHED:
            return
        await self._record(entry)
        self._watched.pop(look, None)
        self._watched[look] = entry.at
        if len(self._watched) > _MOST_WATCHED:
            del self._watched[next(iter(self._watched))]

    async def _record(self, entry: Entry) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            raise Overloaded(f"{_MOST_WAITING} entries wait for the access database; try again later")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def page(self, site: SiteId, *, after: int, limit: int) -> list[NumberedEntry]:
        """Entries of a site after a number; raises Overloaded."""
        return await asyncio.to_thread(self._page, site, after=after, limit=limit)

    async def keep(self, days: float, clock: Clock) -> None:
        """Forget what is older, once an hour, until cancelled."""
        while True:
            try:
                if n_gone := await asyncio.to_thread(self._trim, clock() - round(days * DAY_US)):
                    _logger.info("%d audit entries were older than %g days", n_gone, days)
            except TwinError as wrong:
                _logger.warning("old audit entries stay for now: %s", wrong)
            await asyncio.sleep(_TRIM_EVERY_S)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            failure: Exception | None = None
            try:
                await asyncio.to_thread(self._append, [entry for entry, _ in batch])
            except Exception as wrong:  # told to every request that waits
                failure = wrong
            for _, done in batch:
                if done.done():
                    continue  # whoever waited was cancelled
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
