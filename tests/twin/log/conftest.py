"""What the log's tests share: a clock set by hand, event makers, and every adapter by name."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from twin.evaluation.proofs import part
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import StallChanged, VehicleLeft
from twin.events.observations import DetectedBox, FrameObserved
from twin.log.memory import MemoryLog
from twin.log.port import Log

NOON = 1_767_268_800_000_000


@dataclass
class Clock:
    """Reads what a test set; moves only when told."""

    at: int = NOON

    def __call__(self) -> int:
        return self.at


@dataclass
class Make:
    """Makes valid events with as few words as possible."""

    site: str = "lot"
    sequences: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def observation(self, sequence=None, *, site=None, device="cam-1", epoch=1, at=NOON, score=0.5):
        box = DetectedBox(tracklet="t1", kind="car", score=score, box_px=(1.0, 2.0, 3.0, 4.0), box_sigma_px=(0.1, 0.1))
        sequence = next(self.sequences) if sequence is None else sequence
        return ObservationEvent(
            site=site or self.site,
            key=DeviceKey(device=device, boot_epoch=epoch, sequence=sequence),
            occurred_at=at,
            payload=FrameObserved(camera="north", frame_px=(640, 480), detector="d1", clock="ntp", boxes=(box,)),
        )

    def observations(self, count, **given):
        return [self.observation(**given) for _ in range(count)]

    def fact(self, cause, ordinal=0, *, site=None, at=NOON, stall="a1", supersedes=()):
        return FactEvent(
            site=site or self.site,
            fold_version="1",
            cause=cause,
            ordinal=ordinal,
            occurred_at=at,
            payload=StallChanged(stall=stall, state="free"),
            supersedes=tuple(supersedes),
        )

    def left(self, cause, ordinal=0, *, at=NOON, vehicle="v1"):
        payload = VehicleLeft(vehicle=vehicle, portal="exit")
        return FactEvent(site=self.site, fold_version="1", cause=cause, ordinal=ordinal, occurred_at=at, payload=payload)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Any]:
    """A real PostgreSQL of this machine on a free port: ``ops/prove/postgres.py``'s ``Server``."""
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    postgres = part("postgres")
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server binaries are installed")
    with postgres.running(programs) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def open_log(request, tmp_path: Path, clock: Clock) -> Callable[[], Log]:
    """Opens the adapter under test; a second call opens the same store again, where there is one."""
    if request.param == "memory":
        return lambda: MemoryLog(clock=clock)
    from twin.log.sql import SqlLog

    if request.param == "sqlite":
        return lambda: SqlLog.open(tmp_path / "log.db", clock=clock)
    url = request.getfixturevalue("postgresql_server").database(f"t{abs(hash(tmp_path)) % 10**12}")
    return lambda: SqlLog.open(url, clock=clock)


@pytest.fixture
async def log(open_log) -> AsyncIterator[Log]:
    async with closing(open_log()) as opened:
        yield opened


@asynccontextmanager
async def closing(log: Log) -> AsyncIterator[Log]:
    try:
        yield log
    finally:
        await log.aclose()
