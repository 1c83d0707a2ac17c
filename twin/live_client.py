"""The live feed for programs: the state of a site, as it changes.

    async for live in LiveFeed("http://127.0.0.1:8600", site="demo_lot", kinds=["stall"]):
        print(live.seq, sum(stall.state == "free" for stall in live.state.stalls))

Every state that it gives is one that the service had, whole. After a cut it goes on where it was, and where the service no
longer can, or a message does not fit the one before, it begins again with a snapshot. What the loop's body is too slow for is
told together, later.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import msgspec
from msgspec import UNSET, Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from twin.backoff import Backoff
from twin.client.connection import AWAY, FAILING, ServiceError, Trying, now_s, refusal, told_by
from twin.client_key import key_shown
from twin.errors import BadInput
from twin.events.state import StateView
from twin.feeds.delta import LISTS, LiveDelta, LiveMessage, LivePing, LiveSnapshot

SILENT_S = 40.0  # the service pings every 15 s where nothing happens
MOST_BYTES = 64 * 2**20

_logger = logging.getLogger(__name__)


class Live(Struct, frozen=True, kw_only=True):
    """The state of a site at a place in its feed.

    Attributes:
        epoch, seq: the place; see ``ops/docs/live.md``.
    """

    epoch: str
    seq: int
    state: StateView

    @property
    def position(self) -> int:
        """Position of the fact log that the state is at."""
        return int(self.state.position)


class LiveFeed:
    """An async iterator of ``Live``, for one task at a time; it ends only by being left.

    Attributes:
        n_gaps: messages that did not fit the one before, after each of which it began again. None, of a correct service.
        n_connections: connections that were made.
    """

    def __init__(
        self,
        url: str,
        *,
        site: str,
        zones: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
        silent_s: float = SILENT_S,
        backoff: Backoff | None = None,
        key: str | None = None,
    ) -> None:
        """Name what to follow.

        Args:
            zones, kinds: which part of the site; None: all of it.
            headers: sent with each handshake.
            patience_s: how long the service may be away (None: for ever, which is said once a minute). One that is there and
                fails (500), or takes no more of this key (429), is tried for a minute, or for this long.
            silent_s: how long a connection may be silent before it is taken for dead.
            key: API key with the scope ``read``; None where access is open.
        """
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"'{url}' is no address of a service; give for instance http://127.0.0.1:8600")
        self._address = f"ws{url.removeprefix('http').rstrip('/')}/v1/sites/{quote(site, safe='')}/live"
        self._wanted = {name: ",".join(given) for name, given in (("zones", zones), ("kinds", kinds)) if given is not None}
        self._headers = {**(headers or {}), **key_shown(key)}
        self._patience_s = patience_s
        self._silent_s = silent_s
        self._backoff = backoff or Backoff(random.random, first_s=0.1, longest_s=10.0)
        self._now: Live | None = None
        self._heard_s = 0.0
        self.n_gaps = 0
        self.n_connections = 0

    async def __aiter__(self) -> AsyncGenerator[Live, None]:
        """The state, and again after each change; raises ServiceError where the service refuses, or is away for too long."""
        self._heard_s = now_s()
        trying = self._trying()
        while True:
            before_s, refused = self._heard_s, None
            try:
                async with aclosing(self._connected()) as lives:
                    async for live in lives:
                        yield live
                trouble = "it closed the connection"
            except InvalidStatus as answer:
                refused = _heard(answer)
                trouble = str(refused)
            except (OSError, TimeoutError, WebSocketException) as wrong:
                trouble = f"{type(wrong).__name__}: {wrong}"
            if self._heard_s > before_s:
                trying = self._trying()
            await self._pause(trying, trouble, refused)

    def _trying(self) -> Trying:
        return Trying(self._patience_s, is_followed=True, started_s=self._heard_s)

    async def _connected(self) -> AsyncGenerator[Live, None]:
        """What one connection tells, until it ends or does not fit."""
        async with connect(
            self._there(), additional_headers=self._headers, max_size=MOST_BYTES, max_queue=4, compression=None
        ) as connection:
            self.n_connections += 1
            while True:
                async with asyncio.timeout(self._silent_s):
                    message = await _next(connection)
                if message is None:
                    return
                self._heard_s = now_s()
                if isinstance(message, LivePing):
                    continue
                self._now = self._after(message)
                if self._now is None:
                    return
                yield self._now

    def _there(self) -> str:
        place = {} if self._now is None else {"epoch": self._now.epoch, "seq": str(self._now.seq)}
        query = urlencode({**self._wanted, **place}, safe=",")
        return f"{self._address}?{query}" if query else self._address

    def _after(self, message: LiveSnapshot | LiveDelta) -> Live | None:
        """Where a message leads; None where it does not fit: nothing is known then but that something was missed."""
        if isinstance(message, LiveSnapshot):
            return Live(epoch=message.epoch, seq=message.seq, state=message.state)
        now = self._now
        if now is None or (message.epoch, message.prev) != (now.epoch, now.seq):
            self.n_gaps += 1
            return None
        return Live(epoch=message.epoch, seq=message.seq, state=changed(now.state, message))

    async def _pause(self, trying: Trying, trouble: str, refused: ServiceError | None) -> None:
        ended = trying.ended(now_s(), is_failing=refused is not None and refused.status in FAILING)
        if ended is not None:
            told = f"the live feed at {self._address} {ended}: {trouble}"
            raise ServiceError(told) if refused is None else ServiceError(told, status=refused.status, problem=refused.problem)
        if trying.is_to_be_said(now_s()):
            level = logging.INFO if trying.n_failures == 1 else logging.WARNING
            _logger.log(level, "the live feed at %s broke off, trying again: %s", self._address, trouble)
        await asyncio.sleep(self._backoff.wait_s(trying.n_failures))


def changed(state: StateView, delta: LiveDelta) -> StateView:
    """The state after a delta: members that it names are replaced, vehicles that left are gone."""
    gone = set(delta.left)
    vehicles = {one.vehicle: one for one in state.vehicles if one.vehicle not in gone}
    vehicles |= {one.vehicle: one for one in delta.vehicles}
    lists: dict[str, Any] = {"vehicles": [vehicles[name] for name in sorted(vehicles)]}
    for name, key in LISTS.items():
        new = {getattr(one, key): one for one in getattr(delta, name)}
        lists[name] = [new.get(getattr(one, key), one) for one in getattr(state, name)]
    counters = state.counters if delta.counters is UNSET else delta.counters
    return msgspec.structs.replace(state, **lists, counters=counters, position=delta.position, at=delta.at)


async def _next(connection: ClientConnection) -> LiveSnapshot | LiveDelta | LivePing | None:
    """The next message; None where the service closed the connection with a word."""
    async for text in connection:
        return msgspec.json.decode(text, type=LiveMessage)
    return None


def _heard(refused: InvalidStatus) -> ServiceError:
    """What a refusal says; raises it where it would be said again."""
    answer = httpx2.Response(refused.response.status_code, content=bytes(refused.response.body or b""))
    told = refusal(answer, told_by(answer))
    if answer.status_code not in AWAY | FAILING:
        raise told from None
    return told
