"""Appends a second: ``SqlLog`` on SQLite against raw ``sqlite3`` with the same columns, bytes, unique key and fsync.

Ours packs, hashes, looks for resends, hands out positions under the head row and answers with receipts. The
reference writes rows that were packed before, at positions that it counts itself, and does nothing else.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import CameraId, DeviceId, SiteId, TrackletId
from twin.events.observations import DetectedBox, FrameObserved
from twin.log.columns import observation_row
from twin.log.content import content_of
from twin.log.sql import SqlLog

N_ROWS_BY_BATCH = {1: 1_000, 100: 10_000, 1_000: 20_000}
N_CLIENTS = 32
REPEATS = 5


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; rows a second by batch size, and for ``N_CLIENTS`` that append single rows at once."""
    ours: dict[str, list[float]] = {}
    reference: dict[str, list[float]] = {}
    for _ in range(repeats):
        for batch, n_rows in N_ROWS_BY_BATCH.items():
            events = _events(n_rows)
            name = f"batch_{batch}"
            ours.setdefault(name, []).append(n_rows / _seconds_of_ours(_batches(events, batch), n_clients=1))
            reference.setdefault(name, []).append(n_rows / _seconds_of_raw(_batches(events, batch)))
        events = _events(N_ROWS_BY_BATCH[100])
        name = f"batch_1_clients_{N_CLIENTS}"
        ours.setdefault(name, []).append(len(events) / _seconds_of_ours(_batches(events, 1), n_clients=N_CLIENTS))
        reference.setdefault(name, []).append(len(events) / _seconds_of_raw(_batches(events, N_CLIENTS)))
    medians = {name: statistics.median(rates) for name, rates in ours.items()}
    raw = {name: statistics.median(rates) for name, rates in reference.items()}
    return {
        "schema": "twin.bench/1",
        "workload": f"append of observations, {_mean_bytes()} payload bytes, rows/s; reference: raw sqlite3, WAL, FULL",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, SQLite {sqlite3.sqlite_version}",
        "ours": {name: round(rate) for name, rate in medians.items()},
        "reference": {name: round(rate) for name, rate in raw.items()},
        "ratio": {name: round(medians[name] / raw[name], 3) for name in medians},
        "repeats": repeats,
    }


def _events(n_events: int) -> list[ObservationEvent]:
    """Frames of four cameras with six boxes each, the mean of a busy site."""
    return [_event(number % 4, number // 4 + 1) for number in range(n_events)]


def _event(camera: int, sequence: int) -> ObservationEvent:
    boxes = tuple(
        DetectedBox(
            tracklet=TrackletId(f"cam-{camera}:1:{place}"),
            kind="car",
            score=0.875,
            box_px=(100.5 * place, 210.25, 100.5 * place + 81.0, 270.75),
            box_sigma_px=(1.5, 1.25),
        )
        for place in range(6)
    )
    return ObservationEvent(
        site=SiteId("lot"),
        key=DeviceKey(device=DeviceId(f"cam-{camera}"), boot_epoch=1, sequence=sequence),
        occurred_at=1_767_268_800_000_000 + sequence * 100_000,
        payload=FrameObserved(
            camera=CameraId(f"cam-{camera}"), frame_px=(1280, 720), detector="yolox_nano:1", clock="ntp", boxes=boxes
        ),
    )


def _mean_bytes() -> int:
    return len(content_of(_event(0, 1)).payload)


def _batches(events: list[ObservationEvent], size: int) -> list[list[ObservationEvent]]:
    return [events[start : start + size] for start in range(0, len(events), size)]


def _seconds_of_ours(batches: list[list[ObservationEvent]], *, n_clients: int) -> float:
    async def append(log: SqlLog, some: list[list[ObservationEvent]]) -> None:
        for batch in some:
            await log.append(batch)

    async def measure(folder: str) -> float:
        log = SqlLog.open(Path(folder) / "log.db")
        start = time.perf_counter()
        await asyncio.gather(*(append(log, batches[client::n_clients]) for client in range(n_clients)))
        seconds = time.perf_counter() - start
        await log.aclose()
        return seconds

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(folder))


def _seconds_of_raw(batches: list[list[ObservationEvent]]) -> float:
    positions = count(1)
    packed = [[tuple(_row(event, next(positions)).values()) for event in batch] for batch in batches]
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "log.db", isolation_level=None)
        connection.executescript("pragma journal_mode = wal; pragma synchronous = full")
        connection.execute(
            "create table observations (site varchar not null, position bigint not null, recorded_at bigint not null,"
            " occurred_at bigint not null, type varchar not null, subject varchar, device varchar not null,"
            " boot_epoch bigint not null, sequence bigint not null, content_hash blob not null, payload blob not null,"
            " primary key (site, position), unique (site, device, boot_epoch, sequence))"
        )
        start = time.perf_counter()
        for rows in packed:
            connection.execute("begin immediate")
            connection.executemany("insert into observations values (?,?,?,?,?,?,?,?,?,?,?)", rows)
            connection.execute("commit")
        seconds = time.perf_counter() - start
        connection.close()
        return seconds


def _row(event: ObservationEvent, position: int) -> dict[str, Any]:
    return observation_row(event, content_of(event), position, event.occurred_at)
