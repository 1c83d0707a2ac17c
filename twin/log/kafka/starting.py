"""How a client of the broker connects: wholly, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

_LONGEST_S = 5.0


class Client(Protocol):
    """A consumer, producer or administrator of aiokafka."""

    def start(self) -> Any: ...


async def connect(client: Client) -> None:
    """Start the client; raises what ``start`` raises. When cancelled, waits a while for the start to end first.

    aiokafka 0.14 forgets the first connection that it makes when it is cancelled while that one answers, so that
    ``stop`` leaves it open.
    """
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=_LONGEST_S)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise
