"""``SqlLog``, by its port: packs, hashes, looks for resends, hands out positions, links the chain and answers with receipts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from twin.log.sql import SqlLog

from .stopwatch import Stopwatch
from .workload import N_CAMERAS, batches, event


def append(location: str | Path, n_rows: int, size: int) -> Stopwatch:
    """Append batches one after the other, each after the answer to the one before.

    What a site and its devices cost once, names and numbers of theirs and the statements that give those, comes before, as
    raw drivers' rows are numbered and a peer's cameras saved before: a frame of each camera is there.
    """

    async def measure() -> Stopwatch:
        watch, log = Stopwatch(), SqlLog.open(location)
        try:
            await log.append([event(number) for number in range(N_CAMERAS)])
            for batch in batches(n_rows, size, N_CAMERAS):
                with watch.running():
                    await log.append(batch)
        finally:
            await log.aclose()
        return watch

    return asyncio.run(measure())


def append_at_once(location: str | Path, n_rows: int, n_clients: int) -> Stopwatch:
    """Clients that append single rows, all at once."""
    events = [event(number) for number in range(n_rows)]

    async def client(log: SqlLog, number: int) -> None:
        for one in events[number::n_clients]:
            await log.append([one])

    async def measure() -> Stopwatch:
        watch, log = Stopwatch(), SqlLog.open(location)
        try:
            with watch.running():
                await asyncio.gather(*(client(log, number) for number in range(n_clients)))
        finally:
            await log.aclose()
        return watch

    return asyncio.run(measure())
