"""The fusion worker: one site's observations in, facts and cursor out, in one transaction each batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from msgspec import Struct

from twin.errors import FoldMismatch, Overloaded, TwinError
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedObservation
from twin.events.facts import GateDecided
from twin.events.ids import SECOND, DeviceId, SiteId
from twin.events.observations import ClockTicked, LoopTripped
from twin.fold_state import SNAPSHOT_KIND, SiteFold, latest_state, same_fold, version_of
from twin.log.clock import Clock, system_clock
from twin.log.keys import KeyRing
from twin.log.port import FencingToken, FoldCommit, Log, Snapshot
from twin.log.sealing import keys_of
from twin.refusal import stepped

TICKER = DeviceId("twin-worker")

_N_SNAPSHOTS = 3  # kept behind the newest, should it turn out to be unreadable
_RETRY_S = (0.05, 0.2, 1.0, 3.0)  # waits before a commit that found the writer's queue full is given up
_PAGE = 1000
_YIELD_EVERY = 8  # observations: of a site's cameras, one in twenty closes a tick, which takes some milliseconds

_logger = logging.getLogger(__name__)


class WorkerCounters(Struct, kw_only=True):
    """What a worker did since it started.

    Attributes:
        lag: observations stored, as far as this worker knows, and not yet folded.
    """

    observations: int = 0
    facts: int = 0
    commits: int = 0
    snapshots: int = 0
    ticks: int = 0
    skipped_ticks: int = 0
    lag: int = 0


class FusionWorker:
    """Folds one site for as long as it holds the site's newest fencing token.

    Killed at any moment it loses nothing: the next worker folds again what was not committed, and a fact's id is
    made of its cause, so it is the same fact.
    """

    def __init__(
        self,
        log: Log,
        keys: KeyRing,
        fold: SiteFold[Any],
        *,
        worker_id: str,
        clock: Clock = system_clock,
        batch_size: int = 500,
        snapshot_every: int = 5_000,
        tick_interval_s: float = 0.1,
        clock_ticks: bool = True,
        gate_answered: Callable[[float], None] | None = None,
        begins: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """
        Args:
            begins: told the last fact of before, once the site is taken over and nothing is concluded yet.
            gate_answered: told of each answer at a gate how long it took, seconds from the question's commit to its own.
        """
        self._log = log
        self._keys = keys
        self._fold = fold
        self._worker_id = worker_id
        self._clock = clock
        self._batch_size = batch_size
        self._snapshot_every = snapshot_every
        self._tick_interval_s = tick_interval_s
        self._clock_ticks = clock_ticks
        self._gate_answered = gate_answered
        self._begins = begins
        self._state: Any = None
        self._cursor = 0  # self._state has folded 1..cursor, and the log knows it
        self._snapshot_at = 0
        self._saving: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.counters = WorkerCounters()

    @property
    def site(self) -> SiteId:
        """The site this worker folds."""
        return self._fold.site.name

    @property
    def cursor(self) -> int:
        """The last observation whose facts are committed."""
        return self._cursor

    def stop(self) -> None:
        """Let ``run`` return soon; what is not committed by then, the next worker does."""
        self._stopping.set()

    async def run(self) -> None:
        """Take the site over, catch up, and follow its log until ``stop`` or until the log closes.

        Raises:
            Deposed: another worker took the site over.
            CursorConflict: somebody wrote past the fence; the log needs looking at.
            LogClosed: the log stopped after an error.
        """
        token = await self._log.acquire(self.site, self._worker_id)
        await self._resume()
        work: list[Coroutine[Any, Any, Any]] = [self._follow(token), self._stopping.wait()]
        if self._clock_ticks:
            work.append(self._tick(token))
        tasks = [asyncio.create_task(one) for one in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end([*tasks, *([self._saving] if self._saving else [])])
        for task in done:
            task.result()

    async def _resume(self) -> None:
        """Fold from the newest fitting snapshot, or from the log's anchor, to the cursor: those facts are stored already."""
        heads = await self._log.heads(self.site)
        cursor = heads.cursor
        if self._begins is not None:
            await self._begins(heads.facts)
        await self._tell_of_an_older_fold(heads.facts)
        self._cursor, self._state = await latest_state(self._log, self._fold, until=cursor)
        self._snapshot_at = self._cursor
        while self._cursor < cursor:
            page = await self._log.observations(self.site, after=self._cursor, limit=min(_PAGE, cursor - self._cursor))
            self._state, _ = await self._folded(page, is_committed=True)
            self._cursor = page[-1].position
        _logger.info("worker %s folds site %s from position %d", self._worker_id, self.site, cursor)

    async def _tell_of_an_older_fold(self, n_facts: int) -> None:
        """Facts stay what they are; whoever bills from them must know where another fold begins."""
        newest = await self._log.facts(self.site, after=n_facts - 1, limit=1) if n_facts else []
        if newest and newest[0].event.fold_version != self._fold.version:
            _logger.warning(
                "site %s: facts up to %d were made by fold version %s, this is %s; vehicles inside and open stays go on under"
                " other names. Those of before stay open in what is read, are never charged, and no decision reaches them:"
                " leave them out, or fold the observations anew (twin fuse) to see what differs",
                self.site,
                n_facts,
                newest[0].event.fold_version,
                self._fold.version,
            )

    async def _follow(self, token: FencingToken) -> None:
        async with aclosing(self._log.tail_observations(self.site, after=self._cursor)) as batches:
            async for batch in batches:
                for part in parts(batch, self._batch_size):
                    await self._advance(token, part)
                self._snapshot_if_due()

    async def _advance(self, token: FencingToken, batch: Sequence[RecordedObservation]) -> None:
        state, facts = await self._folded(batch)
        cursor = batch[-1].position
        await self._commit(FoldCommit(token=token, after=self._cursor, cursor=cursor, facts=tuple(facts)))
        self._state, self._cursor = state, cursor
        self._tell_gates(batch, facts)
        self.counters.observations += len(batch)
        self.counters.facts += len(facts)
        self.counters.commits += 1
        self.counters.lag = max(0, self.counters.lag - len(batch))

    def _tell_gates(self, batch: Sequence[RecordedObservation], facts: Sequence[FactEvent]) -> None:
        asked = {one.cause for one in facts if isinstance(one.payload, GateDecided)}
        if asked and self._gate_answered is not None:
            now = self._clock()
            for question in batch:
                if question.position in asked:
                    self._gate_answered(max(0, now - question.recorded_at) / SECOND)

    async def _folded(self, batch: Sequence[RecordedObservation], *, is_committed: bool = False) -> tuple[Any, list[FactEvent]]:
        state, facts = self._state, list[FactEvent]()
        await self._keys.learn(self.site, keys_of(recorded.event for recorded in batch))
        for number, recorded in enumerate(batch, 1):
            state, triggered = await stepped(self._log, self._keys, self._fold, state, recorded, is_committed=is_committed)
            facts += triggered
            if triggered or number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # ingest and reads share this loop
        return state, facts

    async def _commit(self, commit: FoldCommit) -> None:
        for wait_s in _RETRY_S:
            try:
                await self._log.commit(commit)
                return
            except Overloaded:
                await asyncio.sleep(wait_s)
        await self._log.commit(commit)

    def _snapshot_if_due(self) -> None:
        """Save the state beside the following, one at a time; a slow disk makes snapshots rarer, not the fold slower."""
        is_saving = self._saving is not None and not self._saving.done()
        if self._cursor - self._snapshot_at < self._snapshot_every or is_saving:
            return
        body = self._fold.pack(self._state)
        snapshot = Snapshot(
            site=self.site, kind=SNAPSHOT_KIND, version=version_of(self._fold), position=self._cursor, at=0, body=body
        )
        self._snapshot_at = self._cursor
        self._saving = asyncio.create_task(self._save(snapshot))

    async def _save(self, snapshot: Snapshot) -> None:
        try:
            await self._log.save_snapshot(snapshot)
            below = snapshot.position - _N_SNAPSHOTS * self._snapshot_every
            await self._log.drop_snapshots(self.site, SNAPSHOT_KIND, below=below)
        except TwinError as refused:  # the fold goes on without it
            _logger.warning("a snapshot of site %s at %d was not saved: %s", self.site, snapshot.position, refused)
            return
        self.counters.snapshots += 1

    async def _tick(self, token: FencingToken) -> None:
        """Append the worker's clock at an interval, except while it lags: old frames need no newer time yet."""
        sequence, at = 0, 0
        while True:
            at = max(at, self._clock())
            if self.counters.lag > self._batch_size:
                self.counters.skipped_ticks += 1
            else:
                key = DeviceKey(device=TICKER, boot_epoch=token.number, sequence=sequence + 1)
                payload = ClockTicked(worker=self._worker_id)
                event = ObservationEvent(site=self.site, key=key, occurred_at=at, payload=payload)
                sequence += await self._append_tick(event)
            await asyncio.sleep(self._tick_interval_s)

    async def _append_tick(self, event: ObservationEvent) -> bool:
        try:
            await self._log.append([event])
        except Overloaded:
            self.counters.skipped_ticks += 1
            return False
        self.counters.ticks += 1
        self.counters.lag = await self._log.backlog(self.site)
        return True


def parts(batch: Sequence[RecordedObservation], most: int) -> Iterator[Sequence[RecordedObservation]]:
    """A batch in transactions of at most so many; one ends with a question at a gate, so that its answer waits for no more."""
    start = 0
    for end, recorded in enumerate(batch, 1):
        if end - start == most or end == len(batch) or isinstance(recorded.event.payload, LoopTripped):
            yield batch[start:end]
            start = end


class CheckReport(Struct, frozen=True, kw_only=True):
    """What ``check`` compared.

    Attributes:
        cut: observations up to here were cut, so that the comparison began after them.
    """

    observations: int
    facts: int
    cut: int = 0


async def check(log: Log, keys: KeyRing, fold: SiteFold[Any], told: Callable[[int, int], None] | None = None) -> CheckReport:
    """Fold the site's observation log again, from its anchor if it was cut, and compare every fact, byte for byte.

    Args:
        told: is told how many of the observations are folded, at each of them.

    Raises:
        FoldMismatch: the first fact that differs, is missing, or is too many; or the anchor's state is of another fold.
    """
    site = fold.site.name
    heads, anchor = await log.heads(site), (await log.cuts(site)).anchor
    state, n_before, after = fold.initial(), 0, 0
    if anchor is not None:
        state, n_before, after = same_fold(fold, anchor), anchor.facts, anchor.position
    n_facts = n_before
    async with (
        aclosing(_stored_facts(log, site, n_before, heads.facts)) as stored,
        aclosing(_stored_observations(log, site, after, heads.cursor)) as observations,
    ):
        async for recorded in observations:
            state, again = await stepped(log, keys, fold, state, recorded)
            if told is not None:
                told(recorded.position - after, heads.cursor - after)
            for event in again:
                n_facts += 1
                _compare(n_facts, await anext(stored, None), event)
        _compare(n_facts + 1, await anext(stored, None), None)
    return CheckReport(observations=heads.cursor - after, facts=n_facts - n_before, cut=after)


def _compare(position: int, stored: FactEvent | None, again: FactEvent | None) -> None:
    if stored is None and again is None:
        return
    texts = [b"nothing" if event is None else to_json(event) for event in (stored, again)]
    if texts[0] != texts[1]:
        raise FoldMismatch(
            f"fact {position} is stored as {texts[0].decode()} but the fold gives {texts[1].decode()}."
            " The fold, its configuration or the log changed; name the change, and re-fuse under a new fold version."
        )


async def _stored_facts(log: Log, site: SiteId, after: int, until: int) -> AsyncGenerator[FactEvent, None]:
    while after < until:
        for fact in await log.facts(site, after=after, limit=min(_PAGE, until - after)):
            yield fact.event
            after = fact.position


async def _stored_observations(log: Log, site: SiteId, after: int, until: int) -> AsyncGenerator[RecordedObservation, None]:
    while after < until:
        for recorded in await log.observations(site, after=after, limit=min(_PAGE, until - after)):
            yield recorded
            after = recorded.position


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
