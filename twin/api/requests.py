"""Every request has an id, in the answer and in the log; what was refused, broke or was slow is logged."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin.structured_logging import of_request

HEADER = "x-request-id"
SLOW_S = 2.0

_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_WAITS = ("/lease",)  # these answer late because they were asked to wait
_logger = logging.getLogger(__name__)


class NameRequests:
    """Middleware: takes the id that a caller or a proxy gave, else makes one; answers with it.

    Args:
        new_id: a name that no other request has.
        now_s: seconds that only grow.
    """

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str], now_s: Callable[[], float]) -> None:
        self._app = app
        self._new_id = new_id
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then log what somebody would want to read about it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if _GIVEN.fullmatch(given) else self._new_id()
        status, began_s = HTTPStatus.INTERNAL_SERVER_ERROR.value, self._now_s()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = name
            elif message["type"] == "websocket.accept":
                status = HTTPStatus.SWITCHING_PROTOCOLS.value
            await send(message)

        with of_request(name):
            try:
                await self._app(scope, receive, named)
            finally:
                _tell(scope, status, self._now_s() - began_s)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    path = scope["path"]
    is_slow = seconds > SLOW_S and scope["type"] == "http" and not path.endswith(_WAITS)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        level = logging.WARNING
    elif status >= HTTPStatus.BAD_REQUEST or is_slow:
        level = logging.INFO
    else:
        level = logging.DEBUG
    if not _logger.isEnabledFor(level):
        return
    client = scope.get("client")
    fields = {"method": scope.get("method", "WEBSOCKET"), "path": path[:200], "status": status}
    fields |= {"ms": round(1_000 * seconds, 1), "client": client[0] if client else ""}
    _logger.log(level, "answered", extra=fields)
