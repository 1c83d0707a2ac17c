"""Facts to a broker's topic, by a durable subscription like anybody's: at least once, in order within a session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from twin.backoff import Backoff
from twin.errors import LogClosed, NotFound, Overloaded, TwinError
from twin.events.codec import to_json
from twin.feeds.subscriptions import Lease, Subscriptions
from twin.log.subscriptions import Filter

SUBSCRIPTION = "publisher"

_BATCH = 200
_LEASE_S = 30.0
_WAIT_S = 20.0

_logger = logging.getLogger(__name__)

Send = Callable[[Sequence[bytes]], Awaitable[None]]
"""Durable when it returns; raises Overloaded, and then some may have been sent."""


class FactPublisher:
    """Publishes one site's facts as CloudEvents JSON. Any number of processes may: a session is with one of them at a time."""

    def __init__(self, subscriptions: Subscriptions, send: Send, *, consumer: str, backoff: Backoff) -> None:
        """
        Args:
            consumer: names this process; what it held before a restart under this name is its own again.
        """
        self._subscriptions = subscriptions
        self._send = send
        self._consumer = consumer
        self._backoff = backoff

    async def run(self) -> None:
        """From the first fact on, until cancelled. A broker or a store that fails is asked again, ever less often.

        Raises:
            LogClosed: the log stopped.
        """
        n_failures, step = 0, self._begin
        while True:
            try:
                await step()
                n_failures, step = 0, self._publish
            except LogClosed:
                raise
            except TwinError as wrong:
                n_failures += 1
                wait_s = self._backoff.wait_s(n_failures)
                _logger.warning("facts are published later, in %.1f s: %s", wait_s, wrong)
                await asyncio.sleep(wait_s)

    async def _publish(self) -> None:
        """A lease's facts, if any come. A lease that is not acknowledged is this consumer's again with its next one."""
        lease = await self._subscriptions.lease(
            SUBSCRIPTION, limit=_BATCH, lease_s=_LEASE_S, wait_s=_WAIT_S, consumer=self._consumer
        )
        if not lease.number:
            return
        try:
            async with asyncio.timeout(_LEASE_S / 2):
                await self._send([to_json(one.fact) for one in lease.handed])
        except (Overloaded, TimeoutError) as wrong:
            await self._subscriptions.release(SUBSCRIPTION, lease.number)
            raise Overloaded(f"{len(lease.handed)} were not taken: {str(wrong) or 'the broker was too slow'}") from wrong
        await self._acknowledge(lease)

    async def _begin(self) -> None:
        try:
            await self._subscriptions.standing(SUBSCRIPTION)
        except NotFound:
            await self._subscriptions.put(SUBSCRIPTION, Filter(), after=await self._subscriptions.begins())

    async def _acknowledge(self, lease: Lease) -> None:
        positions = [one.fact.position for one in lease.handed]
        again = await self._subscriptions.acknowledge(SUBSCRIPTION, lease.number, positions)
        if again:
            _logger.warning("%d facts are published twice: the lease had ended", len(again))
