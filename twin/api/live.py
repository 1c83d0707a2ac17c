"""The live feed over a WebSocket: a snapshot, then deltas; ``?epoch=&seq=`` goes on where an earlier connection broke off.

``?zones=&kinds=`` choose a part of the site. A client that keeps up is written to by the hub; its task here waits, and sends
only what the client was owed at first or was too slow for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from twin.access.keys import ANYBODY
from twin.api.exchange import services_of, site_of
from twin.api.guard import grant_of
from twin.api.held import check_query
from twin.api.live_protocol import FRAMES
from twin.errors import BadInput
from twin.feeds.hub import Hub
from twin.feeds.subscriber import Close, Subscriber, Write
from twin.feeds.view import live_filter

_NAMES = ("epoch", "kinds", "seq", "ticket", "zones")
GOODBYE_S = 5.0  # how long a client that does not read may keep us from telling it why


async def live(websocket: WebSocket) -> None:
    """Feed one client until it leaves, falls behind or the service stops.

    An unknown site, zone, kind or parameter is refused before the handshake.
    """
    site = site_of(websocket)
    check_query(websocket, _NAMES, of="the live feed")
    hub = services_of(websocket).hubs[site.name]
    wanted = live_filter(site, zones=websocket.query_params.get("zones"), kinds=websocket.query_params.get("kinds"))
    grant = grant_of(websocket)
    key = "" if grant is ANYBODY else grant.key
    with hub.subscribe(*_place(websocket), wanted=wanted, write=_write(websocket), key=key) as subscriber:
        await websocket.accept()
        await _until_first(_send(websocket, hub, subscriber), _leave(websocket), subscriber.until_closed())
    if subscriber.closed is not None:
        await _until_first(_goodbye(websocket, subscriber.closed), asyncio.sleep(GOODBYE_S))


def _place(websocket: WebSocket) -> tuple[str | None, int | None]:
    seq = websocket.query_params.get("seq")
    if seq is None:
        return None, None
    if not (seq.isascii() and seq.isdigit() and len(seq) <= 18):
        raise BadInput(f"seq='{seq[:60]}' is no sequence number; give the epoch and seq of the last message, or neither")
    return websocket.query_params.get("epoch"), int(seq)


def _write(websocket: WebSocket) -> Write | None:
    """The server's way to put frames on this connection; None of a server that has none."""
    return websocket.scope.get("extensions", {}).get(FRAMES)


async def _send(websocket: WebSocket, hub: Hub, subscriber: Subscriber) -> None:
    async for message in hub.messages(subscriber):
        await websocket.send_text(message)


async def _leave(websocket: WebSocket) -> None:
    """What a client says is of no interest, except that it goes."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _goodbye(websocket: WebSocket, why: Close) -> None:
    code, reason = why.value
    await websocket.close(code, reason)


async def _until_first(*works: Coroutine[Any, Any, Any]) -> None:
    """Run side by side until one ends, then end the others; a client that is gone is no error."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        endings = await asyncio.gather(*tasks, return_exceptions=True)
    for ending in endings:
        if isinstance(ending, Exception) and not isinstance(ending, WebSocketDisconnect):
            raise ending
