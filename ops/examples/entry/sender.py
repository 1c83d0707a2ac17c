"""Brings what the journal holds for the twin to the twin, in order, however long that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import httpx2
import msgspec
from sqlalchemy import Engine, Row

from ops.examples.database import until_there
from ops.examples.entry import journal
from twin.backoff import Backoff
from twin.events.codec import rfc3339
from twin.events.ids import Micros
from twin.projections.answers import Receipts

_BATCH = 200
_LINES = {"content-type": "application/x-ndjson"}
_PASSING = frozenset({401, 403, 404, 408, 429})  # of 4xx: a key or a site may be missing for a while; others refuse the content
_NOT_STORED = ("refused", "expired")

_logger = logging.getLogger(__name__)


class Sender:
    """One at a time, the oldest first; what the twin has is resent without harm, as its number is the device's sequence."""

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
        self._said: set[str] = set()  # kinds of trouble, since the twin last took something

    def wake(self) -> None:
        """There is something to send."""
        self._more.set()

    async def run(self) -> None:
        """Send until cancelled."""
        n_failures = 0
        while True:
            self._more.clear()
            waiting = await until_there(self._unsent)
            if not waiting:
                await self._more.wait()
            elif await self._sends(waiting):
                n_failures = 0
            else:
                n_failures += 1
                await asyncio.sleep(self._backoff.wait_s(n_failures))

    def _unsent(self) -> Sequence[Row[Any]]:
        with self._engine.begin() as connection:
            return journal.unsent(connection, _BATCH)

    async def _sends(self, waiting: Sequence[Row[Any]]) -> bool:
        """Whether the twin has said of each what becomes of it; else all that it said nothing of is sent again later."""
        try:
            answer = await self._http.post(self._address, content=b"\n".join(map(self._event, waiting)), headers=_LINES)
        except httpx2.TransportError as away:
            return self._is_later(type(away).__name__)
        if not answer.is_success and (answer.status_code // 100 != 4 or answer.status_code in _PASSING):
            return self._is_later(str(answer.status_code), answer.text[:300])
        if not answer.is_success and len(waiting) > 1:  # all or none: find out which one it is
            for one in waiting:
                if not await self._sends([one]):
                    return False
            return True
        reasons = _reasons(answer, len(waiting))
        if reasons is None:
            return self._is_later("no receipt for each", answer.text[:300])
        self._said.clear()
        await until_there(partial(self._note, waiting, reasons))
        return True

    def _is_later(self, kind: str, trouble: str = "") -> bool:
        """Say that the twin takes nothing, of each kind of trouble once until it takes something again; gives False."""
        if kind not in self._said:
            self._said.add(kind)
            _logger.warning("%s takes nothing: %s %s; what happens here is told to it later", self._address, kind, trouble)
        return False

    def _note(self, waiting: Sequence[Row[Any]], reasons: Sequence[str | None]) -> None:
        now, pairs = self._now(), list(zip(waiting, reasons, strict=True))
        with self._engine.begin() as connection:
            journal.sent(connection, [one.n for one, reason in pairs if reason is None], now)
            for one, reason in pairs:
                if reason is not None:
                    journal.sent(connection, [one.n], now, reason)
                    _logger.error("the twin refuses %s of %s: %s", one.type, rfc3339(one.at), reason)

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


def _reasons(answer: httpx2.Response, n_sent: int) -> Sequence[str | None] | None:
    """Why each was not stored, None where it was; None in all where the answer does not say it of each."""
    if not answer.is_success:
        return [f"{answer.status_code}: {answer.text[:300]}"] * n_sent
    try:
        receipts = msgspec.json.decode(answer.content, type=Receipts).receipts
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None
    reasons = [f"{one.outcome}: {one.reason}" if one.outcome in _NOT_STORED else None for one in receipts]
    return reasons if len(reasons) == n_sent else None
