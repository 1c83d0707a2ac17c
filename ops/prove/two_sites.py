"""A service of two sites behind keys, in this process: one whose keys are at hand, and one that nobody here may touch."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from retrieval.api import SearchRoutes
from twin.access.hosts import Hosts
from twin.access.keys import SCOPES, KeyId, KeyRecord, new_key
from twin.access.opened import open_access
from twin.access.rates import RateLimits
from twin.access.store import AccessStore
from twin.api.app import create_app
from twin.api.metrics import Metrics
from twin.api.services import Services
from twin.events.ids import SECOND, SiteId
from twin.feeds.hub import Hub
from twin.feeds.subscriptions import Subscriptions
from twin.log.blobs import BlobStore
from twin.log.keys import MemoryKeyRing
from twin.log.port import Log
from twin.log.sealing import SealingLog
from twin.log.subscriptions import MemorySubscriptions
from twin.projections.timeline import Timeline

from .site_day import PROOF_SITE

HERE, THERE = SiteId("here"), SiteId("there")
_NOON = 1_767_268_800 * SECOND


class Door(NamedTuple):
    """A method of a route at ``HERE``, or a socket, and what it takes."""

    method: str
    path: str
    scope: str
    is_of_site: bool


@dataclass
class TwoSites:
    """The application, a client of it, its log, and keys.

    Attributes:
        log: without what seals.
        strangers: keys that open nothing, by what is wrong with them.
        key_by: of each site and scope.
    """

    app: Starlette
    http: httpx2.AsyncClient
    log: Log
    strangers: dict[str, str | None]
    key_by: dict[tuple[SiteId, str], str]

    def doors(self) -> list[Door]:
        """Every route that takes a key, with a method each; sockets are ``WS``."""
        return list(_doors(self.app))


@asynccontextmanager
async def two_sites(folder: Path, log: Log) -> AsyncIterator[TwoSites]:
    """Open it over a log, and close all but that."""
    keys, sites = MemoryKeyRing(), {name: replace(PROOF_SITE, name=name) for name in (HERE, THERE)}
    sealing, now = SealingLog(log, keys), [_NOON]
    timelines = {name: Timeline(sealing, site) for name, site in sites.items()}
    store = AccessStore.open(folder / "access.db")
    rates = RateLimits()
    try:
        key_by, strangers = _made(store, now[0])
        now[0] += 60 * SECOND
        async with open_access(
            folder / "access.db", folder / "secret", rates=rates, session_s=60, clock=lambda: now[0], chance=os.urandom
        ) as access:
            services = Services(
                log=sealing,
                keys=keys,
                sites=sites,
                timelines=timelines,
                hubs={name: Hub(sealing, one, epoch="proof") for name, one in timelines.items()},
                subscriptions={name: Subscriptions(sealing, MemorySubscriptions(), site) for name, site in sites.items()},
                crops=BlobStore(folder / "crops", keys, quota_bytes=1_000_000),
                metrics=Metrics(),
                extra_routes=SearchRoutes(None, {}, None, None).routes,  # pyright: ignore[reportArgumentType]
                access=access,
                hosts=Hosts(names=None),  # as with keys
            )
            app = create_app(services)
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://twin") as http:
                yield TwoSites(app=app, http=http, log=log, strangers=strangers, key_by=key_by)
    finally:
        store.close()


def _made(store: AccessStore, at: int) -> tuple[dict[tuple[SiteId, str], str], dict[str, str | None]]:
    def key(*scopes: Any, site: str = HERE, expires_at: int | None = None) -> str:
        made = new_key(os.urandom)
        store.add_key(
            KeyRecord(
                id=made.id, name="proof", sites=(site,), scopes=scopes, digest=made.digest, made_at=at, expires_at=expires_at
            )
        )
        return made.text

    revoked, expired, right = key("admin"), key("admin", expires_at=at + SECOND), key("admin")
    store.revoke(KeyId(revoked.split("_")[1]), at)
    wrong = right[:-4] + ("AAAA" if right[-4:] != "AAAA" else "BBBB")
    strangers = {"none": None, "wrong": wrong, "revoked": revoked, "expired": expired, "nonsense": "nonsense", "empty": ""}
    return {(site, scope): key(scope, site=site) for site in (HERE, THERE) for scope in SCOPES}, strangers


def _doors(app: Starlette) -> Iterator[Door]:
    for route in app.routes:
        if not isinstance(route, Route | WebSocketRoute):
            continue
        scope = getattr(route.endpoint, "scope", None)
        if scope is None:
            continue
        path, is_of_site = _filled(route.path), "{site}" in route.path
        methods = sorted(route.methods or ()) if isinstance(route, Route) else ["WS"]
        yield from (Door(method, path, scope, is_of_site) for method in methods)


def _filled(path: str) -> str:
    """A path at ``HERE``, where whatever else it names is x."""
    parts = path.replace("{site}", HERE).split("/")
    return "/".join("x" if one.startswith("{") else one for one in parts)
