"""The reference adapter: both logs in memory, complete, and simple enough to be read as the port's meaning."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msgspec.structs import replace

from twin.errors import BadInput, Conflict, LogClosed
from twin.events.codec import subject_of, type_name
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import EventId, Micros, SiteId
from twin.log.chain import ChainHead, ChainHeads, CutsHead, chained, chained_on, origin
from twin.log.clock import Clock, system_clock
from twin.log.columns import fact_row, observation_row
from twin.log.content import Content, content_of, content_of_fact
from twin.log.cuts import (
    MOVEMENT,
    Anchor,
    Cuts,
    Thinning,
    check_facts,
    check_follows,
    check_observations,
    digest_after,
    left_digest,
    record_of,
)
from twin.log.devices import Devices
from twin.log.fencing import check_commit
from twin.log.port import FencingToken, FoldCommit, Heads, Outcome, Receipt, Refusal, Snapshot, Superseded, at_positions
from twin.log.tail import BATCH, Wakeups, tail

_SnapshotKey = tuple[str, str, int, Micros]


@dataclass
class _SiteLog:
    observations: list[RecordedObservation] = field(default_factory=list)  # those after ``cuts.observations``
    hashes: dict[int, bytes] = field(default_factory=dict)
    position_by_key: dict[DeviceKey, int] = field(default_factory=dict)
    refusals: dict[DeviceKey, Refusal] = field(default_factory=dict)
    facts: list[RecordedFact] = field(default_factory=list)  # all but the movement that ``cuts`` took
    n_facts: int = 0
    fact_ids: set[EventId] = field(default_factory=set)
    superseded_by: dict[EventId, int] = field(default_factory=dict)  # the first position that does
    snapshots: dict[_SnapshotKey, Snapshot] = field(default_factory=dict)
    cursor: int = 0
    token: int = 0
    observed_at: Micros = 0
    concluded_at: Micros = 0
    cuts: Cuts = field(default_factory=Cuts)
    expired: Devices = field(default_factory=Devices)

    @property
    def n_observations(self) -> int:
        return self.cuts.observations + len(self.observations)


class MemoryLog:
    """Holds everything until the process ends; nothing here awaits, so every call is atomic."""

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._sites: dict[SiteId, _SiteLog] = {}
        self._taken = set[tuple[SiteId, str]]()
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
        if position is None and site.expired.judge(event.key, content.hash)[0] is not Outcome.STORED:
            return Receipt(outcome=Outcome.EXPIRED, position=0)
        if position is None:
            position = site.n_observations + 1
            site.observed_at = max(self._clock(), site.observed_at)
            site.observations.append(RecordedObservation(position=position, recorded_at=site.observed_at, event=event))
            site.hashes[position] = content.hash
            site.position_by_key[event.key] = position
            return Receipt(outcome=Outcome.STORED, position=position)
        if site.hashes[position] == content.hash:
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
        heads = Heads(observations=site.n_observations, facts=site.n_facts, cursor=site.cursor)
        check_commit(commit, heads=heads, newest_token=site.token)
        for event in commit.facts:
            content_of_fact(event)
            if event.id in site.fact_ids:
                raise Conflict(f"fact {event.id} is stored already; a fold gives each (cause, ordinal) once")
        for event in commit.facts:
            self._store_fact(site, event)
        site.cursor = commit.cursor
        self._wakeups.wake([("facts", commit.token.site)])
        return site.n_facts

    def _store_fact(self, site: _SiteLog, event: FactEvent) -> None:
        position = site.n_facts = site.n_facts + 1
        site.concluded_at = max(self._clock(), site.concluded_at)
        site.facts.append(RecordedFact(position=position, recorded_at=site.concluded_at, event=event))
        site.fact_ids.add(event.id)
        for superseded in event.supersedes:
            site.superseded_by.setdefault(superseded, position)

    async def sites(self) -> list[SiteId]:
        """See ``twin.log.port.Log``."""
        return sorted(site for site, kept in self._sites.items() if kept.n_observations)

    async def heads(self, site: SiteId) -> Heads:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        return Heads(observations=kept.n_observations, facts=kept.n_facts, cursor=kept.cursor)

    async def chain(self, site: SiteId) -> ChainHeads:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        for_good = (row for row in _fact_rows(kept.facts) if row["type"] not in MOVEMENT)
        return ChainHeads(
            observations=_chain_to(site, kept, kept.n_observations),
            facts=_fact_chain_to(site, kept, kept.n_facts),
            kept=chained(site, "kept", for_good),
            cuts=CutsHead(number=kept.cuts.number, digest=kept.cuts.digest) if kept.cuts.number else None,
        )

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        check_observations(site, after, kept.cuts.observations)
        first = max(after, 0) - kept.cuts.observations
        return kept.observations[first : first + limit]

    async def facts(
        self, site: SiteId, *, after: int = 0, limit: int = 1000, types: Sequence[str] = (), thinned: bool = False
    ) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        if not thinned:
            check_facts(site, after, types, kept.cuts.movement)
        later = kept.facts[bisect_right(kept.facts, after, key=_position) :]
        return [fact for fact in later if not types or type_name(fact.event.payload) in types][:limit]

    async def facts_at(self, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        return at_positions(site, {fact.position: fact for fact in kept.facts}, positions, kept.cuts.movement)

    async def facts_among(self, site: SiteId, positions: Sequence[int], *, types: Sequence[str] = ()) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        among = set(positions)
        facts = (fact for fact in self._sites.get(site, _SiteLog()).facts if fact.position in among)
        return [fact for fact in facts if not types or type_name(fact.event.payload) in types]

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
            for fact in kept.facts[: bisect_right(kept.facts, until_position, key=_position)]
            if after_at < fact.event.occurred_at <= until_at
            and (not types or type_name(fact.event.payload) in types)
            and (subject is None or subject_of(fact.event.payload) == subject)
            and kept.superseded_by.get(fact.event.id, until_position + 1) > until_position
        ]
        return sorted(net, key=lambda fact: (fact.event.occurred_at, fact.position))[:limit]

    async def facts_disturbing(self, site: SiteId, *, at: Micros, after: int, until: int) -> bool:
        """See ``twin.log.port.Log``."""
        facts = self._sites.get(site, _SiteLog()).facts
        told = facts[bisect_right(facts, after, key=_position) : bisect_right(facts, until, key=_position)]
        corrected = {one for fact in told for one in fact.event.supersedes}
        return any(fact.event.occurred_at <= at for fact in told) or any(
            fact.event.id in corrected and fact.event.occurred_at <= at for fact in facts
        )

    async def facts_superseded(self, site: SiteId, *, after: int, until: int) -> list[Superseded]:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        found = [
            Superseded(position=fact.position, occurred_at=fact.event.occurred_at, by_position=by)
            for fact in kept.facts
            if after < (by := kept.superseded_by.get(fact.event.id, 0)) <= until
        ]
        return sorted(found, key=lambda one: (one.by_position, one.position))

    async def position_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        facts = self._sites.get(site, _SiteLog()).facts
        return max((fact.position for fact in facts if fact.recorded_at <= recorded_at), default=0)

    async def first_occurred_at(self, site: SiteId, *, after: int) -> Micros | None:
        """See ``twin.log.port.Log``."""
        facts = self._sites.get(site, _SiteLog()).facts
        return min((fact.event.occurred_at for fact in facts if fact.position > after), default=None)

    async def observed_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        kept = self._sites.get(site, _SiteLog())
        return kept.cuts.observations + sum(one.recorded_at <= recorded_at for one in kept.observations)

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

    async def save_snapshots(self, snapshots: Sequence[Snapshot], *, instead_of: bytes | None) -> bool:
        """See ``twin.log.port.Log``."""
        last = snapshots[-1]
        stored = await self.load_snapshot(last.site, last.kind, last.version, position=last.position, at=last.at)
        if (None if stored is None else stored.body) != instead_of:
            return False
        for one in snapshots:
            await self.save_snapshot(one)
        return True

    @asynccontextmanager
    async def sole(self, site: SiteId, doing: str) -> AsyncIterator[bool]:
        """See ``twin.log.port.Log``."""
        is_sole = (site, doing) not in self._taken
        self._taken.add((site, doing))
        try:
            yield is_sole
        finally:
            if is_sole:
                self._taken.discard((site, doing))

    async def load_snapshot(self, site: SiteId, kind: str, version: str, *, position: int, at: Micros) -> Snapshot | None:
        """See ``twin.log.port.Log``."""
        return self._sites.get(site, _SiteLog()).snapshots.get((kind, version, position, at))

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

    async def cuts(self, site: SiteId) -> Cuts:
        """See ``twin.log.port.Log``."""
        return self._sites.get(site, _SiteLog()).cuts

    async def cut_observations(self, site: SiteId, *, until: int, version: str, state: bytes) -> Cuts:
        """See ``twin.log.port.Log``; all at once."""
        self._check_open()
        kept = self._sites.get(site, _SiteLog())
        if until <= kept.cuts.observations:
            return kept.cuts
        if until > kept.cursor:
            raise BadInput(f"the observations of site '{site}' are folded up to {kept.cursor}; {until} cannot be an anchor")
        n_cut = until - kept.cuts.observations
        cut, rest = kept.observations[:n_cut], kept.observations[n_cut:]
        for one in cut:
            kept.expired.stored(one.event.key, one.position, kept.hashes.pop(one.position))
            del kept.position_by_key[one.event.key]
        anchor = Anchor(
            position=until,
            link=_chain_to(site, kept, until).link,
            recorded_at=cut[-1].recorded_at,
            facts=sum(fact.event.cause <= until for fact in kept.facts) + kept.n_facts - len(kept.facts),
            version=version,
            state=state,
            devices=kept.expired.pack(),
        )
        kept.cuts = self._cut(site, kept.cuts, anchor)
        kept.observations = rest
        return kept.cuts

    async def cut_facts(self, site: SiteId, *, until: int, from_at: Micros, left: Sequence[int]) -> Cuts:
        """See ``twin.log.port.Log``; all at once, and whatever subscriptions there are."""
        self._check_open()
        kept = self._sites.get(site, _SiteLog())
        if until <= kept.cuts.movement:
            return kept.cuts
        check_follows(site, kept.cuts, until)
        staying = [fact for fact in kept.facts if fact.position in set(left)]
        thinning = Thinning(
            position=until,
            link=_fact_chain_to(site, kept, until).link,
            recorded_at=max((fact.recorded_at for fact in kept.facts if fact.position <= until), default=0),
            from_at=from_at,
            left=tuple(fact.position for fact in staying),
            left_digest=left_digest(_fact_rows(staying)),
        )
        kept.cuts = self._cut(site, kept.cuts, thinning)
        kept.facts = [
            fact
            for fact in kept.facts
            if fact.position > until or fact in staying or type_name(fact.event.payload) not in MOVEMENT
        ]
        return kept.cuts

    def _cut(self, site: SiteId, before: Cuts, cut: Anchor | Thinning) -> Cuts:
        record, _ = record_of(cut, number=before.number + 1, made_at=self._clock())
        digest = digest_after(before.digest, site, record)
        changed = {"anchor": cut} if isinstance(cut, Anchor) else {"thinning": cut}
        return replace(before, number=record.number, digest=digest, **changed)

    async def sweep(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``; there is never anything left."""
        return 0

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


def _position(fact: RecordedFact) -> int:
    return fact.position


def _fact_rows(facts: Iterable[RecordedFact]) -> Iterator[dict[str, Any]]:
    return (fact_row(one.event, content_of_fact(one.event), one.position, one.recorded_at) for one in facts)


def _chain_to(site: SiteId, kept: _SiteLog, until: int) -> ChainHead:
    """The observations' chain up to a position that is not cut."""
    rows = (
        observation_row(one.event, content_of(one.event), one.position, one.recorded_at)
        for one in kept.observations
        if one.position <= until
    )
    if (anchor := kept.cuts.anchor) is None:
        return chained(site, "observations", rows)
    return chained_on(ChainHead(position=anchor.position, link=anchor.link), "observations", rows, anchor.recorded_at)


def _fact_chain_to(site: SiteId, kept: _SiteLog, until: int) -> ChainHead:
    """As ``_chain_to``, of the facts."""
    cut = kept.cuts.thinning
    start = (
        ChainHead(position=0, link=origin(site, "facts")) if cut is None else ChainHead(position=cut.position, link=cut.link)
    )
    rows = _fact_rows(one for one in kept.facts if start.position < one.position <= until)
    return chained_on(start, "facts", rows, 0 if cut is None else cut.recorded_at)
