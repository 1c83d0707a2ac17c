"""G1: an acknowledged append survives kills and power cuts; a batch is stored whole or not at all.

Power cuts: one recorded run of appends is cut at random moments, each cut leaving its own disk (``disk``). Kills: a forked
process appends until SIGKILL, and tells through a pipe what was acknowledged; of each forty, one appends to a PostgreSQL server
all of whose processes are killed. Control: the same cuts on a log that does not
wait for the disk (``synchronous=NORMAL``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from twin.events.envelope import ObservationEvent
from twin.log.sql import SqlLog, dialect
from twin.log.sql.verify import verify

from . import postgres
from .disk import Recorder, Step, after_power_cut
from .outcome import Outcome, tried
from .scratch import scratch
from .workload import SITE, batches

RUNS, FULL_RUNS = 100, 25_000

_CUTS_A_RECORDING, _N_BATCHES = 100, 40
_LONGEST_LIFE_S = 0.25


class _Recording(NamedTuple):
    """A run of appends, with how many steps the disk had taken when each batch was acknowledged."""

    steps: list[Step]
    batches: list[list[ObservationEvent]]
    acknowledged_after: list[int]


def prove(runs: int, seed: int) -> Outcome:
    """Cut or kill so many times: every fifth seed kills, every fortieth a PostgreSQL server, where there is one."""
    seeds, cuts, programs = range(seed, seed + runs), _Cuts(), postgres.binaries()
    with ExitStack() as stack:
        server = _Started(programs, stack)

        def run(one: int) -> str | None:
            if one % 40 == 39 and programs is not None:
                return _server_killed(one, server())
            return _killed(one) if one % 5 == 4 else cuts.run(one)

        failures = tried(seeds, run)
    with _synchronous("NORMAL"):
        control = tried(seeds[:_CUTS_A_RECORDING], _Cuts().run)
    return Outcome(runs, failures, "synchronous=NORMAL under power cuts", len(control))


class _Cuts:
    """Cuts, many of one recording, as seeds come in order."""

    def __init__(self) -> None:
        self._recordings: dict[int, _Recording] = {}

    def run(self, seed: int) -> str | None:
        """Cut the power once in the recording that this seed belongs to."""
        number, draw = seed // _CUTS_A_RECORDING, random.Random(f"cut {seed}")
        if number not in self._recordings:
            self._recordings = {number: _recorded(number)}
        recording = self._recordings[number]
        first = recording.acknowledged_after[0]
        cut = draw.randint(first, len(recording.steps))
        n_acknowledged = sum(after <= cut for after in recording.acknowledged_after)
        with scratch() as folder:
            for name, body in after_power_cut(recording.steps[:cut], draw).items():
                (Path(folder) / name).write_bytes(body)
            wrong = asyncio.run(_wrong_in(Path(folder) / "log.db", recording.batches, n_acknowledged))
        return wrong and f"power cut after {cut} of {len(recording.steps)} steps: {wrong}"


def _recorded(number: int) -> _Recording:
    recorder, made, after = Recorder(), batches(random.Random(f"batches {number}"), _N_BATCHES), list[int]()

    async def append(path: Path) -> None:
        log = SqlLog.open(path)
        for batch in made:
            await log.append(batch)
            after.append(len(recorder.steps))
        await log.aclose()

    with scratch() as folder, recorder.recording():
        asyncio.run(append(Path(folder) / "log.db"))
    return _Recording(recorder.steps, made, after)


def _killed(seed: int) -> str | None:
    draw = random.Random(f"kill {seed}")
    made = batches(draw, 2_000)
    with scratch() as folder:
        n_acknowledged = _appended_until_killed(Path(folder) / "log.db", made, draw.uniform(0.0, _LONGEST_LIFE_S))
        wrong = asyncio.run(_wrong_in(Path(folder) / "log.db", made, n_acknowledged))
    return wrong and f"killed after {n_acknowledged} acknowledged batches: {wrong}"


def _appended_until_killed(path: Path, made: list[list[ObservationEvent]], life_s: float) -> int:
    """Batches that a process acknowledged before SIGKILL, which comes ``life_s`` after the first of them."""

    def end(child: int) -> None:
        time.sleep(life_s)
        os.kill(child, signal.SIGKILL)

    return _appended(path, made, end)


def _appended(location: str | Path, made: list[list[ObservationEvent]], end: Callable[[int], None]) -> int:
    """Batches that a forked process acknowledged; ``end`` makes it end, once the first of them is."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        logging.disable()  # that its server goes away is what this is about
        try:
            asyncio.run(_append_and_tell(location, made, writing))
        finally:
            os._exit(0)
    os.close(writing)
    told = os.read(reading, 1)
    end(child)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as rest:
        told += rest.read()
    return len(told)


class _Started:
    """A PostgreSQL server that is started when it is first asked for."""

    def __init__(self, programs: Path | None, stack: ExitStack) -> None:
        self._programs, self._stack = programs, stack
        self._server: postgres.Server | None = None

    def __call__(self) -> postgres.Server:
        assert self._programs is not None
        if self._server is None:
            self._server = self._stack.enter_context(postgres.running(self._programs))
        return self._server


def _server_killed(seed: int, server: postgres.Server) -> str | None:
    draw = random.Random(f"server {seed}")
    made = batches(draw, 2_000)
    url = server.database(f"kill{seed}")
    n_acknowledged = _appended(url, made, lambda child: _kill_after(draw.uniform(0.0, _LONGEST_LIFE_S), server))
    server.start()
    wrong = asyncio.run(_wrong_in(url, made, n_acknowledged))
    return wrong and f"server killed after {n_acknowledged} acknowledged batches: {wrong}"


def _kill_after(life_s: float, server: postgres.Server) -> None:
    time.sleep(life_s)
    server.kill()


async def _append_and_tell(location: str | Path, made: list[list[ObservationEvent]], writing: int) -> None:
    log = SqlLog.open(location)
    for batch in made:
        await log.append(batch)
        os.write(writing, b".")
    await log.aclose()


async def _wrong_in(location: str | Path, made: list[list[ObservationEvent]], n_acknowledged: int) -> str | None:
    """What the log lost of the acknowledged batches, or stored in part; it may hold more batches than were acknowledged."""
    log = SqlLog.open(location)
    try:
        found = await log.read(verify, SITE)
        if found.faults:
            return str(found.faults[0])
        stored = [one.event for one in await log.observations(SITE, limit=1_000_000)]
    finally:
        await log.aclose()
    expected, n_whole = list[ObservationEvent](), 0
    for batch in made:
        if len(expected) + len(batch) > len(stored):
            break
        expected += batch
        n_whole += 1
    if n_whole < n_acknowledged:
        return f"{n_acknowledged} batches were acknowledged, {n_whole} are stored"
    if stored != expected:
        return f"{len(stored)} observations are stored, which are not the first {n_whole} batches"
    return None


@contextmanager
def _synchronous(level: str) -> Iterator[None]:
    """Logs opened inside wait for the disk as this says."""
    kept = dialect._PRAGMAS
    dialect._PRAGMAS = tuple(f"synchronous = {level}" if "synchronous" in one else one for one in kept)
    try:
        yield
    finally:
        dialect._PRAGMAS = kept
