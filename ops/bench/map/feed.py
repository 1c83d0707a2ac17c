"""Our service as it is, with its pages and live feed, on SQLite; vehicles' facts are made here and committed as the fold would.

No cameras are fused beside it: 500 vehicles that all drive would take more of the processor than a browser leaves.
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
from twin.feeds.hub import Hub
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.process import Server, listen, settle_memory, stop_signals
from twin.projections.timeline import Timeline

from .workload import confirmed, frame, moved, site


def main(port: str, folder: str, n_vehicles: str, hz: str) -> None:
    """Serve until a signal."""
    asyncio.run(_serve(int(port), Path(folder), int(n_vehicles), float(hz)))


async def _serve(port: int, folder: Path, n_vehicles: int, hz: float) -> None:
    where, sql = site(), SqlLog.open(folder / "log.db")
    keys = SqlKeyRing(sql)
    log = SealingLog(sql, keys)
    timeline = Timeline(log, where)
    hub = Hub(log, timeline, epoch="bench")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sql.aclose)
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
        app = create_app(services)
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, **WEBSOCKETS)
        server = Server(config)
        works = [_drive(log, where, hub, n_vehicles, hz), hub.run(), server.serve(sockets=[listen("127.0.0.1", port)])]
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


async def _drive(log: Any, where: Site, hub: Hub, n_vehicles: int, hz: float) -> None:
    """Commit where everybody is at each tick, while somebody watches."""
    token, loop = await log.acquire(where.name, "bench"), asyncio.get_running_loop()
    now = time.time_ns() // 1_000
    await log.append([frame(where, n + 1, now) for n in range(n_vehicles)])
    facts = tuple(confirmed(where, n_vehicles, now))
    await log.commit(FoldCommit(token=token, after=0, cursor=n_vehicles, facts=facts))
    cursor, next_s, began_s = n_vehicles, loop.time(), loop.time()
    while True:
        next_s = max(next_s + 1 / hz, loop.time())
        await asyncio.sleep(next_s - loop.time())
        if not hub.n_clients:
            continue
        now = time.time_ns() // 1_000
        await log.append([frame(where, cursor + 1, now)])
        facts = tuple(moved(where, n_vehicles, cursor + 1, now, loop.time() - began_s))
        await log.commit(FoldCommit(token=token, after=cursor, cursor=cursor + 1, facts=facts))
        cursor += 1
