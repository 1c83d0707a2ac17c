"""The application: every route there is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ExceptionHandler

from twin.api import (
    calibrations,
    camera_pictures,
    crops,
    decisions,
    health,
    ingest,
    introspection,
    payments,
    site_editing,
    sites,
    state,
    subscriptions,
)
from twin.api.endpoint import Endpoint
from twin.api.exchange import json
from twin.api.live import live
from twin.api.metrics import MeasureRequests
from twin.api.openapi import document
from twin.api.origin import RefuseOtherOrigins
from twin.api.problem import on_disconnect, on_http_exception, on_twin_error, on_unforeseen
from twin.api.requests import NameRequests
from twin.api.services import Services
from twin.errors import TwinError

STATIC = Path(__file__).parent / "static"

ENDPOINTS: tuple[Endpoint, ...] = (
    *sites.ENDPOINTS,
    *site_editing.ENDPOINTS,
    *state.ENDPOINTS,
    *ingest.ENDPOINTS,
    *decisions.ENDPOINTS,
    *payments.ENDPOINTS,
    *crops.ENDPOINTS,
    *calibrations.ENDPOINTS,
    *camera_pictures.ENDPOINTS,
    *subscriptions.ENDPOINTS,
    *health.ENDPOINTS,
    *introspection.ENDPOINTS,
)


def create_app(services: Services) -> Starlette:
    """The application over services that are open and stay so while it runs; it starts and closes none of them."""
    app = Starlette(
        routes=[
            *(Route(one.path, one.handler, methods=[one.method]) for one in ENDPOINTS),
            *services.extra_routes,
            WebSocketRoute("/v1/sites/{site}/live", live),
            Route("/openapi.json", read_openapi),
            Route("/", _page("index.html")),
            Route("/explore", _page("explore.html")),
            Route("/edit", _page("edit.html")),
            Route("/calibrate", _page("calibrate.html")),
            *(Route(path, _page("introspection.html")) for path in introspection.PAGES),
            Route("/favicon.ico", _page("favicon.svg")),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        ],
        middleware=[
            Middleware(NameRequests, new_id=services.new_request_id, now_s=_now_s),
            Middleware(MeasureRequests, metrics=services.metrics),
            Middleware(RefuseOtherOrigins),
        ],
        exception_handlers={
            TwinError: cast(ExceptionHandler, on_twin_error),
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
            Exception: on_unforeseen,
        },
    )
    app.state.services = services
    app.state.models = {}
    app.state.openapi = document(ENDPOINTS, services.extra_routes, version=services.version)
    return app


async def read_openapi(request: Request) -> Response:
    """The description of this interface, OpenAPI 3.1."""
    return json(request.app.state.openapi)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _page(name: str):
    async def page(request: Request) -> Response:
        return FileResponse(STATIC / name)

    return page
