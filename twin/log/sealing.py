"""The border where personal data is sealed: a log that keeps only ciphertext."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from msgspec.structs import replace

from twin.errors import Gone
from twin.events.envelope import ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import Micros, SiteId
from twin.events.observations import Personal, Sealed, TrackletEmbedded
from twin.log.chain import ChainHeads
from twin.log.keys import KeyRing
from twin.log.port import FencingToken, FoldCommit, Heads, Log, Receipt, Refusal, Snapshot


class SealingLog:
    """Seals ``TrackletEmbedded.personal`` with its tracklet's key on append; delegates the rest.

    After a tracklet's key is destroyed, its later events are stored with an empty ciphertext: what the sensor saw is
    kept, whom it saw is not. A resend of one that was stored before is then other content, and is refused for good.
    """

    def __init__(self, log: Log, keys: KeyRing) -> None:
        self._log = log
        self._keys = keys

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``; every key is durable before its event."""
        sealed = list(events)
        places = [place for place, event in enumerate(events) if isinstance(event.payload, TrackletEmbedded)]
        for place, event in zip(places, await asyncio.gather(*(self._sealed(events[place]) for place in places)), strict=True):
            sealed[place] = event
        return await self._log.append(sealed)

    async def _sealed(self, event: ObservationEvent) -> ObservationEvent:
        payload = event.payload
        if not isinstance(payload, TrackletEmbedded) or payload.personal is None:
            return event
        try:
            sealed = await self._keys.seal(event.site, payload.tracklet, payload.personal, event.id.encode())
        except Gone:
            sealed = Sealed(key_id=payload.tracklet, ciphertext=b"")
        return replace(event, payload=replace(payload, personal=None, sealed=sealed))

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log``."""
        return await self._log.acquire(site, worker)

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        return await self._log.commit(commit)

    async def sites(self) -> list[SiteId]:
        """See ``twin.log.port.Log``."""
        return await self._log.sites()

    async def heads(self, site: SiteId) -> Heads:
        """See ``twin.log.port.Log``."""
        return await self._log.heads(site)

    async def chain(self, site: SiteId) -> ChainHeads:
        """See ``twin.log.port.Log``."""
        return await self._log.chain(site)

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """See ``twin.log.port.Log``."""
        return await self._log.observations(site, after=after, limit=limit)

    async def facts(self, site: SiteId, *, after: int = 0, limit: int = 1000, types: Sequence[str] = ()) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self._log.facts(site, after=after, limit=limit, types=types)

    async def facts_at(self, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self._log.facts_at(site, positions)

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
        return await self._log.facts_between(
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
        return await self._log.facts_disturbing(site, at=at, after=after, until=until)

    async def position_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        return await self._log.position_at(site, recorded_at)

    async def refusals(self, site: SiteId, *, limit: int = 1000) -> list[Refusal]:
        """See ``twin.log.port.Log``."""
        return await self._log.refusals(site, limit=limit)

    def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``."""
        return self._log.tail_observations(site, after=after)

    def tail_facts(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedFact], None]:
        """See ``twin.log.port.Log``."""
        return self._log.tail_facts(site, after=after)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """See ``twin.log.port.Log``."""
        await self._log.save_snapshot(snapshot)

    async def load_snapshots(
        self, site: SiteId, kind: str, version: str, *, until_position: int, until_at: Micros | None = None, limit: int = 8
    ) -> list[Snapshot]:
        """See ``twin.log.port.Log``."""
        return await self._log.load_snapshots(
            site, kind, version, until_position=until_position, until_at=until_at, limit=limit
        )

    async def drop_snapshots(self, site: SiteId, kind: str, *, below: int) -> None:
        """See ``twin.log.port.Log``."""
        await self._log.drop_snapshots(site, kind, below=below)

    async def aclose(self) -> None:
        """See ``twin.log.port.Log``."""
        await self._log.aclose()


async def personal_of(keys: KeyRing, event: ObservationEvent) -> Personal | None:
    """The personal fields of an observation, opened; None when it has none, or they were erased."""
    payload = event.payload
    if not isinstance(payload, TrackletEmbedded):
        return None
    if payload.personal is not None or payload.sealed is None:
        return payload.personal
    return await keys.open(event.site, payload.sealed, event.id.encode())
