"""G4: one fold writer a site; the write of one that was deposed is refused.

A run has several workers that take the same site over from each other, each paused for any time before and after any call of
the log; a deposed worker goes on until it is told. No commit may pass with a token that is not the newest, and the facts must
be those of one worker. Control: a log that does not look at tokens.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import tempfile
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from site_models.schema import Datum, Level, LevelId, Site
from twin.errors import CursorConflict, Deposed
from twin.events.codec import to_json
from twin.events.envelope import FactEvent, RecordedObservation
from twin.events.facts import VehicleLeft
from twin.events.ids import PortalId, SiteId, VehicleId
from twin.events.observations import Personal
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FencingToken, FoldCommit, Log
from twin.log.sql import SqlLog
from twin.service import FusionWorker

from .failing_log import FailingLog
from .outcome import Outcome, tried
from .quiet import quiet
from .workload import SITE, observation

RUNS, FULL_RUNS = 40, 2_000
_OBSERVATIONS, _WORKERS = 60, 5


def prove(runs: int, seed: int) -> Outcome:
    """Every fifth seed is on SQLite."""
    seeds = range(seed, seed + runs)
    with quiet("twin.service", below=logging.ERROR):
        failures = tried(seeds, lambda one: asyncio.run(_refuted(one, looks=True)))
        control = tried(range(seed, seed + 10), lambda one: asyncio.run(_refuted(one, looks=False)))
    return Outcome(runs, failures, "a log that does not look at tokens", len(control))


class _HashFold:
    """Its facts name a hash of all observations so far."""

    site = Site(name=SITE, datum=Datum(latitude=0.0, longitude=0.0), levels=(Level(id=LevelId("ground")),))
    version, config_hash = "1", "c"

    def initial(self) -> bytes:
        return b""

    def step(
        self, state: bytes, recorded: RecordedObservation, personal: Personal | None
    ) -> tuple[bytes, tuple[FactEvent, ...]]:
        state = hashlib.blake2b(state + recorded.event.id.encode(), digest_size=8).digest()
        payload = VehicleLeft(vehicle=VehicleId(state.hex()), portal=PortalId("exit"))
        fact = FactEvent(
            site=SITE,
            fold_version="1",
            cause=recorded.position,
            ordinal=0,
            occurred_at=recorded.event.occurred_at,
            payload=payload,
        )
        return state, (fact,)

    def pack(self, state: bytes) -> bytes:
        return state

    def unpack(self, body: bytes) -> bytes:
        return body


class _Watched:
    """Notes commits that passed with a token that was not the newest; forges the newest one where it does not look."""

    def __init__(self, log: Any, *, looks: bool) -> None:
        self._log = log
        self._looks = looks
        self._newest: FencingToken | None = None
        self.stale: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log``."""
        self._newest = token = await self._log.acquire(site, worker)
        return token

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        assert self._newest is not None
        newest = self._newest
        head = await self._log.commit(commit if self._looks else replace(commit, token=newest))
        if commit.token.number < newest.number:
            self.stale.append(commit.token.number)
        return head


async def _refuted(seed: int, *, looks: bool) -> str | None:
    draw = random.Random(f"takeovers {seed}")
    with tempfile.TemporaryDirectory() as folder:
        store = SqlLog.open(Path(folder) / "log.db") if seed % 5 == 4 else MemoryLog()
        log = _Watched(store, looks=looks)
        try:
            await store.append([observation(1, n) for n in range(1, _OBSERVATIONS + 1)])
            told = await _taken_over(log, draw)
            found = [to_json(one.event) for one in await store.facts(SITE, limit=1_000)]
            observed = await store.observations(SITE, limit=1_000)
        finally:
            await store.aclose()
    fold, state, expected = _HashFold(), b"", list[bytes]()
    for recorded in observed:
        state, facts = fold.step(state, recorded, None)
        expected += map(to_json, facts)
    if log.stale:
        return f"commits with token {log.stale[0]} passed after it was deposed, {len(log.stale)} in all"
    if found != expected:
        return f"{len(found)} facts of {len(expected)}, or others"
    return told


async def _taken_over(log: _Watched, draw: random.Random) -> str | None:
    """Workers that start one after the other and never stop by themselves; gives what ended one without right."""
    running = []
    for number in range(_WORKERS):
        running.append(asyncio.create_task(_worker(log, draw, number).run()))
        for _ in range(draw.randint(0, 120)):
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while (await log.heads(SITE)).cursor < _OBSERVATIONS:  # noqa: ASYNC110 - the log has no event for it
            await asyncio.sleep(0)
    for task in running:
        task.cancel()
    ends = await asyncio.gather(*running, return_exceptions=True)
    wrong = [end for end in ends if not isinstance(end, Deposed | CursorConflict | asyncio.CancelledError | None)]
    return f"a worker ended with {wrong[0]!r}" if wrong else None


def _worker(log: _Watched, draw: random.Random, number: int) -> FusionWorker:
    async def moment(_: str) -> None:
        for _turn in range(draw.choice((0, 0, 1, 5, 60))):
            await asyncio.sleep(0)

    return FusionWorker(
        cast(Log, FailingLog(cast(Log, log), moment)),
        MemoryKeyRing(),
        _HashFold(),
        worker_id=f"w{number}",
        batch_size=draw.choice((1, 3, 10)),
        snapshot_every=draw.choice((5, 1_000)),
        clock_ticks=False,
    )
