"""Whether the service works, and its figures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from math import nan

from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import Endpoint
from twin.api.exchange import json, services_of
from twin.api.guard import grant_of, is_known
from twin.api.schemas import Health
from twin.api.services import Services
from twin.errors import Overloaded, TwinError
from twin.events.ids import SiteId

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def healthz(request: Request) -> Response:
    """200 when every check is well, else 503; with what is wrong, for those who are known."""
    return await _told(request, await _found(services_of(request)))


async def readyz(request: Request) -> Response:
    """200 while requests should come here: as ``healthz``, and every live feed has its state, and nothing is stopping."""
    return await _told(request, await _readiness(services_of(request)))


async def _may_know(request: Request) -> bool:
    try:
        return await is_known(request)
    except TwinError:
        return False


async def metrics(request: Request) -> Response:
    """Figures for Prometheus, of the sites that may be read."""
    services = services_of(request)
    for site, hub in services.hubs.items():
        services.metrics.stands_at(site, await services.log.heads(site), await _lag(services, site), hub.n_clients)
        services.metrics.live_stands(site, hub.slowness)
        services.metrics.delivering(site, hub.cameras())
    free_bytes = nan if services.data_dir is None else float(shutil.disk_usage(services.data_dir).free)
    services.metrics.stands(is_ready=not any((await _readiness(services)).values()), free_bytes=free_bytes)
    services.metrics.subscribed([one for of in services.subscriptions.values() for one in await of.standings()])
    services.metrics.webhooks_stand([one for of in services.webhooks.values() for one in await of.standings()])
    grant = grant_of(request)
    text = services.metrics.text(lambda site: grant.allows("read", site))
    return Response(text, headers={"content-type": PROMETHEUS})


async def _found(services: Services) -> dict[str, str | None]:
    """What is wrong, by the name of the check."""
    found = {"log": await _log(services)}
    for name, check in sorted(services.checks.items()):
        found[name] = await check()
    return found


async def _readiness(services: Services) -> dict[str, str | None]:
    found = await _found(services)
    behind = sorted(site for site, hub in services.hubs.items() if not hub.is_current)
    found["live feeds"] = f"those of {', '.join(behind)} read their state from the log" if behind else None
    return found | {"serving": "stopping" if services.stopping.is_set() else None}


async def _told(request: Request, found: Mapping[str, str | None]) -> Response:
    is_well = all(wrong is None for wrong in found.values())
    is_told = await _may_know(request)  # what is wrong names sites
    checks = {name: "ok" if wrong is None else wrong if is_told else "failing" for name, wrong in found.items()}
    return json({"status": "ok" if is_well else "failing", "checks": checks}, 200 if is_well else 503)


async def _lag(services: Services, site: SiteId) -> float:
    """What is stored and not folded, also in a broker; NaN while that does not answer."""
    try:
        return await services.log.backlog(site)
    except Overloaded:
        return nan


async def _log(services: Services) -> str | None:
    try:
        for site in services.sites:
            await services.log.heads(site)
    except TwinError as error:
        return str(error)
    return None


ENDPOINTS = (
    Endpoint(path="/healthz", handler=healthz, scope=None, about="Whether the service works.", answer=Health, refusals=(503,)),
    Endpoint(
        path="/readyz",
        handler=readyz,
        scope=None,
        about="Whether requests should be sent here: not before it has caught up, nor once it is stopping.",
        answer=Health,
        refusals=(503,),
    ),
    Endpoint(path="/metrics", handler=metrics, scope="read", about="Figures for Prometheus.", answer="text/plain"),
)
