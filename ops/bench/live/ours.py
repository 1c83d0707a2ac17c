"""Our live feed as the service has it: a log on SQLite, a hub that follows it, the whole application on uvicorn.

No cameras are fused beside it: their facts are made here, and committed as the fold would.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvicorn

from site_models.schema import Site
from twin.api.app import create_app
from twin.api.live_protocol import WEBSOCKETS
from twin.api.metrics import Metrics
from twin.api.services import Services
from twin.feeds.hub import Hub, Limits
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.process import Server, listen, settle_memory, stop_signals
from twin.projections.timeline import Timeline

from . import bare
from .workload import N_VEHICLES, confirmed, frame, moved, site


def main(port: str, folder: str, hz: str, moving: str) -> None:
    """Serve until a signal."""
    asyncio.run(_serve(int(port), Path(folder), float(hz), int(moving)))


async def _serve(port: int, folder: Path, hz: float, moving: int) -> None:
    folder.mkdir()
    where, sql = site(), SqlLog.open(folder / "log.db")
    keys = SqlKeyRing(sql)
    log = SealingLog(sql, keys)
    timeline = Timeline(log, where)
    hub = Hub(log, timeline, epoch="bench", limits=Limits(period_s=1 / hz, n_clients=20_000))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sql.aclose)
        _note(hub)
        services = Services(
            log=log,
            keys=keys,
            sites={where.name: where},
            timelines={where.name: timeline},
            hubs={where.name: hub},
            subscriptions={where.name: Subscriptions(log, SqlSubscriptions(sql), where)},
            crops=BlobStore(folder / "crops", keys, quota_bytes=1_000_000),
            metrics=Metrics(),
        )
        config = uvicorn.Config(
            create_app(services), log_config=None, lifespan="off", timeout_graceful_shutdown=1, **WEBSOCKETS
        )
        server = Server(config)
        works = [_feed(log, where, hub, hz, moving), hub.run(), server.serve(sockets=[listen("127.0.0.1", port)])]
        with stop_signals() as stopped:
            tasks = [asyncio.create_task(work) for work in works]
            await server.answers.wait()
            settle_memory()
            await asyncio.wait([*tasks, asyncio.create_task(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        tasks[0].cancel()
        await tasks[2]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(log: Any, where: Site, hub: Hub, hz: float, moving: int) -> None:
    """Commit some movements at each tick, while somebody watches."""
    token, loop = await log.acquire(where.name, "bench"), asyncio.get_running_loop()
    await log.append([frame(where, "made", n + 1) for n in range(N_VEHICLES)])
    await log.commit(FoldCommit(token=token, after=0, cursor=N_VEHICLES, facts=tuple(confirmed(where))))
    cursor, next_s, tick = N_VEHICLES, loop.time(), 0
    while True:
        next_s = max(next_s + 1 / hz, loop.time())
        await asyncio.sleep(next_s - loop.time())
        if not hub.n_clients:
            continue
        tick += 1
        await log.append([frame(where, "made", N_VEHICLES + tick)])
        head = (await log.heads(where.name)).observations
        await log.commit(FoldCommit(token=token, after=cursor, cursor=head, facts=tuple(moved(where, tick, hz, moving))))
        cursor = head


def _note(hub: Hub) -> None:
    """Write down when each delta was published."""
    publish = hub.publish

    def noted() -> None:
        seq, started_s = hub.seq, time.monotonic()
        publish()
        if hub.seq != seq:
            bare.note(hub.seq, started_s)

    hub.publish = noted
