"""The reference adapter: both logs in memory, complete, and simple enough to be read as the port's meaning."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import partial

from twin.errors import Conflict, LogClosed
from twin.events.codec import subject_of, type_name
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import EventId, Micros, SiteId
from twin.log.chain import ChainHeads, chained
from twin.log.clock import Clock, system_clock
from twin.log.columns import fact_row, observation_row
from twin.log.content import Content, content_of, content_of_fact
from twin.log.fencing import check_commit
from twin.log.port import FencingToken, FoldCommit, Heads, Outcome, Receipt, Refusal, Snapshot, at_positions
from twin.log.tail import BATCH, Wakeups, tail

_SnapshotKey = tuple[str, str, int, Micros]


@dataclass
class _SiteLog:
    observations: list[RecordedObservation] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    position_by_key: dict[DeviceKey, int] = field(default_factory=dict)
    refusals: dict[DeviceKey, Refusal] = field(default_factory=dict)
    facts: list[RecordedFact] = field(default_factory=list)
    fact_ids: set[EventId] = field(default_factory=set)
    superseded_by: dict[EventId, int] = field(default_factory=dict)  # the first position that does
    snapshots: dict[_SnapshotKey, Snapshot] = field(default_factory=dict)
    cursor: int = 0
    token: int = 0


class MemoryLog:
    """Holds everything until the process ends; nothing here awaits, so every call is atomic."""

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._sites: dict[SiteId, _SiteLog] = {}
        self._wakeups = Wakeups()

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``."""
        self._check_open()
        contents = [content_of(event) for event in events]
        receipts = [self._append(event, content) for event, content in zip(events, contents, strict=True)]
        self._wakeups.wake(("observations", event.site) for event in events)
        return receipts

    def _append(self, event: ObservationEvent, content: Content) -> Receipt:
        site = self._sites.setdefault(event.site, _SiteLog())
        position = site.position_by_key.get(event.key)
        if position is None:
            position = len(site.observations) + 1
            recorded_at = self._recorded_at(site.observations)
            site.observations.append(RecordedObservation(position=position, recorded_at=recorded_at, event=event))
            site.hashes.append(content.hash)
            site.position_by_key[event.key] = position
            return Receipt(outcome=Outcome.STORED, position=position)
        if site.hashes[position - 1] == content.hash:
            return Receipt(outcome=Outcome.DUPLICATE, position=position)
        before = site.refusals.get(event.key)
        site.refusals[event.key] = Refusal(
            key=event.key,
            position=position,
            content_hash=content.hash,
            refused_at=self._clock(),
            n_refused=1 + (before.n_refused if before else 0),
        )
        return Receipt(outcome=Outcome.REFUSED, position=position)

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log``."""
        self._check_open()
        kept = self._sites.setdefault(site, _SiteLog())
        kept.token += 1
        return FencingToken(site=site, worker=worker, number=kept.token)

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        self._check_open()
        site = self._sites.get(commit.token.site, _SiteLog())
        heads = Heads(observations=len(site.observations), facts=len(site.facts), cursor=site.cursor)
        check_commit(commit, heads=heads, newest_token=site.token)
        for event in commit.facts:
            content_of_fact(event)
            if event.id in site.fact_ids:
                raise Conflict(f"fact {event.id} is stored already; a fold gives each (cause, ordinal) once")
        for event in commit.facts:
            self._store_fact(site, event)
        site.cursor = commit.cursor
        self._wakeups.wake([("facts", commit.token.site)])
        return len(site.facts)

    def _store_fact(self, site: _SiteLog, event: FactEvent) -> None:
        position = len(site.facts) + 1
        site.facts.append(RecordedFact(position=position, recorded_at=self._recorded_at(site.facts), event=event))
        site.fact_ids.add(event.id)
        for superseded in event.supersedes:
            site.superseded_by.setdefault(superseded, position)

    async def sites(self) -> list[SiteId]:
        """See ``twin.log.port.Log``."""
        return sorted(site for site, kept in self._sites.items() if kept.observations)

    async def heads(self, site: SiteId) -> Heads:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        return Heads(observations=len(kept.observations), facts=len(kept.facts), cursor=kept.cursor)

    async def chain(self, site: SiteId) -> ChainHeads:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        observed = (
            observation_row(one.event, content_of(one.event), one.position, one.recorded_at) for one in kept.observations
        )
        concluded = (fact_row(one.event, content_of_fact(one.event), one.position, one.recorded_at) for one in kept.facts)
        return ChainHeads(observations=chained(site, "observations", observed), facts=chained(site, "facts", concluded))

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """See ``twin.log.port.Log``."""
        return self._sites.get(site, _SiteLog()).observations[max(after, 0) : max(after, 0) + limit]

    async def facts(self, site: SiteId, *, after: int = 0, limit: int = 1000, types: Sequence[str] = ()) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        later = self._sites.get(site, _SiteLog()).facts[max(after, 0) :]
        return [fact for fact in later if not types or type_name(fact.event.payload) in types][:limit]

    async def facts_at(self, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog()).facts
        return at_positions(site, {fact.position: fact for fact in kept}, positions)

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
        kept = self._sites.get(site, _SiteLog())
        net = [
            fact
            for fact in kept.facts[: max(until_position, 0)]
            if after_at < fact.event.occurred_at <= until_at
            and (not types or type_name(fact.event.payload) in types)
            and (subject is None or subject_of(fact.event.payload) == subject)
            and kept.superseded_by.get(fact.event.id, until_position + 1) > until_position
        ]
        return sorted(net, key=lambda fact: (fact.event.occurred_at, fact.position))[:limit]

    async def facts_disturbing(self, site: SiteId, *, at: Micros, after: int, until: int) -> bool:
        """See ``twin.log.port.Log``."""
        facts = self._sites.get(site, _SiteLog()).facts[max(after, 0) : max(until, 0)]
        return any(fact.event.occurred_at <= at or fact.event.supersedes for fact in facts)

    async def position_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        facts = self._sites.get(site, _SiteLog()).facts
        return sum(fact.recorded_at <= recorded_at for fact in facts)

    async def refusals(self, site: SiteId, *, limit: int = 1000) -> list[Refusal]:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        return sorted(kept.refusals.values(), key=lambda refusal: refusal.position)[:limit]

    async def backlog(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``."""
        heads = await self.heads(site)
        return heads.observations - heads.cursor

    def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``."""
        return tail(partial(self._observations_after, site), self._wakeups, ("observations", site), after=after)

    def tail_facts(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedFact], None]:
        """See ``twin.log.port.Log``."""
        return tail(partial(self._facts_after, site), self._wakeups, ("facts", site), after=after)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """See ``twin.log.port.Log``."""
        self._check_open()
        kept = self._sites.setdefault(snapshot.site, _SiteLog())
        kept.snapshots[snapshot.kind, snapshot.version, snapshot.position, snapshot.at] = snapshot

    async def load_snapshots(
        self, site: SiteId, kind: str, version: str, *, until_position: int, until_at: Micros | None = None, limit: int = 8
    ) -> list[Snapshot]:
        """See ``twin.log.port.Log``."""
        fitting = [
            one
            for one in self._sites.get(site, _SiteLog()).snapshots.values()
            if (one.kind, one.version) == (kind, version)
            and one.position <= until_position
            and (until_at is None or one.at <= until_at)
        ]
        return sorted(fitting, key=lambda one: (one.at, one.position), reverse=True)[:limit]

    async def drop_snapshots(self, site: SiteId, kind: str, *, below: int) -> None:
        """See ``twin.log.port.Log``."""
        self._check_open()
        kept = self._sites.get(site, _SiteLog())
        for key, one in list(kept.snapshots.items()):
            if one.kind == kind and one.position < below:
                del kept.snapshots[key]

    async def aclose(self) -> None:
        """See ``twin.log.port.Log``."""
        self._wakeups.close()

    async def _observations_after(self, site: SiteId, position: int) -> list[RecordedObservation]:
        return await self.observations(site, after=position, limit=BATCH)

    async def _facts_after(self, site: SiteId, position: int) -> list[RecordedFact]:
        return await self.facts(site, after=position, limit=BATCH)

    def _check_open(self) -> None:
        if self._wakeups.is_closed:
            raise LogClosed("the log is closed; open a new one")

    def _recorded_at(self, log: Sequence[RecordedObservation] | Sequence[RecordedFact]) -> Micros:
        return max(self._clock(), log[-1].recorded_at if log else 0)
