"""G5: facts, cursor and outbox commit together; a worker that crashes anywhere leaves the fact log of one that did not.

A run folds one observation log twice: straight through, and by workers that crash, one after the other, before or after any
call of the log, with batches and snapshots of any size; on SQLite and in memory. Between lives the observations are cut at
times, anywhere before the cursor. Both fact logs must be the same bytes,
``recorded_at`` aside, and a subscription that reads on beside the crashes must get each fact once. Control: a log that stores
facts and cursor in two transactions.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from twin.errors import TwinError
from twin.events.codec import to_json
from twin.feeds.subscriptions import Subscriptions
from twin.fold_state import version_of
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit, Log
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.subscriptions import Filter, MemorySubscriptions, SubscriptionStore
from twin.refusal import state_at
from twin.rules.fold import Fold
from twin.service import FusionWorker

from .failing_log import FailingLog
from .outcome import Outcome, tried
from .site_day import PROOF_SITE, site_day

RUNS, FULL_RUNS = 4, 1_000
_SITE_DAYS, _SECONDS = 40, 40
_MOST_LIVES = 1_000


def prove(runs: int, seed: int) -> Outcome:
    """Every second seed is on SQLite; forty site-days take turns."""
    straight = _Straight()
    seeds = range(seed, seed + runs)
    failures = tried(seeds, lambda one: asyncio.run(_crashed(one, straight, lambda log: log)))
    control = tried(range(seed, seed + 2), lambda one: asyncio.run(_crashed(one, straight, _TornLog)))
    return Outcome(runs, failures, "facts and cursor in two transactions", len(control))


class _Crash(BaseException):
    """The worker's process ended here."""


class _TornLog:
    """Stores the facts, then the cursor; a crash comes between."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def commit(self, commit: FoldCommit) -> int:
        """Facts first; the cursor moves with the next call, if that comes."""
        await self._log.commit(replace(commit, cursor=commit.after))
        await asyncio.sleep(0)
        if random.Random(commit.cursor).random() < 0.2:
            raise _Crash
        return await self._log.commit(replace(commit, facts=()))


class _Straight:
    """The facts of a site-day, folded without a crash, and kept for the next runs of the same day."""

    def __init__(self) -> None:
        self._kept: dict[int, list[bytes]] = {}

    async def facts(self, day: int) -> list[bytes]:
        """As JSON, in order."""
        if day not in self._kept:
            keys = MemoryKeyRing()
            log = await _observed(MemoryLog(), keys, day)
            await _worked(FusionWorker(log, keys, Fold(PROOF_SITE), worker_id="w", clock_ticks=False), log)
            self._kept[day] = await _facts(log)
            await log.aclose()
        return self._kept[day]


async def _crashed(seed: int, straight: _Straight, between: Callable[[Log], Any]) -> str | None:
    draw, day = random.Random(f"crashes {seed}"), seed % _SITE_DAYS
    expected = await straight.facts(day)
    with tempfile.TemporaryDirectory() as folder:
        store = SqlLog.open(Path(folder) / "log.db") if seed % 2 else MemoryLog()
        queue: SubscriptionStore = SqlSubscriptions(store) if isinstance(store, SqlLog) else MemorySubscriptions()
        keys = MemoryKeyRing()
        try:
            log = await _observed(store, keys, day)
            return await _lived(log, keys, queue, draw, expected, between)
        except TwinError as noticed:
            return f"the log or the worker noticed: {noticed}"
        finally:
            await store.aclose()


async def _lived(
    log: Log,
    keys: MemoryKeyRing,
    queue: SubscriptionStore,
    draw: random.Random,
    expected: list[bytes],
    between: Callable[[Log], Any],
) -> str | None:
    subscriptions, delivered = Subscriptions(log, queue, PROOF_SITE), list[int]()
    await subscriptions.put("outbox", Filter(), after=0)
    n_lives, has_ended = 0, False
    while not has_ended and n_lives < _MOST_LIVES:
        n_lives += 1
        has_ended = await _life(between(log), keys, draw)
        if draw.random() < 0.2:
            await _trim(log, keys, draw)
        while (lease := await subscriptions.lease("outbox")).number:
            positions = [one.fact.position for one in lease.handed]
            await subscriptions.acknowledge("outbox", lease.number, positions)
            delivered += positions
    found = await _facts(log)
    if found != expected:
        first = next(
            (n for n, (a, b) in enumerate(zip(found, expected, strict=False), 1) if a != b), min(len(found), len(expected))
        )
        return f"after {n_lives} lives there are {len(found)} facts, {len(expected)} expected; they differ from fact {first} on"
    if delivered != list(range(1, len(expected) + 1)):
        return f"after {n_lives} lives {len(delivered)} facts were delivered of {len(expected)}"
    return None


async def _trim(log: Log, keys: MemoryKeyRing, draw: random.Random) -> None:
    """Cut the observations at any position that is folded: the next life has nothing before it."""
    name, fold = PROOF_SITE.name, Fold(PROOF_SITE)
    until = draw.randint(0, (await log.heads(name)).cursor)
    if until > (await log.cuts(name)).observations:
        state = await state_at(log, keys, fold, until)
        await log.cut_observations(name, until=until, version=version_of(fold), state=fold.pack(state))


async def _life(log: Any, keys: MemoryKeyRing, draw: random.Random) -> bool:
    """One worker until it crashes, or has folded all; gives which."""
    left = draw.randint(1, 60)

    async def moment(_: str) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise _Crash

    worker = FusionWorker(
        cast(Log, FailingLog(log, moment)),
        keys,
        Fold(PROOF_SITE),
        worker_id="w",
        batch_size=draw.choice((1, 7, 50, 500)),
        snapshot_every=draw.choice((20, 100, 1_000)),
        clock_ticks=False,
    )
    try:
        await _worked(worker, log)
    except _Crash:
        return False
    return True


async def _worked(worker: FusionWorker, log: Log) -> None:
    """Run a worker until it has folded all there is."""
    head = (await log.heads(PROOF_SITE.name)).observations
    running = asyncio.create_task(worker.run())
    while not running.done() and worker.cursor < head:  # noqa: ASYNC110 - the worker has no event for it
        await asyncio.sleep(0)
    worker.stop()
    await running


async def _observed(store: Any, keys: MemoryKeyRing, day: int) -> Log:
    log = cast(Log, SealingLog(store, keys))
    events = site_day(day, _SECONDS)
    for start in range(0, len(events), 1_000):
        await log.append(events[start : start + 1_000])
    return log


async def _facts(log: Log) -> list[bytes]:
    return [to_json(one.event) for one in await log.facts(PROOF_SITE.name, limit=1_000_000)]
