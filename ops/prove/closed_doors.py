"""Asks routes with every key that must not open them."""

from __future__ import annotations

import asyncio
from typing import Any

from twin.access.keys import SCOPES

from .two_sites import HERE, THERE, Door, TwoSites

_LET_IN = 0
_WAIT_S = 2.0  # who waits for longer was let in: a feed, or a lease


async def refuted(world: TwoSites, door: Door) -> str | None:
    """Who was let in and may not be, or None."""
    for what, key, expected in _keys(world, door):
        status = await _status(world, door, key)
        if status != expected:
            return f"{door.method} {door.path} answered {status or 'with a way in'} to {what}, and {expected} is right"
    return None


def _keys(world: TwoSites, door: Door) -> list[tuple[str, str | None, int]]:
    """(who, key, right answer)."""
    found = [(f"a key that is {what}", key, 401) for what, key in world.strangers.items()]
    if door.is_of_site:
        found += [(f"the other site's key for '{scope}'", world.key_by[THERE, scope], 403) for scope in SCOPES]
    wrong = [scope for scope in SCOPES if scope not in (door.scope, "admin")]
    found += [(f"a key for '{scope}' where '{door.scope}' is needed", world.key_by[HERE, scope], 403) for scope in wrong]
    return found


async def _status(world: TwoSites, door: Door, key: str | None) -> int:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        async with asyncio.timeout(_WAIT_S):
            if door.method == "WS":
                return await _handshake(world.app, door.path, headers)
            return (await world.http.request(door.method, door.path, headers=headers)).status_code
    except TimeoutError:
        return _LET_IN


async def _handshake(app: Any, path: str, headers: dict[str, str]) -> int:
    """The status that a WebSocket is refused with; 0: it is accepted."""
    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "subprotocols": [],
        "scheme": "ws",
        "client": ("127.0.0.1", 1),
        "server": ("twin", 80),
        "extensions": {"websocket.http.response": {}},
    }
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asked = iter([{"type": "websocket.connect"}])

    async def receive() -> dict[str, Any]:
        return next(asked, {"type": "websocket.disconnect", "code": 1000})

    serving = asyncio.create_task(app(scope, receive, sent.put))
    try:
        first = await sent.get()
        return first.get("status", 403 if first["type"] == "websocket.close" else _LET_IN)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
