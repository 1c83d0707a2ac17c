"""Cameras' edge devices, and the network between them and the service."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from twin.errors import Overloaded
from twin.events.codec import to_json
from twin.events.envelope import ObservationEvent
from twin.events.ids import SECOND, Micros
from twin.log.port import Receipt

from .faults import Faults
from .service import Down, Service

_MOST = 40
_TIMEOUT_S = 3.0


class Device:
    """Keeps what it produced, in order, until it was acknowledged; one request at a time."""

    def __init__(self, events: Sequence[tuple[Micros, ObservationEvent]], start_at: Micros, network: Network) -> None:
        self._coming = deque(((at - start_at) / SECOND, event) for at, event in events)
        self._spool: deque[ObservationEvent] = deque()
        self._network = network

    @property
    def is_done(self) -> bool:
        """Everything was produced and acknowledged."""
        return not self._coming and not self._spool

    async def run(self) -> None:
        """Until everything is acknowledged."""
        loop = asyncio.get_running_loop()
        while not self.is_done:
            while self._coming and self._coming[0][0] <= loop.time():
                self._spool.append(self._coming.popleft()[1])
            batch = [self._spool[number] for number in range(min(_MOST, len(self._spool)))]
            if batch and await self._network.deliver(batch):
                for _ in batch:
                    self._spool.popleft()
                continue
            await asyncio.sleep(0.25)


class Network:
    """Loses, doubles, delays and reorders requests and answers; cuts devices off for a while."""

    def __init__(self, service: Service, faults: Faults) -> None:
        self._service, self._faults = service, faults
        self._cut_until_s = 0.0
        self._strays: set[asyncio.Task[None]] = set()

    async def deliver(self, batch: Sequence[ObservationEvent]) -> bool:
        """Whether the sender got an answer that its batch is stored."""
        faults, loop = self._faults, asyncio.get_running_loop()
        if faults.happens(faults.cut_off):
            self._cut_until_s = loop.time() + faults.draw.uniform(1.0, 20.0)
        if not faults.is_healed and loop.time() < self._cut_until_s:
            return False
        body = b"\n".join(map(to_json, batch))
        if faults.happens(faults.request_lost):
            return False
        if faults.happens(faults.doubled):
            stray = loop.create_task(self._stray(body, faults.draw.uniform(0.0, 8.0)))
            self._strays.add(stray)
            stray.add_done_callback(self._strays.discard)
        await faults.pause(faults.delayed, 2.0)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                receipts: list[Receipt] = await self._service.ingest(body)
        except (Down, Overloaded, TimeoutError):
            return False
        return len(receipts) == len(batch) and not faults.happens(faults.answer_lost)

    async def _stray(self, body: bytes, after_s: float) -> None:
        """The same request once more, any time later."""
        await asyncio.sleep(after_s)
        try:
            await self._service.ingest(body)
        except (Down, Overloaded):
            return

    @property
    def is_quiet(self) -> bool:
        """No request is on its way."""
        return not self._strays
