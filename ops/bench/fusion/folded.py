"""Runs the service's worker over a log that was filled before, and times it by the processor's clock."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from site_models.schema import Site
from twin.errors import BadInput
from twin.events.envelope import FactEvent, ObservationEvent, RecordedObservation
from twin.events.observations import Personal
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.process import settle_memory
from twin.projections.naive import folded
from twin.rules.fold import Fold, FoldState
from twin.service import FusionWorker

_BATCH = 1_000
_FOLDED_AT_ONCE = 500  # the worker's own
_POLL_S = 0.01


@dataclass
class Folding:
    """One run, after its warm-up.

    Attributes:
        after, after_ticks: observations that were folded, and ticks that were closed, before the clock started.
        cpu_s: of the process, from there to the last fact committed: decoding, fusing, committing.
        ticks_s: of all that was folded for each tick.
        longest_s: the longest that one observation took, and whatever waited behind it.
    """

    after: int = 0
    after_ticks: int = 0
    cpu_s: float = 0.0
    ticks_s: list[float] = field(default_factory=list)
    longest_s: float = 0.0

    def tick_ms(self, share: float) -> float:
        """A quantile of the ticks' times."""
        return float(np.quantile(np.array(self.ticks_s), share)) * 1000


class TimedFold(Fold):
    """Notes how long it took from tick to tick, and for one observation at most."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.ticks_s = [0.0]  # the last is not closed yet
        self.longest_s = 0.0

    def step(
        self, state: FoldState, recorded: RecordedObservation, personal: Personal | None
    ) -> tuple[FoldState, tuple[FactEvent, ...]]:
        """See ``Fold.step``."""
        started = time.thread_time()
        after, facts = super().step(state, recorded, personal)
        took_s = time.thread_time() - started
        self.ticks_s[-1] += took_s
        self.longest_s = max(self.longest_s, took_s)
        if after.order.closed_at != state.order.closed_at:
            self.ticks_s.append(0.0)
        return after, facts


class NoFold:
    """Looks at nothing and says nothing."""

    version, config_hash = "none", "none"

    def __init__(self, site: Site) -> None:
        self.site = site

    def initial(self) -> int:
        """It remembers nothing."""
        return 0

    def step(self, state: int, recorded: RecordedObservation, personal: Personal | None) -> tuple[int, tuple[FactEvent, ...]]:
        """No facts."""
        return state, ()

    def pack(self, state: int) -> bytes:
        """No state."""
        return b""

    def unpack(self, body: bytes) -> int:
        """No state."""
        return 0


def ours(site: Site, events: Sequence[ObservationEvent], warm_up: int = 0) -> Folding:
    """The product's fold, timed once it has folded ``warm_up`` observations."""
    fold = TimedFold(site)
    found = _run(fold, events, warm_up)
    if warm_up and found.after == len(events):
        raise BadInput(f"all {len(events)} observations were folded before the clock started; give more BENCH_FUSION_SECONDS")
    found.ticks_s, found.longest_s = fold.ticks_s[found.after_ticks :], fold.longest_s
    return found


def none(site: Site, events: Sequence[ObservationEvent]) -> Folding:
    """No fold: what decoding and committing take."""
    return _run(NoFold(site), events, 0)


def replayed(site: Site, events: Sequence[ObservationEvent]) -> tuple[int, float]:
    """How many facts the events make, and the processor's seconds to apply them all to an empty graph, read from the log."""

    async def run(log: SqlLog, _: Path) -> tuple[int, float]:
        await _fold(log, Fold(site), len(events))
        started = time.process_time()
        facts = []
        while page := await log.facts(site.name, after=len(facts), limit=10 * _BATCH):
            facts += page
        folded(site, facts, at=None, position=len(facts))
        return len(facts), time.process_time() - started

    return _in_a_log(events, run)


def _run(fold: Any, events: Sequence[ObservationEvent], warm_up: int) -> Folding:
    async def run(log: SqlLog, _: Path) -> Folding:
        return await _fold(log, fold, len(events), warm_up)

    return _in_a_log(events, run)


def _in_a_log(events: Sequence[ObservationEvent], run: Any) -> Any:
    async def filled() -> Any:
        with tempfile.TemporaryDirectory(prefix="bench-fusion-") as folder:
            log = SqlLog.open(Path(folder) / "log.db")
            try:
                sealing = SealingLog(log, SqlKeyRing(log))
                for start in range(0, len(events), _BATCH):
                    await sealing.append(events[start : start + _BATCH])
                return await run(log, Path(folder))
            finally:
                await log.aclose()

    return asyncio.run(filled())


async def _fold(log: SqlLog, fold: Any, n: int, warm_up: int = 0) -> Folding:
    keys = SqlKeyRing(log)
    batch = min(_FOLDED_AT_ONCE, warm_up or _FOLDED_AT_ONCE)
    worker = FusionWorker(SealingLog(log, keys), keys, fold, worker_id="bench", clock_ticks=False, batch_size=batch)
    settle_memory()  # as the service does; what the log was filled with is not its
    running = asyncio.create_task(worker.run())
    try:
        await _reached(worker, warm_up, running)
        after, after_ticks, started = worker.cursor, len(getattr(fold, "ticks_s", ())), time.process_time()
        await _reached(worker, n, running)
        return Folding(after, after_ticks, time.process_time() - started)
    finally:
        worker.stop()
        await running


async def _reached(worker: FusionWorker, n: int, running: asyncio.Task[None]) -> None:
    while worker.cursor < n and not running.done():  # noqa: ASYNC110 - the worker has no event for it
        await asyncio.sleep(_POLL_S)
