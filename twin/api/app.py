"""The application: every route there is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ExceptionHandler

from twin.api import (
    asyncapi,
    audit,
    calibration_in_force,
    calibrations,
    camera_pictures,
    camera_standing,
    corrections,
    crops,
    decisions,
    health,
    history,
    ingest,
    introspection,
    login,
    occupancy,
    payments,
    pictures_told,
    review,
    site_editing,
    sites,
    state,
    subscriptions,
    tickets,
    webhooks,
)
from twin.api.endpoint import Endpoint
from twin.api.exchange import json, services_of
from twin.api.framing import RefuseFrames
from twin.api.guard import check_guarded, guarded_others, guarded_route, guarded_socket, open_route, sites_known
from twin.api.hosts import RefuseOtherHosts
from twin.api.live import live
from twin.api.login import for_known
from twin.api.metrics import MeasureRequests
from twin.api.openapi import document
from twin.api.origin import RefuseOtherOrigins
from twin.api.problem import on_disconnect, on_http_exception, on_twin_error
from twin.api.requests import NameRequests
from twin.api.services import Services
from twin.api.unforeseen import TellUnforeseen
from twin.errors import TwinError

_MOST_DESCRIBED = 32  # sets of sites whose descriptions are kept

STATIC = Path(__file__).parent / "static"

SHEETS = ("/sessions", "/vehicle", "/review", "/occupancy", "/cameras", "/subscriptions", "/edit", "/calibrate")
"""Pages beside the map; each has its file."""

ENDPOINTS: tuple[Endpoint, ...] = (
    *sites.ENDPOINTS,
    *site_editing.ENDPOINTS,
    *state.ENDPOINTS,
    *history.ENDPOINTS,
    *occupancy.ENDPOINTS,
    *corrections.ENDPOINTS,
    *ingest.ENDPOINTS,
    *decisions.ENDPOINTS,
    *payments.ENDPOINTS,
    *review.ENDPOINTS,
    *crops.ENDPOINTS,
    *calibrations.ENDPOINTS,
    *calibration_in_force.ENDPOINTS,
    *camera_pictures.ENDPOINTS,
    *camera_standing.ENDPOINTS,
    *pictures_told.ENDPOINTS,
    *subscriptions.ENDPOINTS,
    *tickets.ENDPOINTS,
    *audit.ENDPOINTS,
    *login.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *health.ENDPOINTS,
    *introspection.ENDPOINTS,
)


def create_app(services: Services) -> Starlette:
    """The application over services that are open and stay so while it runs; it starts and closes none of them."""
    app = Starlette(
        routes=[
            *map(guarded_route, ENDPOINTS),
            *guarded_others(services.extra_routes),
            guarded_socket("/v1/sites/{site}/live", live, "read"),
            open_route("/openapi.json", read_openapi),
            open_route("/asyncapi.json", read_asyncapi),
            open_route("/docs", _page("docs.html")),
            open_route("/", for_known(_page("index.html"))),
            open_route("/explore", for_known(_page("explore.html"))),
            *(open_route(path, for_known(_page(f"{path[1:]}.html"))) for path in SHEETS),
            *(open_route(path, for_known(_page("introspection.html"))) for path in introspection.PAGES),
            open_route("/login", _page("login.html")),
            open_route("/favicon.ico", _page("favicon.svg")),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        ],
        middleware=[
            Middleware(NameRequests, new_id=services.new_request_id, now_s=_now_s),
            Middleware(MeasureRequests, metrics=services.metrics),
            Middleware(TellUnforeseen),
            Middleware(RefuseFrames),
            Middleware(RefuseOtherHosts),
            Middleware(RefuseOtherOrigins),
        ],
        exception_handlers={
            TwinError: cast(ExceptionHandler, on_twin_error),
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
        },
    )
    check_guarded(app.routes)
    app.state.services = services
    app.state.models = {}
    app.state.plans = {}
    app.state.described = {}
    return app


async def read_openapi(request: Request) -> Response:
    """The description of this interface, OpenAPI 3.1; it names those of the sites served that the asker may know of."""
    return json((await _described(request))[0])


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def read_asyncapi(request: Request) -> Response:
    """The description of what this service sends and takes as events, AsyncAPI 3.0."""
    return json((await _described(request))[1])


async def _described(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both descriptions, made once for each set of sites that somebody may know of."""
    services, made = services_of(request), request.app.state.described
    names = await sites_known(request)
    if names not in made:
        if len(made) >= _MOST_DESCRIBED:
            made.clear()
        sites = [services.sites[name] for name in names]
        has_keys = services.access.keyed is not None
        http = document(ENDPOINTS, services.extra_routes, version=services.version, sites=sites, has_keys=has_keys)
        made[names] = http, asyncapi.document(version=services.version, sites=sites)
    return made[names]


def _page(name: str):
    async def page(request: Request) -> Response:
        return FileResponse(STATIC / name)

    return page
