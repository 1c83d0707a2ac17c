"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.websockets import WebSocket

from twin.errors import NotYet, RateLimited, TwinError, Unauthorized

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1

_logger = logging.getLogger(__name__)


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong.

    Attributes:
        type: names the kind of problem, for programs.
        detail: what happened with the actual values, then what to do.
    """

    type: str
    title: str
    status: int
    detail: str


def problem(status: int, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A response that tells a problem."""
    told = Problem(type=f"urn:twin:problem:{slug}", title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(msgspec.json.encode(told), status, headers, MEDIA_TYPE)


async def on_twin_error(connection: HTTPConnection, error: Exception) -> Response | None:
    """Tell an error that was raised on purpose; before its handshake a WebSocket is told the same by a refusal."""
    assert isinstance(error, TwinError)
    if error.status >= 500:
        _logger.warning("%s %s: %s", type(error).__name__, connection.url.path, error)
    response = problem(error.status, error.slug, str(error), _headers(error))
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(response)
        return None
    return response


def _headers(error: TwinError) -> dict[str, str] | None:
    if isinstance(error, Unauthorized):
        return {"www-authenticate": 'Bearer realm="spatial twin"'}
    if isinstance(error, RateLimited):
        return {"retry-after": str(error.wait_s)}
    is_passing = error.status == HTTPStatus.SERVICE_UNAVAILABLE or isinstance(error, NotYet)
    return {"retry-after": str(RETRY_AFTER_S)} if is_passing else None


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Tell what Starlette found: no such path, no such method; what a path takes is told in full, and is no error to ask."""
    assert isinstance(error, HTTPException)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= {"allow": ", ".join(sorted(_methods_of(request)))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is nothing at '{request.url.path[:200]}'; GET /openapi.json lists what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"'{request.url.path[:200]}' does not take {request.method}; see /openapi.json",
    }.get(HTTPStatus(error.status_code), error.detail)
    slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return problem(error.status_code, slug, detail, headers)


def _methods_of(request: Request) -> set[str]:
    """All methods of a path: routes of one path may be several, and each knows only its own."""
    fitting = [one for one in request.app.routes if isinstance(one, Route) and one.matches(request.scope)[0] != Match.NONE]
    return {method for route in fitting for method in route.methods or ()}


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The client went away before it had sent its body: nobody to tell, nothing broken. 499 is for the metrics."""
    return Response(status_code=499)
