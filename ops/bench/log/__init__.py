"""Appends a second through the whole stack, against raw drivers that do the same durable work, and against a peer.

Ours packs, hashes, looks for resends, hands out positions under the head row, links the chain and answers with receipts. Raw
``sqlite3`` and asyncpg write rows that were packed before, at positions that they count themselves, and do nothing else; as
``made``, ``sqlite3`` packs and hashes them itself. Sides take turns; what is done between two batches is not counted.
Where PostgreSQL's programs, asyncpg or the ``eventsourcing`` package are not installed, what needs them is left out.

BENCH_LOG_ROWS names the largest log of the growth (1,000,000); BENCH_LOG_PARTS what to measure, of sqlite, costs, postgresql,
peer, latency, growth.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twin.errors import BadInput
from twin.evaluation.proofs import part

from . import costs, growth, latency, ours, peer, raw_postgres, raw_sqlite
from .stopwatch import Stopwatch
from .workload import payload_bytes

PARTS = ("sqlite", "costs", "postgresql", "peer", "latency", "growth")
N_ROWS_BY_BATCH = {1: 1_000, 100: 10_000, 1_000: 20_000}
N_ROWS_BY_BATCH_OF_PEER = {1: 300, 100: 3_000, 1_000: 5_000}
N_CLIENTS = 32
LATENCY_S = 20.0
SIZES = (10_000, 100_000, 1_000_000, 3_000_000, 10_000_000)
REPEATS = 5

_Side = Callable[[], Stopwatch]


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; rates are rows/s, the median of the repeats; ``cpu`` is µs of processor time a row."""
    report: dict[str, Any] = {
        "schema": "twin.bench/1",
        "workload": f"append of observations, {payload_bytes()} payload bytes, rows/s by batch; every commit is synced",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, SQLite {sqlite3.sqlite_version}",
        "ours": {},
        "reference": {},
        "ratio": {},
        "repeats": repeats,
    }
    measures = {
        "sqlite": _sqlite,
        "costs": _costs,
        "postgresql": _postgresql,
        "peer": _peer,
        "latency": _latency,
        "growth": _growth,
    }
    for name in _parts():
        measures[name](report, repeats)
    return report


def _sqlite(report: dict[str, Any], repeats: int) -> None:
    for batch, n_rows in N_ROWS_BY_BATCH.items():
        sides: dict[str, _Side] = {
            "ours": lambda n=n_rows, size=batch: _on_file(ours.append, n, size),
            "reference": lambda n=n_rows, size=batch: _on_file(raw_sqlite.append, n, size),
            "made": lambda n=n_rows, size=batch: _on_file(raw_sqlite.append_made, n, size),
        }
        _compare(report, f"sqlite_batch_{batch}", n_rows, repeats, sides)
    n_rows = N_ROWS_BY_BATCH[100]
    at_once: dict[str, _Side] = {
        "ours": lambda: _on_file(ours.append_at_once, n_rows, N_CLIENTS),
        "reference": lambda: _on_file(raw_sqlite.append, n_rows, N_CLIENTS),
    }
    _compare(report, f"sqlite_batch_1_clients_{N_CLIENTS}", n_rows, repeats, at_once)


def _costs(report: dict[str, Any], _: int) -> None:
    with _folder() as folder:
        report["row_us"] = costs.measure(folder)


def _postgresql(report: dict[str, Any], repeats: int) -> None:
    postgres = part("postgres")
    programs = postgres.binaries()
    if programs is None or not raw_postgres.is_there():
        return
    with postgres.running(programs) as server:
        urls = _databases(server)
        for batch, n_rows in N_ROWS_BY_BATCH.items():
            sides: dict[str, _Side] = {
                "ours": lambda n=n_rows, size=batch: ours.append(next(urls), n, size),
                "reference": lambda n=n_rows, size=batch: raw_postgres.append_unnested(next(urls), n, size),
                "copy": lambda n=n_rows, size=batch: raw_postgres.append_copied(next(urls), n, size),
            }
            _compare(report, f"postgresql_batch_{batch}", n_rows, repeats, sides)


def _peer(report: dict[str, Any], repeats: int) -> None:
    if not peer.is_there():
        return
    for batch, n_rows in N_ROWS_BY_BATCH_OF_PEER.items():
        sides: dict[str, _Side] = {
            "ours": lambda n=n_rows, size=batch: _on_file(ours.append, n, size),
            "reference": lambda n=n_rows, size=batch: _on_file(peer.append, n, size),
        }
        _compare(report, f"eventsourcing_batch_{batch}", n_rows, repeats, sides)


def _latency(report: dict[str, Any], _: int) -> None:
    with _folder() as folder:
        found = latency.measure(folder / "log.db", LATENCY_S)
    report["latency_ms"] = {
        "load": f"{latency.N_CAMERAS} cameras at {latency.FPS} frames/s, each frame an append of its own",
        "append_to_follower": found.observations._asdict(),
        "commit_to_durable_subscription": found.facts._asdict(),
    }


def _growth(report: dict[str, Any], _: int) -> None:
    largest = int(os.environ.get("BENCH_LOG_ROWS", "1000000"))
    sizes = [size for size in SIZES if size <= largest] or [largest]
    with _folder() as folder:
        rates = growth.measure(folder, sizes)
    for size in sizes:
        sides = {name: by_size[size] for name, by_size in rates.items()}
        _note(report, f"sqlite_batch_100_after_{size}_rows", sides)
    report["growth"] = {name: round(by_size[sizes[-1]] / by_size[sizes[0]], 3) for name, by_size in rates.items()}


def _compare(report: dict[str, Any], name: str, n_rows: int, repeats: int, sides: Mapping[str, _Side]) -> None:
    watches: dict[str, list[Stopwatch]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, measure in sides.items():
            watches[side].append(measure())
    _note(report, name, {side: round(n_rows / _median(found, "wall_s")) for side, found in watches.items()})
    cpu = {side: round(_median(found, "cpu_s") / n_rows * 1e6, 1) for side, found in watches.items()}
    report.setdefault("cpu_us_a_row", {})[name] = cpu


def _note(report: dict[str, Any], name: str, rates: Mapping[str, int]) -> None:
    report["ours"][name] = rates["ours"]
    for side, rate in rates.items():
        if side != "ours":
            of = name if side == "reference" else f"{name}_{side}"
            report["reference"][of] = rate
            report["ratio"][of] = round(rates["ours"] / rate, 3)


def text(report: Mapping[str, Any]) -> str:
    """The report as a Markdown table."""
    lines = [f"{report['workload']}; {report['machine']}; median of {report['repeats']}", ""]
    lines += ["| | ours, rows/s | reference, rows/s | ratio | µs of processor a row, ours | reference |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for name, ratio in report["ratio"].items():
        mine = report["ours"].get(name) or report["ours"][name.rpartition("_")[0]]
        cpu = _cpu(report, name)
        cells = (f"{mine:,}", f"{report['reference'][name]:,}", f"{ratio:.2f}", cpu.get("ours", ""), cpu.get("of", ""))
        lines.append(f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |")
    if "row_us" in report:
        stages = report["row_us"]
        lines += [
            "",
            "What a row costs, µs of processor in batches of 100: " + ", ".join(f"{k} {v}" for k, v in stages.items()),
        ]
    if "growth" in report:
        grown = report["growth"]
        lines += ["", f"rate in the largest log / in the smallest: ours {grown['ours']}, reference {grown['reference']}"]
    if "latency_ms" in report:
        lines += ["", report["latency_ms"]["load"] + ":"]
        for name in ("append_to_follower", "commit_to_durable_subscription"):
            one = report["latency_ms"][name]
            lines.append(f"{name}: p50 {one['p50_ms']} ms, p99 {one['p99_ms']} ms, of {one['n']:,}")
    return "\n".join(lines) + "\n"


def _cpu(report: Mapping[str, Any], name: str) -> dict[str, float]:
    """Of ours, and of what a row of the table compares it with."""
    by_name: Mapping[str, dict[str, float]] = report.get("cpu_us_a_row", {})
    if name in by_name:
        return {"ours": by_name[name]["ours"], "of": by_name[name]["reference"]}
    compared, _, side = name.rpartition("_")
    return {"ours": by_name[compared]["ours"], "of": by_name[compared][side]} if compared in by_name else {}


def _parts() -> list[str]:
    wanted = os.environ.get("BENCH_LOG_PARTS", ",".join(PARTS)).split(",")
    if unknown := sorted(set(wanted) - set(PARTS)):
        raise BadInput(f"BENCH_LOG_PARTS names '{unknown[0]}'; use some of {', '.join(PARTS)}")
    return [name for name in PARTS if name in wanted]


def _median(watches: list[Stopwatch], name: str) -> float:
    return statistics.median(getattr(watch, name) for watch in watches)


def _databases(server: Any) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield server.database(f"bench_{number}")


def _on_file(measure: Callable[[Path, int, int], Stopwatch], n_rows: int, number: int) -> Stopwatch:
    with _folder() as folder:
        return measure(folder / "log.db", n_rows, number)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        yield Path(folder)
