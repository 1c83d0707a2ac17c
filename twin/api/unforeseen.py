"""What nobody foresaw is answered like any refusal, within what names, counts and logs; it says nothing of the inside."""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from twin.api.problem import problem

_STARTED = ("http.response.start", "websocket.accept", "websocket.http.response.start", "websocket.close")
_logger = logging.getLogger(__name__)


class TellUnforeseen:
    """Middleware: 500 with a problem where a handler broke before it answered. What broke later ends the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or tell that something broke; the log has the rest."""
        is_started = False

        async def noted(message: Message) -> None:
            nonlocal is_started
            is_started = is_started or message["type"] in _STARTED
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except (ClientDisconnect, WebSocketDisconnect):  # nobody to tell
            raise
        except Exception as error:
            if is_started or scope["type"] == "lifespan":
                raise
            _logger.error("%s %s broke", scope.get("method", "WEBSOCKET"), scope["path"][:200], exc_info=error)
            response = problem(500, "internal", "the service broke at this request and logged it; tell whoever runs it")
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(response)
            else:
                await response(scope, receive, send)
