"""A page of another website may neither write here nor watch the live feed with its visitor's browser.

Browsers send ``Origin`` with every such request; programs do not, and are not concerned. Nor is a WebSocket with a ticket where
keys are asked for: then the ticket counts, and nothing that a browser adds.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from twin.api.problem import on_twin_error
from twin.errors import Forbidden

READING = ("GET", "HEAD", "OPTIONS")


class RefuseOtherOrigins:
    """Middleware: 403 for a writing request or WebSocket whose ``Origin`` is not this host."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan" or scope.get("method") in READING or is_own(Headers(scope=scope)) or _has_ticket(scope):
            await self._app(scope, receive, send)
            return
        error = Forbidden(f"a page of '{Headers(scope=scope)['origin'][:80]}' may not do this; use this service's own pages")
        if scope["type"] == "websocket":
            await on_twin_error(WebSocket(scope, receive, send), error)
        elif (response := await on_twin_error(Request(scope, receive), error)) is not None:
            await response(scope, receive, send)


def is_own(headers: Headers, *, may_be_absent: bool = True) -> bool:
    """Whether a request comes from a page of this host, or, if that may be, from no page."""
    origin = headers.get("origin")
    if origin is None:
        return may_be_absent
    try:
        return urlsplit(origin).netloc == headers.get("host")
    except ValueError:  # no address at all, such as "http://[": of no page of ours
        return False


def _has_ticket(scope: Scope) -> bool:
    if scope["type"] != "websocket" or scope["app"].state.services.access.keyed is None:
        return False
    return "ticket" in HTTPConnection(scope).query_params
