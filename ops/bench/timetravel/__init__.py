"""The whole state of a site at random times as known at random positions, as JSON, beside a naive fold.

A log of BENCH_TIMETRAVEL_FACTS facts (1,000,000; 10,000,000 is some 2.2 GB) is filled, strips of the past are built, and then
the state is asked for at uniformly random pairs of a time and a position. Warm is a timeline that is open; cold opens the log
anew for each read, and drops what the system has cached of its file. The reference is ``twin.projections.naive``; its answers
must be the same bytes. BENCH_TIMETRAVEL_READS (300) and BENCH_TIMETRAVEL_NAIVE (1) are how many reads there are of each;
BENCH_TIMETRAVEL_FOLDER keeps the log for the next time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from site_models.schema import Site
from twin.errors import BadInput
from twin.events.codec import canonical_json
from twin.events.ids import SECOND
from twin.log.sql import SqlLog
from twin.process import settle_memory
from twin.projections.naive import replay
from twin.projections.timeline import Timeline

from .workload import START_AT, car_park, fill

MOST_MS = 20.0
N_COLD = 10
_DAY = 86_400 * SECOND


def run(repeats: int = 1) -> dict[str, Any]:
    """Measure; milliseconds over all repeats together."""
    n_facts, n_reads, n_naive = (_number(*one) for one in (("FACTS", "1000000"), ("READS", "300"), ("NAIVE", "1")))
    with _folder() as folder:
        file = folder / f"facts-{n_facts}.db"
        found = asyncio.run(_measured(file, n_facts, n_reads * repeats, n_naive))
    return {
        "schema": "twin.bench/1",
        "workload": f"{n_facts:,} facts, 500 stalls, 500 vehicles inside, 5 % late by a second to 7 days, 1 % corrected",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, SQLite {sqlite3.sqlite_version}",
        **found,
        "goal": {"warm_p95_ms": MOST_MS},
        "repeats": repeats,
    }


async def _measured(file: Path, n_facts: int, n_reads: int, n_naive: int) -> dict[str, Any]:
    site = car_park()
    made = await _made(file, site, n_facts)
    draw = random.Random(7)
    async with _log(file) as log:
        newest = (await log.facts(site.name, after=n_facts - 1))[0].event.occurred_at

        def moment() -> tuple[int, int]:
            return draw.randint(START_AT, newest), draw.randint(1, n_facts)

        timeline = Timeline(log, site)
        await timeline.state(*moment())
        settle_memory()  # as the service does once it has started
        warm = [await _read(timeline, *moment()) for _ in range(n_reads)]
        present = [await _read(timeline, None, None) for _ in range(min(n_reads, 50))]
        naive = [await _naive(log, timeline, site, *moment()) for _ in range(n_naive)]
        size = await _sizes(log, site)
        gc.unfreeze()
    cold = [await _cold(file, site, *moment()) for _ in range(N_COLD)]
    wall, reference = _quantiles([one[0] for one in warm]), _quantiles(naive) if naive else {}
    return {
        "ours": {
            "warm_ms": wall,
            "warm_cpu_ms": _quantiles([one[1] for one in warm]),
            "present_ms": _quantiles([one[0] for one in present]),
            "cold_ms": _quantiles(cold),
            "answer_bytes": warm[0][2],
            **made,
            **size,
            "strips_bytes_a_day": round(size["strips_bytes"] * _DAY / (newest - START_AT)),
        },
        "reference": {"naive_ms": reference},
        "ratio": {"naive": round(reference["p50"] / wall["p50"], 1)} if naive else {},
    }


async def _made(file: Path, site: Site, n_facts: int) -> dict[str, float]:
    """Fill a log and build its strips, as far as that is not done."""
    async with _log(file) as log:
        started = time.perf_counter()
        if not (await log.heads(site.name)).facts:
            await fill(log, site, n_facts)
        filled = time.perf_counter()
        timeline = Timeline(log, site)
        while await timeline.strips.build():
            pass
        return {"filled_s": round(filled - started, 1), "built_s": round(time.perf_counter() - filled, 1)}


async def _read(timeline: Timeline, at: int | None, known_at: int | None) -> tuple[float, float, int]:
    """Milliseconds of wall and of processor, and bytes."""
    started, began = time.perf_counter(), time.process_time()
    text = await timeline.state_json(at, known_at)
    return (time.perf_counter() - started) * 1e3, (time.process_time() - began) * 1e3, len(text)


async def _naive(log: SqlLog, timeline: Timeline, site: Site, at: int, known_at: int) -> float:
    started = time.perf_counter()
    text = canonical_json(await replay(log, site, at=at, known_at=known_at))
    found = (time.perf_counter() - started) * 1e3
    if await timeline.state_json(at, known_at) != text:
        raise BadInput(f"the state at {at} as known at {known_at} is not the naive fold's; that is a fault")
    return found


async def _cold(file: Path, site: Site, at: int, known_at: int) -> float:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    started = time.perf_counter()
    async with _log(file, read_only=True) as log:
        await Timeline(log, site).state_json(at, known_at)
        return (time.perf_counter() - started) * 1e3


async def _sizes(log: SqlLog, site: Site) -> dict[str, int]:
    def sizes(connection: Any) -> dict[str, int]:
        query = "SELECT count(*), sum(length(body)) FROM snapshots WHERE kind LIKE 'graph.%'"
        n_saved, n_bytes = connection.exec_driver_sql(query).one()
        pages = (
            connection.exec_driver_sql("PRAGMA page_count").scalar() * connection.exec_driver_sql("PRAGMA page_size").scalar()
        )
        return {"n_saved": n_saved, "strips_bytes": n_bytes, "file_bytes": pages}

    return await log.read(sizes)


def text(report: Mapping[str, Any]) -> str:
    """The report as a Markdown table."""
    ours, reference = report["ours"], report["reference"]["naive_ms"]
    lines = [f"{report['workload']}; {report['machine']}", "", "| whole state, ms | p50 | p95 | p99 |", "|---|---:|---:|---:|"]
    rows = {
        "warm": ours["warm_ms"],
        "warm, of processor": ours["warm_cpu_ms"],
        "the present": ours["present_ms"],
        "cold": ours["cold_ms"],
        **({"naive fold": reference} if reference else {}),
    }
    lines += [f"| {name} | {one['p50']} | {one['p95']} | {one['p99']} |" for name, one in rows.items()]
    size, took = "answers of some {answer_bytes:,} bytes; the log {file_bytes:,} bytes", "filled in {filled_s} s"
    size += ", {strips_bytes:,} of them strips ({strips_bytes_a_day:,} a day)"
    lines += ["", f"{size}; {took}, strips built in {{built_s}} s".format(**ours)]
    return "\n".join(lines) + "\n"


def _quantiles(found: list[float]) -> dict[str, float]:
    ordered = sorted(found)
    return {f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 2) for share in (50, 95, 99)}


def _number(name: str, default: str) -> int:
    given = os.environ.get(f"BENCH_TIMETRAVEL_{name}", default)
    if not given.isdigit():
        raise BadInput(f"BENCH_TIMETRAVEL_{name}='{given[:40]}' is not a number; give one such as {default}")
    return int(given)


class _log:
    """A log that is closed in the end."""

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        self._log = SqlLog.open(file, read_only=read_only)

    async def __aenter__(self) -> SqlLog:
        return self._log

    async def __aexit__(self, *_: object) -> None:
        await self._log.aclose()


@contextmanager
def _folder() -> Iterator[Path]:
    if kept := os.environ.get("BENCH_TIMETRAVEL_FOLDER"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
        return
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        yield Path(folder)
