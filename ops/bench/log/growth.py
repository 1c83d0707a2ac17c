"""Whether appending stays as fast while the log grows: 100-row batches at each size, ours and raw ``sqlite3``."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from pathlib import Path

from twin.log.sql import SqlLog

from . import raw_sqlite
from .stopwatch import Stopwatch
from .workload import batches

_FILL = 1_000
_SIZE = 100
_N_MEASURED = 50  # batches at each size


def ours(path: Path, sizes: Sequence[int]) -> dict[int, int]:
    """Rows/s by rows that are in the log before."""

    async def measure() -> dict[int, int]:
        rates: dict[int, int] = {}
        n_rows = 0
        log = SqlLog.open(path)
        try:
            for size in sizes:
                for batch in batches(size - n_rows, _FILL, n_rows):
                    await log.append(batch)
                watch = Stopwatch()
                for batch in batches(_N_MEASURED * _SIZE, _SIZE, size):
                    with watch.running():
                        await log.append(batch)
                rates[size], n_rows = _rate(watch), size + _N_MEASURED * _SIZE
        finally:
            await log.aclose()
        return rates

    return asyncio.run(measure())


def raw(path: Path, sizes: Sequence[int]) -> dict[int, int]:
    """The same of raw ``sqlite3``."""
    rates: dict[int, int] = {}
    n_rows = 0
    with raw_sqlite.table(path) as connection:
        for size in sizes:
            raw_sqlite.insert(connection, size - n_rows, _FILL, n_rows, Stopwatch())
            watch = Stopwatch()
            raw_sqlite.insert(connection, _N_MEASURED * _SIZE, _SIZE, size, watch)
            rates[size], n_rows = _rate(watch), size + _N_MEASURED * _SIZE
    return rates


def _rate(watch: Stopwatch) -> int:
    """By the median batch: a batch that meets the checkpoint of others waits for it."""
    return round(_SIZE / statistics.median(watch.laps_s))
