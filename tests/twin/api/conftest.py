"""A running application over a log in memory: in process for reads and writes, on a real socket for WebSockets."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette

from twin.access.hosts import Hosts
from twin.access.keys import SCOPES, KeyRecord, new_key
from twin.access.opened import Access, open_access
from twin.access.rates import RateLimits
from twin.access.store import AccessStore
from twin.api import Services, create_app
from twin.api.live_protocol import WEBSOCKETS
from twin.api.metrics import Metrics
from twin.feeds.hub import Hub, Limits
from twin.feeds.receiver_address import allowed_of
from twin.feeds.receivers import Receivers
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhook_sender import WebhookSender
from twin.feeds.webhooks import Webhooks
from twin.log.blobs import BlobStore
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.sealing import SealingLog
from twin.log.subscriptions import MemorySubscriptions
from twin.log.webhooks import MemoryWebhooks
from twin.projections.timeline import Timeline

QUICK = Limits(period_s=0.01)
HERE = Hosts(names=frozenset({"twin"}))  # where the clients in process ask; on a socket it is 127.0.0.1


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
        timeline = Timeline(sealing, given.get("sites", {}).get("lot", lot))
        hub = Hub(sealing, timeline, epoch="e1", limits=live)
        crops = BlobStore(tmp_path / "crops", keys, quota_bytes=1_000_000)
        subscriptions = Subscriptions(sealing, MemorySubscriptions(), lot)
        receivers, random = Receivers(allowed_of("127.0.0.0/8")), WebhookSecrets(keys, "lot", secrets.token_bytes)
        webhooks = Webhooks(subscriptions, MemoryWebhooks(), random, receivers, "lot")
        sender = WebhookSender(webhooks, subscriptions, receivers, "lot", consumer="here")
        services = Services(
            log=sealing,
            keys=keys,
            timelines={"lot": timeline},
            hubs={"lot": hub},
            subscriptions={"lot": subscriptions},
            webhooks={"lot": webhooks},
            **{"sites": {"lot": lot}, "crops": crops, "metrics": Metrics(["lot"]), "hosts": HERE, **given},
        )
        app = create_app(services)
        feeding, sending = asyncio.create_task(hub.run()), asyncio.create_task(sender.run())
        await hub.started()
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        try:
            async with httpx2.AsyncClient(transport=transport, base_url="http://twin") as http:
                yield Running(app=app, http=http, log=log, keys=keys, hub=hub)
        finally:
            feeding.cancel()
            sending.cancel()
            await asyncio.gather(feeding, sending, return_exceptions=True)
            await log.aclose()

    return serving


@dataclass
class Doors:
    """Access with keys, whose clock a test sets."""

    access: Access
    store: AccessStore
    now: list[int]

    def later(self, seconds: float) -> None:
        """Let time pass; after a second, keys are read again."""
        self.now[0] += round(seconds * 1_000_000)

    def key(self, *scopes: str, sites: tuple[str, ...] = ("lot",), lasts_s: float | None = None, name: str = "a test") -> str:
        """A new key, which counts at once; without scopes it has all but admin."""
        made, at = new_key(os.urandom), self.now[0]
        expires_at = None if lasts_s is None else at + round(lasts_s * 1_000_000)
        given = scopes or tuple(one for one in SCOPES if one != "admin")
        record = KeyRecord(
            id=made.id, name=name, sites=sites, scopes=given, digest=made.digest, made_at=at, expires_at=expires_at
        )
        self.store.add_key(record)
        self.later(1)
        return made.text

    def revoke(self, key: str) -> None:
        """Close a key, and let every process hear of it."""
        self.store.revoke(key.split("_")[1], self.now[0])
        self.later(1)


@pytest.fixture
def doors(tmp_path, story) -> Callable[..., AbstractAsyncContextManager[Doors]]:
    """``async with doors() as doors``: give ``serve`` its ``access``; names go to ``RateLimits``."""

    @asynccontextmanager
    async def opened(**rates: int) -> AsyncIterator[Doors]:
        now, place, store = [story.noon], tmp_path / "access.db", AccessStore.open(tmp_path / "access.db")
        secret: Path = tmp_path / "session.secret"
        try:
            async with open_access(
                place, secret, rates=RateLimits(**rates), session_s=3600, clock=lambda: now[0], chance=os.urandom
            ) as access:
                yield Doors(access=access, store=store, now=now)
        finally:
            store.close()

    return opened


@pytest.fixture
def listen() -> Callable[..., AbstractAsyncContextManager[str]]:
    """``async with listen(app) as address``: a real server on a free port, as ``host:port``; further names go to uvicorn."""

    @asynccontextmanager
    async def listening(app: Starlette, *, port: int = 0, **given: Any) -> AsyncIterator[str]:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)  # a client that does not read is soon noticed
            free.bind(("127.0.0.1", port))
            port = free.getsockname()[1]
            config = uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=1, **WEBSOCKETS | given)
            server = uvicorn.Server(config)
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
