"""A page of another website may neither write here nor watch the live feed with its visitor's browser.

Browsers send ``Origin`` with every such request; programs do not, and are not concerned.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
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
        if scope["type"] == "lifespan" or scope.get("method") in READING or _is_own(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        error = Forbidden(f"a page of '{Headers(scope=scope)['origin'][:80]}' may not do this; use this service's own pages")
        if scope["type"] == "websocket":
            await on_twin_error(WebSocket(scope, receive, send), error)
        elif (response := await on_twin_error(Request(scope, receive), error)) is not None:
            await response(scope, receive, send)


def _is_own(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
