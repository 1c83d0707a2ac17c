"""No page of another website shows this service's pages within itself, where a click would be meant for something else."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = "content-security-policy"
_NOBODY = "frame-ancestors 'none'"


class RefuseFrames:
    """Middleware: pages say that nobody may frame them; what else their policy says stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    given = headers.get(_POLICY)
                    headers[_POLICY] = f"{given}; {_NOBODY}" if given else _NOBODY
                    headers["x-frame-options"] = "DENY"
            await send(message)

        await self._app(scope, receive, unframed)
