"""G3: positions are dense, in commit order; a reader past a position never misses an event before it.

A process appends from many tasks at once, beside commits that are refused, and is killed and started again; readers in this
process follow the file all the while. Control: a log whose positions come from a sequence, outside of the commit.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

from twin.errors import TwinError
from twin.log.port import FoldCommit
from twin.log.sql import SqlLog
from twin.log.tail import Wakeups, tail

from .outcome import Outcome, tried
from .workload import SITE, observation

RUNS, FULL_RUNS = 2, 100
_READERS, _LIVES, _TASKS, _LARGEST_BATCH = 16, 3, 32, 8
_CONTROL_EVENTS = 300


class _Positioned(Protocol):
    @property
    def position(self) -> int: ...


def prove(runs: int, seed: int) -> Outcome:
    """Each run is three lives of the appending process."""
    seeds = range(seed, seed + runs)
    failures = tried(seeds, lambda one: asyncio.run(_followed_beside_kills(one)))
    control = tried(range(seed, seed + 3), lambda one: asyncio.run(_followed_sequence(one)))
    return Outcome(runs, failures, "a database sequence as position", len(control))


class _Reader:
    """Follows a log and notes the first gap or step back."""

    def __init__(self) -> None:
        self.last = 0
        self.gap: str | None = None
        self._head: int | None = None
        self._reached = asyncio.Event()

    async def follow(self, batches: AsyncGenerator[Sequence[_Positioned], None]) -> None:
        async for batch in batches:
            for event in batch:
                if event.position != self.last + 1 and self.gap is None:
                    self.gap = f"{event.position} came after {self.last}"
                self.last = event.position
            self._look()

    async def reach(self, head: int) -> None:
        """Wait until it has read so far."""
        self._head = head
        self._look()
        await self._reached.wait()

    def _look(self) -> None:
        if self._head is not None and self.last >= self._head:
            self._reached.set()


async def _followed_beside_kills(seed: int) -> str | None:
    draw = random.Random(f"lives {seed}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        await SqlLog.open(path).aclose()
        log = SqlLog.open(path, read_only=True)
        readers = [_Reader() for _ in range(_READERS)]
        following = [asyncio.create_task(one.follow(log.tail_observations(SITE, after=0))) for one in readers]
        try:
            for life in range(_LIVES):
                await _live(path, seed, life, draw.uniform(0.2, 1.0))
            head = (await log.heads(SITE)).observations
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await asyncio.gather(*(one.reach(head) for one in readers))
            stored = [one.position for one in await log.observations(SITE, limit=10_000_000)]
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
            await log.aclose()
    if stored != list(range(1, head + 1)):
        return f"the head is {head}, {len(stored)} events are stored, the last at {stored[-1:]}"
    return next((f"of {head}: {one.gap or f'ended at {one.last}'}" for one in readers if one.gap or one.last != head), None)


async def _live(path: Path, seed: int, life: int, seconds: float) -> None:
    """One life of the appending process, from its first stored batch on."""
    command = (sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {_CHILD}", str(path), str(seed), str(life))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    async with asyncio.timeout(120):
        await child.stdout.readline()
    await asyncio.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    await child.wait()


_CHILD = "from twin.evaluation.proofs import module; module('G3').append_for_ever(*sys.argv[1:])"


def append_for_ever(path: str, seed: str, life: str) -> None:
    """What the process that is killed does."""
    asyncio.run(_append(Path(path), int(seed), int(life)))


async def _append(path: Path, seed: int, life: int) -> None:
    log = SqlLog.open(path)

    async def batches(number: int) -> None:
        draw, sequences = random.Random(f"{seed} {life} {number}"), count(life * 1_000_000 + 1)
        while True:
            await log.append([observation(number, next(sequences)) for _ in range(draw.randint(1, _LARGEST_BATCH))])

    async def refused() -> None:
        token = await log.acquire(SITE, "w")
        while True:
            with suppress(TwinError):
                await log.commit(FoldCommit(token=token, after=0, cursor=10**9))

    await log.append([observation(_TASKS, life + 1)])
    print("appending", flush=True)  # noqa: T201
    await asyncio.gather(refused(), *(batches(number) for number in range(_TASKS)))


class _Numbered(NamedTuple):
    position: int


async def _followed_sequence(seed: int) -> str | None:
    """Positions are taken first and committed some time later, as by transactions that share a sequence."""
    draw, sequence, committed, wakeups = random.Random(f"sequence {seed}"), count(1), list[_Numbered](), Wakeups()

    async def transaction() -> None:
        position = next(sequence)
        await asyncio.sleep(draw.uniform(0.0, 0.003))
        committed.append(_Numbered(position))
        wakeups.wake([("observations", SITE)])

    async def read(after: int) -> list[_Numbered]:
        return sorted(one for one in committed if one.position > after)

    reader = _Reader()
    following = asyncio.create_task(reader.follow(tail(read, wakeups, ("observations", SITE), after=0)))
    async with asyncio.TaskGroup() as transactions:
        for _ in range(_CONTROL_EVENTS):
            transactions.create_task(transaction())
            await asyncio.sleep(draw.uniform(0.0, 0.001))
    wakeups.close()
    await following
    return reader.gap
