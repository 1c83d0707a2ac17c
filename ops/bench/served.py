"""Our service as it is, with its pages and live feed, on SQLite; no cameras are fused beside it.

Facts are made by the benchmark, and committed as the fold would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import uvicorn

from site_models.schema import Site
from twin.api.app import create_app
from twin.api.live_protocol import WEBSOCKETS
from twin.api.metrics import Metrics
from twin.api.services import Services
from twin.feeds.hub import DEFAULT_LIMITS, Hub, Limits
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.port import Log
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.process import Server, listen, settle_memory, stop_signals
from twin.projections.timeline import Timeline

_CROPS_BYTES = 1_000_000
Drive = Callable[[Log, Hub], Awaitable[None]]


async def serve(port: int, folder: Path, where: Site, drive: Drive, limits: Limits = DEFAULT_LIMITS) -> None:
    """Serve a site until a signal.

    Args:
        folder: where its log and its crops are.
        drive: makes facts and commits them, for as long as the service runs; it is cancelled before the service ends.
    """
    sql = SqlLog.open(folder / "log.db")
    keys = SqlKeyRing(sql)
    log = SealingLog(sql, keys)
    timeline = Timeline(log, where)
    hub = Hub(log, timeline, epoch="bench", limits=limits)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sql.aclose)
        services = Services(
            log=log,
            keys=keys,
            sites={where.name: where},
            timelines={where.name: timeline},
            hubs={where.name: hub},
            subscriptions={where.name: Subscriptions(log, SqlSubscriptions(sql), where)},
            crops=BlobStore(folder / "crops", keys, quota_bytes=_CROPS_BYTES),
            metrics=Metrics(),
        )
        config = uvicorn.Config(
            create_app(services), log_config=None, lifespan="off", timeout_graceful_shutdown=1, **WEBSOCKETS
        )
        server = Server(config)
        works = [drive(log, hub), hub.run(), server.serve(sockets=[listen("127.0.0.1", port)])]
        with stop_signals() as stopped:
            tasks = [asyncio.ensure_future(work) for work in works]
            await server.answers.wait()
            settle_memory()
            await asyncio.wait([*tasks, asyncio.create_task(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        tasks[0].cancel()
        await tasks[2]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
