"""G15: nothing crosses sites; unsigned, forged or replayed batches are refused; an edited log is detected.

A service of two sites behind keys runs in this process. Of ten runs, eight store a batch of observations and then send one
that must not be stored: unsigned, with a key of the other site or for something else, of the other site, of a device of the
twin's own, the same again, with other content or with other bytes (``mutated_batches``). One asks a route with every key that
must not open it (``closed_doors``), and one changes a byte of a log in a file (``edited_log``). Control: keys that open every
site, a log that has forgotten its device keys, and links that believe the hashes that are stored: each must be noticed.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import patch

from twin.access.keys import Grant
from twin.log.memory import MemoryLog
from twin.log.sql import SqlLog
from twin.log.sql import verify as verifying

from . import closed_doors, mutated_batches
from .edited_log import edited_log
from .g2 import Forgetful
from .outcome import Failure, Outcome
from .quiet import quiet
from .scratch import scratch
from .two_sites import two_sites

RUNS, FULL_RUNS = 800, 125_000
_KINDS = 10
_EDIT, _DOOR = 0, 5  # of the seed's last digit; the others are batches
_TOGETHER = 500
"""Runs over one service, which keeps what they store; each has a device of its own."""


def prove(runs: int, seed: int) -> Outcome:
    """A run is one batch, one route or one edit."""
    failures = list[Failure]()
    with quiet("twin"):
        for first in range(seed, seed + runs, _TOGETHER):
            failures += asyncio.run(_together(range(first, min(first + _TOGETHER, seed + runs))))
        control = [asyncio.run(one) for one in (_open_to_other_sites(), _forgetful(), _believing())]
    name = "keys that open every site, a log that has forgotten its device keys, links that believe the stored hashes"
    return Outcome(runs, failures, name, sum(control) if all(control) else 0)


async def _together(seeds: range) -> list[Failure]:
    """SQLite and the log in memory in turn."""
    found = list[Failure]()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(scratch()))
        on_sqlite = seeds.start // _TOGETHER % 2 == 0
        log = SqlLog.open(folder / "sites.db") if on_sqlite else MemoryLog()
        stack.push_async_callback(log.aclose)
        world = await stack.enter_async_context(two_sites(folder, log))
        edited = await stack.enter_async_context(edited_log(folder))
        doors = world.doors()
        for seed in seeds:
            if seed % _KINDS == _EDIT:
                what = await edited.refuted(seed)
            elif seed % _KINDS == _DOOR:
                what = await closed_doors.refuted(world, doors[seed // _KINDS % len(doors)])
            else:
                what = await mutated_batches.refuted(world, seed)
            if what is not None:
                found.append(Failure(seed, what))
    return found


async def _open_to_other_sites() -> int:
    """Routes at which it is noticed that a key counts for every site."""
    with scratch() as folder, patch.object(Grant, "covers", lambda self, site: True):
        async with two_sites(Path(folder), MemoryLog()) as world:
            return sum([await closed_doors.refuted(world, one) is not None for one in world.doors()[:10]])


async def _forgetful() -> int:
    with scratch() as folder:
        async with two_sites(Path(folder), Forgetful()) as world:
            return sum([await mutated_batches.refuted(world, seed) is not None for seed in range(60)])


async def _believing() -> int:
    """Edits that are missed where each event is taken for what its hash says."""
    with scratch() as folder, patch.object(verifying, "observation_hash", lambda row: row["content_hash"]):
        async with edited_log(Path(folder)) as log:
            return sum([await log.refuted(seed, only=("observations", "payload")) is not None for seed in range(5)])
