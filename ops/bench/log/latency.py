"""From the call of an append, or of a fold's commit, until a subscriber has the event, while cameras go on appending.

A follower tails the observation log. A durable subscription leases facts and acknowledges them: its lease is a transaction too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from site_models.load import load_site, resolve
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import StallChanged
from twin.events.ids import DeviceId, SiteId, StallId
from twin.feeds.subscriptions import Subscriptions
from twin.log.port import FoldCommit
from twin.log.sql import SqlLog
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.subscriptions import Filter

from .workload import event

N_CAMERAS, FPS = 20, 10
_FACTS_PER_S = 10
_SITE_ID = SiteId("demo_lot")


class Latency(NamedTuple):
    """Milliseconds to the median and the 99th of a hundred."""

    p50_ms: float
    p99_ms: float
    n: int


class Latencies(NamedTuple):
    """Of observations to a follower, and of facts to a durable subscription."""

    observations: Latency
    facts: Latency


def measure(path: Path, seconds: float) -> Latencies:
    """Twenty cameras append a frame each tenth of a second, each by itself, and a fold commits a fact as often."""
    return asyncio.run(_measure(path, seconds))


async def _measure(path: Path, seconds: float) -> Latencies:
    n_frames = max(2, round(seconds * FPS))
    site = load_site(resolve(_SITE_ID))
    log = SqlLog.open(path)
    sent: dict[DeviceKey, float] = {}
    told: dict[int, float] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(log.aclose)
        subscriptions = Subscriptions(log, SqlSubscriptions(log), site)
        await subscriptions.put("bench", Filter(), after=0)
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(_follow(log, sent, N_CAMERAS * n_frames))
            leased = group.create_task(_lease(subscriptions, told, n_frames))
            group.create_task(_fold(log, told, n_frames))
            for camera in range(N_CAMERAS):
                group.create_task(_camera(log, camera, n_frames, sent))
        return Latencies(_latency(seen.result()), _latency(leased.result()))


async def _camera(log: SqlLog, camera: int, n_frames: int, sent: dict[DeviceKey, float]) -> None:
    await asyncio.sleep(camera / N_CAMERAS / FPS)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(n_frames):
        one = _frame(camera, number + 1)
        sent[one.key] = time.perf_counter()
        await log.append([one])
        await asyncio.sleep(max(0.0, start + (number + 1) / FPS - loop.time()))


async def _follow(log: SqlLog, sent: dict[DeviceKey, float], n_events: int) -> list[float]:
    taken: list[float] = []
    async with aclosing(log.tail_observations(_SITE_ID, after=0)) as batches:
        async for batch in batches:
            now = time.perf_counter()
            taken += (now - sent[one.event.key] for one in batch)
            if len(taken) >= n_events:
                break
    return taken


async def _fold(log: SqlLog, told: dict[int, float], n_facts: int) -> None:
    site = _SITE_ID
    token = await log.acquire(site, "bench")
    cursor = 0
    for number in range(1, n_facts + 1):
        await asyncio.sleep(1 / _FACTS_PER_S)
        head = (await log.heads(site)).observations
        fact = FactEvent(
            site=site,
            fold_version="1",
            cause=number,
            ordinal=0,
            occurred_at=number,
            payload=StallChanged(stall=StallId("a1"), state="free"),
        )
        told[number] = time.perf_counter()
        await log.commit(FoldCommit(token=token, after=cursor, cursor=head, facts=(fact,)))
        cursor = head


async def _lease(subscriptions: Subscriptions, told: dict[int, float], n_facts: int) -> list[float]:
    taken: list[float] = []
    while len(taken) < n_facts:
        lease = await subscriptions.lease("bench", wait_s=5.0, consumer="bench")
        now = time.perf_counter()
        positions = [one.fact.position for one in lease.handed]
        taken += (now - told[position] for position in positions)
        await subscriptions.acknowledge("bench", lease.number, positions)
    return taken


def _frame(camera: int, sequence: int) -> ObservationEvent:
    one = event(sequence)
    return ObservationEvent(
        site=_SITE_ID,
        key=DeviceKey(device=DeviceId(f"view-{camera}"), boot_epoch=1, sequence=sequence),
        occurred_at=one.occurred_at,
        payload=one.payload,
    )


def _latency(seconds: list[float]) -> Latency:
    p50, p99 = np.quantile(np.array(seconds) * 1000, [0.5, 0.99])
    return Latency(round(float(p50), 1), round(float(p99), 1), len(seconds))
