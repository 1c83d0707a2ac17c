"""Whether appending stays as fast while the log grows: 100-row batches at each size, ours and raw ``sqlite3`` in turn.

Both grow side by side and take turns batch by batch: what else the machine does meanwhile then slows both.
"""

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
_N_MEASURED = 50  # batches of each side at each size


def measure(folder: Path, sizes: Sequence[int]) -> dict[str, dict[int, int]]:
    """Rows/s of "ours" and of the "reference", by rows that are there before."""
    return asyncio.run(_measure(folder, sizes))


async def _measure(folder: Path, sizes: Sequence[int]) -> dict[str, dict[int, int]]:
    rates: dict[str, dict[int, int]] = {"ours": {}, "reference": {}}
    n_rows = 0
    log = SqlLog.open(folder / "ours.db")
    try:
        with raw_sqlite.table(folder / "raw.db") as connection:
            for size in sizes:
                for batch in batches(size - n_rows, _FILL, n_rows):
                    await log.append(batch)
                raw_sqlite.insert(connection, size - n_rows, _FILL, n_rows, Stopwatch())
                n_rows = size
                ours, raw = Stopwatch(), Stopwatch()
                for batch in batches(_N_MEASURED * _SIZE, _SIZE, n_rows):
                    with ours.running():
                        await log.append(batch)
                    raw_sqlite.insert(connection, _SIZE, _SIZE, n_rows, raw)
                    n_rows += _SIZE
                rates["ours"][size], rates["reference"][size] = _rate(ours), _rate(raw)
    finally:
        await log.aclose()
    return rates


def _rate(watch: Stopwatch) -> int:
    """By the median batch: a batch that meets the checkpoint of others waits for it."""
    return round(_SIZE / statistics.median(watch.laps_s))
