"""Whether the service works, and its figures."""

from __future__ import annotations

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
    services = services_of(request)
    found = {"log": await _log(services)}
    for name, check in sorted(services.checks.items()):
        found[name] = await check()
    is_well = all(wrong is None for wrong in found.values())
    is_told = await _may_know(request)  # what is wrong names sites
    checks = {name: "ok" if wrong is None else wrong if is_told else "failing" for name, wrong in found.items()}
    return json({"status": "ok" if is_well else "failing", "checks": checks}, 200 if is_well else 503)


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
    services.metrics.subscribed([one for of in services.subscriptions.values() for one in await of.standings()])
    grant = grant_of(request)
    text = services.metrics.text(lambda site: grant.allows("read", site))
    return Response(text, headers={"content-type": PROMETHEUS})


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
