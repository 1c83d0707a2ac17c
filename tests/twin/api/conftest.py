"""A running application over a log in memory: in process for reads and writes, on a real socket for WebSockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette

from twin.api import Services, create_app
from twin.api.metrics import Metrics
from twin.feeds.hub import Hub, Limits
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.sealing import SealingLog
from twin.log.subscriptions import MemorySubscriptions
from twin.projections.timeline import Timeline

QUICK = Limits(period_s=0.01)


@dataclass
class Running:
    """An application, a client of it, and what it stands on."""

    app: Starlette
    http: httpx2.AsyncClient
    log: MemoryLog
    keys: MemoryKeyRing
    hub: Hub


@pytest.fixture
def serve(lot, story, tmp_path) -> Callable[..., AbstractAsyncContextManager[Running]]:
    """``async with serve(events, …) as running``: further names go to Services; ``live`` to the hub's limits."""

    @asynccontextmanager
    async def serving(events=(), *, live: Limits = QUICK, **given: Any) -> AsyncIterator[Running]:
        log, keys = await story.log(events), MemoryKeyRing()
        sealing = SealingLog(log, keys)
        timeline = Timeline(sealing, lot)
        hub = Hub(sealing, timeline, epoch="e1", limits=live)
        crops = BlobStore(tmp_path / "crops", keys, quota_bytes=1_000_000)
        services = Services(
            log=sealing,
            keys=keys,
            timelines={"lot": timeline},
            hubs={"lot": hub},
            subscriptions={"lot": Subscriptions(sealing, MemorySubscriptions(), lot)},
            **{"sites": {"lot": lot}, "crops": crops, "metrics": Metrics(), **given},
        )
        app = create_app(services)
        feeding = asyncio.create_task(hub.run())
        await hub.started()
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        try:
            async with httpx2.AsyncClient(transport=transport, base_url="http://twin") as http:
                yield Running(app=app, http=http, log=log, keys=keys, hub=hub)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await log.aclose()

    return serving


@pytest.fixture
def listen() -> Callable[[Starlette], AbstractAsyncContextManager[str]]:
    """``async with listen(app) as address``: a real server on a free port, as ``host:port``."""

    @asynccontextmanager
    async def listening(app: Starlette) -> AsyncIterator[str]:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)  # a client that does not read is soon noticed
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=1))
            serving = asyncio.create_task(server.serve(sockets=[free]))
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.005)
            try:
                yield f"127.0.0.1:{port}"
            finally:
                server.should_exit = True
                await serving

    return listening
