"""Whether the service works, and its figures."""

from __future__ import annotations

from math import nan

from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import Endpoint
from twin.api.exchange import json, services_of
from twin.api.schemas import Health
from twin.api.services import Services
from twin.errors import Overloaded, TwinError
from twin.events.ids import SiteId

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def healthz(request: Request) -> Response:
    """200 when every check is well, else 503 with what is wrong."""
    services = services_of(request)
    found = {"log": await _log(services)}
    for name, check in sorted(services.checks.items()):
        found[name] = await check()
    is_well = all(wrong is None for wrong in found.values())
    checks = {name: wrong or "ok" for name, wrong in found.items()}
    return json({"status": "ok" if is_well else "failing", "checks": checks}, 200 if is_well else 503)


async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    services = services_of(request)
    for site, hub in services.hubs.items():
        services.metrics.stands_at(site, await services.log.heads(site), await _lag(services, site), hub.n_clients)
    services.metrics.subscribed([one for of in services.subscriptions.values() for one in await of.standings()])
    services.metrics.webhooks_stand([one for of in services.webhooks.values() for one in await of.standings()])
    return Response(services.metrics.text(), headers={"content-type": PROMETHEUS})


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
    Endpoint(path="/metrics", handler=metrics, scope="read", about="Figures for Prometheus.", answer="text/plain"),
)
