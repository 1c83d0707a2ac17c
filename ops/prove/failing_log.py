"""A log between a worker and its store that fails, or makes it wait, at any call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from twin.events.envelope import RecordedObservation
from twin.events.ids import SiteId
from twin.log.port import Log

Moment = Callable[[str], Awaitable[None]]
"""Awaited before and after every call, with its name; it may raise."""


class FailingLog:
    """Delegates every call, with ``moment`` before and after it.

    A call whose second moment raises has had its effect: its answer alone is lost.
    """

    def __init__(self, log: Log, moment: Moment) -> None:
        self._log = log
        self._moment = moment

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._log, name)

        async def called(*args: Any, **given: Any) -> Any:
            await self._moment(name)
            answer = await call(*args, **given)
            await self._moment(name)
            return answer

        return called

    async def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``."""
        async for batch in self._log.tail_observations(site, after=after):
            await self._moment("tail_observations")
            yield batch
