"""Brings what the journal holds for the twin to the twin, in order, however long that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import msgspec
from sqlalchemy import Engine, Row

from ops.examples.entry import journal
from twin.backoff import Backoff
from twin.events.codec import rfc3339
from twin.events.ids import Micros

_BATCH = 200
_LINES = {"content-type": "application/x-ndjson"}

_logger = logging.getLogger(__name__)


class Sender:
    """One at a time, the oldest first; what the twin has is resent without harm, as its number is the device's sequence.

    Attributes:
        is_away: the twin did not answer the last time.
    """

    def __init__(
        self,
        http: httpx2.AsyncClient,
        address: str,
        engine: Engine,
        device: journal.Device,
        now: Callable[[], Micros],
        backoff: Backoff,
    ) -> None:
        self._http, self._address, self._engine = http, f"{address}/observations", engine
        self._device, self._now, self._backoff = device, now, backoff
        self._more = asyncio.Event()
        self.is_away = False

    def wake(self) -> None:
        """There is something to send."""
        self._more.set()

    async def run(self) -> None:
        """Send until cancelled."""
        n_failures = 0
        while True:
            self._more.clear()
            with self._engine.begin() as connection:
                waiting = journal.unsent(connection, _BATCH)
            if not waiting:
                await self._more.wait()
            elif await self._sends(waiting):
                n_failures = 0
            else:
                n_failures += 1
                if not self.is_away:
                    _logger.warning("the twin at %s is away; what happens here is told to it later", self._address)
                self.is_away = True
                await asyncio.sleep(self._backoff.wait_s(n_failures))

    async def _sends(self, waiting: Sequence[Row[Any]]) -> bool:
        try:
            answer = await self._http.post(self._address, content=b"\n".join(map(self._event, waiting)), headers=_LINES)
        except httpx2.TransportError:
            return False
        if answer.status_code in (429, 500, 502, 503, 504):
            return False
        self.is_away = False
        if not answer.is_success and len(waiting) > 1:  # all or none: find out which one it is
            for one in waiting:
                if not await self._sends([one]):
                    return False
            return True
        refused = None if answer.is_success else f"{answer.status_code}: {answer.text[:300]}"
        if refused is not None:
            _logger.error("the twin refuses %s of %s: %s", waiting[0].type, rfc3339(waiting[0].at), refused)
        with self._engine.begin() as connection:
            journal.sent(connection, [one.n for one in waiting], self._now(), refused)
        return True

    def _event(self, row: Row[Any]) -> bytes:
        who = self._device
        told = {
            "specversion": "1.0",
            "id": f"{who.name}-{row.n}",
            "source": f"/gates/{who.name}",
            "type": row.type,
            "time": rfc3339(row.at),
            "site": who.site,
            "device": who.name,
            "bootepoch": str(who.boot_epoch),
            "sequence": str(row.n),
            "data": msgspec.json.decode(row.data),
        }
        return msgspec.json.encode(told)
