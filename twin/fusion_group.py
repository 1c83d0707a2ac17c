"""Fusion workers of one process, for the sites in those partitions that a consumer group gives it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from twin.backoff import Backoff
from twin.errors import CursorConflict, Deposed, Overloaded
from twin.events.ids import SiteId
from twin.log.kafka.folding import PartitionFeed
from twin.log.kafka.log import KafkaLog
from twin.log.kafka.membership import Membership
from twin.log.port import Log
from twin.service import FusionWorker

_logger = logging.getLogger(__name__)
_TOLD_AGAIN_S = 3.0


class FusionGroup:
    """Folds what it is given, and lets go of what is taken away.

    Two processes that both believe to have a site do no harm: the later one's fencing token deposes the other.
    """

    def __init__(
        self,
        kafka: KafkaLog,
        front: Log,
        sites: Sequence[SiteId],
        worker_of: Callable[[Log, SiteId], FusionWorker],
        *,
        group: str,
        worker_id: str,
        backoff: Backoff,
    ) -> None:
        """
        Args:
            front: the log with whatever is in front of ``kafka``, such as the sealing of personal data.
            worker_of: a worker that folds a site from a log.
        """
        self._kafka = kafka
        self._front = front
        self._sites = sites
        self._worker_of = worker_of
        self._backoff = backoff
        self._membership = Membership(kafka.topic, group, client=worker_id)
        self._folding: dict[int, asyncio.Task[None]] = {}
        self._feeds: dict[int, PartitionFeed] = {}
        self._failed: asyncio.Future[None] | None = None

    @property
    def partitions(self) -> list[int]:
        """Those that this process has."""
        return sorted(self._folding)

    async def run(self) -> None:
        """Take part in the group until cancelled; raises what a fold failed with, if trying again cannot help."""
        self._failed = asyncio.get_running_loop().create_future()
        joined = asyncio.create_task(self._joined())
        try:
            await asyncio.wait([joined, self._failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _ended([joined])
            await self._let_go(set(self._folding))
        if self._failed.done():
            self._failed.result()
        joined.result()

    async def _joined(self) -> None:
        n_failures = 0
        while True:
            began_s = asyncio.get_running_loop().time()
            try:
                await self._membership.run(self._take, self._let_go, self._offset_of)
            except Overloaded as wrong:
                _logger.warning("the group is left: %s", wrong)
                await self._let_go(set(self._folding))
            n_failures = await self._paused(n_failures, began_s)

    async def _take(self, partitions: set[int]) -> None:
        for partition in sorted(partitions - set(self._folding)):
            sites = [site for site in self._sites if self._kafka.topic.partition_of(site) == partition]
            _logger.info("partition %d is folded here: %s", partition, ", ".join(sites) or "no site of ours")
            if sites:
                task = asyncio.create_task(self._fold(partition, sites), name=f"fold of partition {partition}")
                task.add_done_callback(self._note)
                self._folding[partition] = task

    async def _let_go(self, partitions: set[int]) -> None:
        tasks = [self._folding.pop(one) for one in partitions & set(self._folding)]
        for one in partitions:
            self._feeds.pop(one, None)
        await _ended(tasks)

    async def _fold(self, partition: int, sites: Sequence[SiteId]) -> None:
        """Fold until cancelled; from the stored places again whenever another process or the broker came between."""
        n_failures = 0
        while True:
            began_s = asyncio.get_running_loop().time()
            feed = self._feeds[partition] = PartitionFeed(self._kafka, partition, sites)
            workers = [self._worker_of(feed.view(site, self._front), site) for site in sites]
            try:
                async with asyncio.TaskGroup() as parts:
                    for part in (feed, *workers):
                        parts.create_task(part.run())
            except* (Deposed, CursorConflict, Overloaded) as wrong:
                _logger.warning("partition %d is folded again: %s", partition, wrong.exceptions[0])
            n_failures = await self._paused(n_failures, began_s)

    async def _paused(self, n_failures: int, began_s: float) -> int:
        """Wait before another try, longer after failures in a row; gives how many they are now."""
        lasted_s = asyncio.get_running_loop().time() - began_s
        n_failures = 1 if lasted_s > self._backoff.longest_s else n_failures + 1
        await asyncio.sleep(self._backoff.wait_s(n_failures))
        return n_failures

    def _offset_of(self, partition: int) -> int | None:
        feed = self._feeds.get(partition)
        return feed.next_offset if feed is not None else None

    def _note(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            assert self._failed is not None
            if not self._failed.done():
                self._failed.set_exception(_first(failure))


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end, whatever it is.

    They are told again now and then: a client that is closing, and a group of tasks of which another fails at that moment,
    lose a cancellation.
    """
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=_TOLD_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def _first(failure: BaseException) -> BaseException:
    """What a group of failures began with: it alone is told."""
    return _first(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure
