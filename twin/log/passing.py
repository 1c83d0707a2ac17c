"""A log in front of another log: it passes every call on, and whoever extends it changes what it must."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager

from twin.events.envelope import ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import Micros, SiteId
from twin.log.chain import ChainHeads
from twin.log.cuts import Cuts
from twin.log.port import FencingToken, FoldCommit, Heads, Log, Receipt, Refusal, Snapshot, Superseded


class PassingLog:
    """Delegates all of ``twin.log.port.Log``."""

    def __init__(self, log: Log) -> None:
        self._passed = log

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``."""
        return await self._passed.append(events)

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log``."""
        return await self._passed.acquire(site, worker)

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        return await self._passed.commit(commit)

    async def sites(self) -> list[SiteId]:
        """See ``twin.log.port.Log``."""
        return await self._passed.sites()

    async def heads(self, site: SiteId) -> Heads:
        """See ``twin.log.port.Log``."""
        return await self._passed.heads(site)

    async def chain(self, site: SiteId) -> ChainHeads:
        """See ``twin.log.port.Log``."""
        return await self._passed.chain(site)

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """See ``twin.log.port.Log``."""
        return await self._passed.observations(site, after=after, limit=limit)

    async def facts(
        self, site: SiteId, *, after: int = 0, limit: int = 1000, types: Sequence[str] = (), thinned: bool = False
    ) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self._passed.facts(site, after=after, limit=limit, types=types, thinned=thinned)

    async def facts_at(self, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self._passed.facts_at(site, positions)

    async def facts_among(self, site: SiteId, positions: Sequence[int], *, types: Sequence[str] = ()) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self._passed.facts_among(site, positions, types=types)

    async def facts_between(
        self,
        site: SiteId,
        *,
        after_at: Micros,
        until_at: Micros,
        until_position: int,
        types: Sequence[str] = (),
        subject: str | None = None,
        limit: int = 100_000,
    ) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self._passed.facts_between(
            site,
            after_at=after_at,
            until_at=until_at,
            until_position=until_position,
            types=types,
            subject=subject,
            limit=limit,
        )

    async def facts_disturbing(self, site: SiteId, *, at: Micros, after: int, until: int) -> bool:
        """See ``twin.log.port.Log``."""
        return await self._passed.facts_disturbing(site, at=at, after=after, until=until)

    async def facts_superseded(self, site: SiteId, *, after: int, until: int) -> list[Superseded]:
        """See ``twin.log.port.Log``."""
        return await self._passed.facts_superseded(site, after=after, until=until)

    async def position_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        return await self._passed.position_at(site, recorded_at)

    async def first_occurred_at(self, site: SiteId, *, after: int) -> Micros | None:
        """See ``twin.log.port.Log``."""
        return await self._passed.first_occurred_at(site, after=after)

    async def observed_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        return await self._passed.observed_at(site, recorded_at)

    async def refusals(self, site: SiteId, *, limit: int = 1000) -> list[Refusal]:
        """See ``twin.log.port.Log``."""
        return await self._passed.refusals(site, limit=limit)

    async def backlog(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``."""
        return await self._passed.backlog(site)

    def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``."""
        return self._passed.tail_observations(site, after=after)

    def tail_facts(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedFact], None]:
        """See ``twin.log.port.Log``."""
        return self._passed.tail_facts(site, after=after)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """See ``twin.log.port.Log``."""
        await self._passed.save_snapshot(snapshot)

    async def save_snapshots(self, snapshots: Sequence[Snapshot], *, instead_of: bytes | None) -> bool:
        """See ``twin.log.port.Log``."""
        return await self._passed.save_snapshots(snapshots, instead_of=instead_of)

    def sole(self, site: SiteId, doing: str) -> AbstractAsyncContextManager[bool]:
        """See ``twin.log.port.Log``."""
        return self._passed.sole(site, doing)

    async def load_snapshot(self, site: SiteId, kind: str, version: str, *, position: int, at: Micros) -> Snapshot | None:
        """See ``twin.log.port.Log``."""
        return await self._passed.load_snapshot(site, kind, version, position=position, at=at)

    async def load_snapshots(
        self, site: SiteId, kind: str, version: str, *, until_position: int, until_at: Micros | None = None, limit: int = 8
    ) -> list[Snapshot]:
        """See ``twin.log.port.Log``."""
        return await self._passed.load_snapshots(
            site, kind, version, until_position=until_position, until_at=until_at, limit=limit
        )

    async def drop_snapshots(self, site: SiteId, kind: str, *, below: int) -> None:
        """See ``twin.log.port.Log``."""
        await self._passed.drop_snapshots(site, kind, below=below)

    async def cuts(self, site: SiteId) -> Cuts:
        """See ``twin.log.port.Log``."""
        return await self._passed.cuts(site)

    async def cut_observations(self, site: SiteId, *, until: int, version: str, state: bytes) -> Cuts:
        """See ``twin.log.port.Log``."""
        return await self._passed.cut_observations(site, until=until, version=version, state=state)

    async def cut_facts(self, site: SiteId, *, until: int, from_at: Micros, left: Sequence[int]) -> Cuts:
        """See ``twin.log.port.Log``."""
        return await self._passed.cut_facts(site, until=until, from_at=from_at, left=left)

    async def sweep(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``."""
        return await self._passed.sweep(site)

    async def aclose(self) -> None:
        """See ``twin.log.port.Log``."""
        await self._passed.aclose()
