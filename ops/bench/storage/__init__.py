"""Bytes on disk of a camera-day: W20 through the whole log, sealed and folded into facts, beside the same as JSON lines.

Each repeat is a stretch of another hour of the day with another seed, in a log of its own; figures are their mean, extrapolated
to a day in proportion to time. The file is measured when its log is closed, so that nothing is left in the write-ahead log;
what an empty log takes is not counted. Every stretch is measured twice: in a new log, and as it comes to one of two weeks,
whose positions, sequences and boot epochs are large numbers (``w20.aged``).

BENCH_W20_SECONDS is the length of a stretch (60); BENCH_W20_STALLS how many stalls the site has (200).
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard
from sqlalchemy import Connection, update

from site_models.schema import Site
from twin.errors import BadInput
from twin.events.codec import to_json
from twin.events.envelope import FactEvent, ObservationEvent, Recorded, RecordedObservation
from twin.events.observations import FrameObserved, TrackletEmbedded
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog, schema
from twin.log.sql.keys import SqlKeyRing
from twin.rules.fold import Fold

from . import sizes, w20

GOAL_GB = 0.3
REPEATS = 5
_DAY_S = 86_400
_BLOCK = 1_000
_BATCH = 20  # events of an append, as many as there are cameras


@dataclass
class _Stretch:
    """What was written in one stretch.

    Attributes:
        tables, columns: as ``sizes`` has them; of observations and facts.
        fields: of the frames' payloads.
        json_bytes, zstd_bytes: the same observations as lines, as the log has them; plain and compressed.
        block_bytes: their rows, a thousand compressed at once: what storing old ones so would take.
    """

    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    columns: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    fields: Counter[str] = field(default_factory=Counter)
    json_bytes: int = 0
    zstd_bytes: int = 0
    block_bytes: int = 0
    n_frames: int = 0
    n_boxes: int = 0
    n_unchanged: int = 0


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; sizes are GB a camera-day, a GB being 10^9 bytes."""
    seconds, n_stalls = (_asked(name, usual) for name, usual in (("SECONDS", 60), ("STALLS", 200)))
    site = w20.site(n_stalls)
    found, aged = [], []
    for number in range(repeats):
        found.append(_stretch(site, number, seconds))
        aged.append(_stretch(site, number, seconds, is_aged=True))
    days = repeats * seconds * w20.N_CAMERAS / _DAY_S

    def gb(n_bytes: float) -> float:
        return round(n_bytes / days / 1e9, 4)

    def per_s(n: float) -> float:
        return round(n / repeats / seconds, 1)

    tables, old_tables = (_summed(one.tables for one in both) for both in (found, aged))
    whole_bytes, old_bytes = (sum(size for parts in both.values() for size in parts.values()) for both in (tables, old_tables))
    whole, old = gb(whole_bytes), gb(old_bytes)
    columns = {table: _summed(one.columns[table] for one in found) for table in ("observations", "facts")}
    return {
        "schema": "twin.bench/1",
        "workload": (
            f"W20, {w20.N_CAMERAS} cameras, {n_stalls} stalls, default noise; {repeats} stretches of {seconds} s from hours"
            f" {', '.join(map(str, w20.HOURS[:repeats]))}, extrapolated in proportion to time; GB a camera-day"
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, SQLite {sqlite3.sqlite_version}",
        "ours": {
            "file": whole,
            "aged_file": old,
            "aged_tables": {table: gb(sum(parts.values())) for table, parts in old_tables.items()},
            "observations": gb(sum(tables["observations"].values())),
            "facts": gb(sum(tables["facts"].values())),
            "tables": {table: {part: gb(size) for part, size in parts.items()} for table, parts in tables.items()},
            "rows": {
                table: {name: _row(one, repeats * seconds) for name, one in types.items()} for table, types in columns.items()
            },
            "frame_fields": {name: gb(size) for name, size in _total(one.fields for one in found).most_common()},
            "frames_per_s": per_s(sum(one.n_frames for one in found)),
            "detections_per_s": per_s(sum(one.n_boxes for one in found)),
            "unchanged_per_s": per_s(sum(one.n_unchanged for one in found)),
        },
        "reference": {
            "goal": GOAL_GB,
            "json_lines": gb(sum(one.json_bytes for one in found)),
            "json_lines_zstd": gb(sum(one.zstd_bytes for one in found)),
            "blocks_zstd": gb(sum(one.block_bytes for one in found)),
        },
        "ratio": {
            "goal": round(whole / GOAL_GB, 3),
            "aged_goal": round(old / GOAL_GB, 3),
            "json_lines": round(whole_bytes / sum(one.json_bytes for one in found), 3),
            "json_lines_zstd": round(whole_bytes / sum(one.zstd_bytes for one in found), 3),
        },
        "repeats": repeats,
    }


def text(report: Mapping[str, Any]) -> str:
    """The report as Markdown tables."""
    ours, reference = report["ours"], report["reference"]
    lines = [f"{report['workload']}; {report['machine']}", ""]
    lines += [
        f"{ours['frames_per_s']} frames/s, {ours['detections_per_s']} detections/s, {ours['unchanged_per_s']} unchanged/s",
        f"the file {ours['file']} GB, of it observations {ours['observations']}, facts {ours['facts']};"
        f" goal {reference['goal']}: {report['ratio']['goal']} of it",
        f"the file of a log of two weeks {ours['aged_file']} GB, {report['ratio']['aged_goal']} of the goal: "
        + ", ".join(f"{table} {size}" for table, size in ours["aged_tables"].items() if size >= 0.001),
        f"observations as JSON lines {reference['json_lines']} GB, with zstd {reference['json_lines_zstd']} GB;"
        f" their rows in blocks of {_BLOCK:,} with zstd {reference['blocks_zstd']} GB",
        "",
        "| table or index | GB a camera-day |",
        "|---|---:|",
    ]
    parts = ((part, size) for parts in ours["tables"].values() for part, size in parts.items())
    lines += [f"| {part} | {size:.4f} |" for part, size in sorted(parts, key=lambda one: -one[1]) if size >= 0.0001]
    for table, types in ours["rows"].items():
        lines += ["", f"| {table}: type | rows/s | bytes of a row's columns |", "|---|---:|---|"]
        for name, one in types.items():
            inside = ", ".join(f"{column} {size}" for column, size in one["bytes_a_row"].items() if size >= 0.5)
            lines.append(f"| {name} | {one['n_per_s']} | {inside} |")
    lines += ["", "| field of a frame's payload | GB a camera-day |", "|---|---:|"]
    lines += [f"| {name} | {size:.4f} |" for name, size in ours["frame_fields"].items() if size >= 0.0001]
    return "\n".join(lines) + "\n"


def _stretch(site: Site, number: int, seconds: int, *, is_aged: bool = False) -> _Stretch:
    found = _Stretch()
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        path, lines = Path(folder) / "log.db", Path(folder) / "lines.zst"
        arriving = w20.stretch(site, number, seconds)
        if is_aged:
            arriving = ([w20.aged(event) for event in second] for second in arriving)
        asyncio.run(_written(site, arriving, path, lines, found, after=w20.AGED_OBSERVATIONS if is_aged else 0))
        found.zstd_bytes = lines.stat().st_size
        found.tables = sizes.by_table(path)
        found.block_bytes = sizes.in_blocks(path, _BLOCK)
        found.columns = {table: sizes.by_column(path, table) for table in ("observations", "facts")}
    return found


async def _written(
    site: Site, arriving: Iterable[list[ObservationEvent]], path: Path, lines: Path, found: _Stretch, *, after: int
) -> None:
    sql = SqlLog.open(path)
    log, fold = SealingLog(sql, SqlKeyRing(sql)), Fold(site)
    try:
        token, state, cursor = await log.acquire(site.name, "bench"), fold.initial(), after
        await sql.write(lambda transaction: _begin_at(transaction.connection, after))
        with lines.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
            for second in arriving:
                for start in range(0, len(second), _BATCH):
                    await log.append(second[start : start + _BATCH])
                facts: list[FactEvent] = []
                for place, event in enumerate(second, cursor + 1):
                    personal = event.payload.personal if isinstance(event.payload, TrackletEmbedded) else None
                    recorded: RecordedObservation = Recorded(position=place, recorded_at=event.occurred_at, event=event)
                    state, more = fold.step(state, recorded, personal)
                    facts += more
                commit = FoldCommit(token=token, after=cursor, cursor=cursor + len(second), facts=tuple(facts))
                await log.commit(commit)
                for one in await log.observations(site.name, after=cursor, limit=len(second)):
                    line = to_json(one) + b"\n"
                    found.json_bytes += len(line)
                    out.write(line)
                cursor += len(second)
                _count(found, second)
    finally:
        await log.aclose()


def _begin_at(connection: Connection, position: int) -> None:
    """Let positions go on as in an older log; its facts are a third as many as its observations."""
    connection.execute(update(schema.heads).values(observations=position, cursor=position, facts=position // 3))


def _count(found: _Stretch, events: list[ObservationEvent]) -> None:
    frames = [event.payload for event in events if isinstance(event.payload, FrameObserved)]
    found.n_frames += len(frames)
    found.n_boxes += sum(len(frame.boxes) for frame in frames)
    found.n_unchanged += sum(len(frame.unchanged) for frame in frames)
    found.fields.update(sizes.by_field(frames))


def _row(sums: Mapping[str, int], seconds: int) -> dict[str, Any]:
    n = sums["n"]
    columns = {name: round(size / n, 1) for name, size in sums.items() if name != "n"}
    return {"n_per_s": round(n / seconds, 2), "bytes_a_row": columns}


def _summed(tables: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for one in tables:
        for name, parts in one.items():
            found.setdefault(name, Counter()).update(parts)
    return {name: dict(parts) for name, parts in found.items()}


def _total(counters: Iterable[Counter[str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in counters:
        found.update(one)
    return found


def _asked(name: str, usual: int) -> int:
    given = os.environ.get(f"BENCH_W20_{name}", str(usual))
    if not given.isdecimal() or int(given) < 1:
        raise BadInput(f"BENCH_W20_{name} is '{given}'; give a whole number of at least 1")
    return int(given)
