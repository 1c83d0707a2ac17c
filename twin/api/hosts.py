"""A request that asks for another host than the service's is refused; ``twin/access/hosts.py`` says why."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from twin.access.hosts import Hosts
from twin.api.problem import on_twin_error
from twin.errors import Misdirected


class RefuseOtherHosts:
    """Middleware: 421 for a request or WebSocket whose ``Host`` is not among the service's; browsers always send one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        hosts: Hosts = scope["app"].state.services.hosts
        wrong = next((one for one in Headers(scope=scope).getlist("host") if not hosts.has(one)), None)
        if wrong is None:
            await self._app(scope, receive, send)
            return
        error = Misdirected(
            f"this service is not asked for as '{wrong[:80]}'; ask for localhost, or whoever runs it names it in TWIN_HOSTS"
        )
        if scope["type"] == "websocket":
            await on_twin_error(WebSocket(scope, receive, send), error)
        elif (response := await on_twin_error(Request(scope, receive), error)) is not None:
            await response(scope, receive, send)
