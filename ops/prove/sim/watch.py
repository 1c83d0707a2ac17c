"""Stands before the store, and looks at it after every call that changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from twin.errors import LogClosed
from twin.events.envelope import ObservationEvent, RecordedObservation
from twin.events.ids import SiteId
from twin.log.port import FencingToken, FoldCommit, Log, Outcome, Receipt

from .invariants import Facts, Observations, must

_ALL = 1_000_000


class Watch:
    """What was seen of one site's logs, over all lives of its service."""

    def __init__(self, site: SiteId, observations: Observations, facts: Facts) -> None:
        self.site = site
        self.observations = observations
        self.facts = facts
        self.recorded: list[RecordedObservation] = []  # cut or not
        self.tokens: list[int] = []
        self.cursor = 0
        self.cut = 0  # up to which retention said that it cut observations
        self.thinned = 0  # and movement
        self.wrong: Exception | None = None
        self._looking = asyncio.Lock()

    async def look(self, log: Log) -> None:
        """Check what is new."""
        async with self._looking:
            await self._look(log)

    async def _look(self, log: Log) -> None:
        added = await log.facts(self.site, after=self.facts.n, limit=_ALL)  # first: their causes are stored by then
        for one in await log.observations(self.site, after=len(self.observations.keys), limit=_ALL):
            self.observations.check(one)
            self.recorded.append(one)
        for fact in added:
            self.facts.check(fact, len(self.observations.keys))
        heads = await log.heads(self.site)
        must(heads.cursor >= self.cursor, f"the cursor went back from {self.cursor} to {heads.cursor}")
        must(heads.cursor >= self.facts.cause, f"a fact is caused by {self.facts.cause}, but the cursor is at {heads.cursor}")
        self.cursor = heads.cursor

    def told(self, events: Sequence[ObservationEvent], receipts: Sequence[Receipt]) -> None:
        """What a sender was answered must be so."""
        must(len(events) == len(receipts), f"{len(receipts)} receipts for {len(events)} observations")
        for event, receipt in zip(events, receipts, strict=True):
            stored = self.observations.keys.get(event.key)
            if receipt.outcome is not Outcome.REFUSED:
                must(stored is not None, f"{event.key} was answered '{receipt.outcome.value}' and is not stored")
            is_known = stored == receipt.position or (receipt.outcome is Outcome.EXPIRED and receipt.position == 0)
            must(is_known, f"{event.key} is at {stored}, but the answer said {receipt.position}")


class Watched:
    """A log whose every change is looked at. A violation is kept, and ends the run; the service does not see it."""

    def __init__(self, log: Any, watch: Watch) -> None:
        self._log = log
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``."""
        receipts = await self._log.append(events)
        await self._note(lambda: self._watch.told(events, receipts))
        return receipts

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log``."""
        token = await self._log.acquire(site, worker)
        newest = max(self._watch.tokens, default=0)
        await self._note(lambda: must(token.number > newest, f"token {token.number} was given after {newest}"))
        self._watch.tokens.append(token.number)
        return token

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        newest = max(self._watch.tokens, default=0)
        head = await self._log.commit(commit)
        await self._note(lambda: must(commit.token.number >= newest, f"token {commit.token.number} committed after {newest}"))
        return head

    async def _note(self, check: Any) -> None:
        try:
            await self._watch.look(self._log)
            check()
        except LogClosed:
            return  # its life is over; what it did is seen in the next
        except Exception as wrong:
            self._watch.wrong = self._watch.wrong or wrong
