"""The fold's view of a partition: one reader, which gives each of its sites what is its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

from twin.errors import CursorConflict
from twin.events.envelope import RecordedObservation
from twin.events.ids import SiteId
from twin.log.kafka.broker import by_site, reading
from twin.log.kafka.log import KafkaLog, stored_place
from twin.log.kafka.records import Record
from twin.log.kafka.stream import SiteStream
from twin.log.passing import PassingLog
from twin.log.port import FoldCommit, Log

_QUEUED_READS = 4

_logger = logging.getLogger(__name__)


class PartitionFeed:
    """Reads a partition once for all of its sites, from the least of their offsets; a slow site makes the others wait."""

    def __init__(self, log: KafkaLog, partition: int, sites: Sequence[SiteId]) -> None:
        self._log = log
        self.partition = partition
        self._queues: dict[SiteId, asyncio.Queue[list[Record]]] = {site: asyncio.Queue(_QUEUED_READS) for site in sites}
        self._strangers: set[SiteId] = set()
        self.next_offset = 0
        self.end = 0

    def view(self, site: SiteId, log: Log) -> FoldedSite:
        """The log as the fold of a site needs it; ``log`` is what is in front of the broker's, such as one that seals."""
        return FoldedSite(log, self._log, self, site, self._queues[site])

    async def run(self) -> None:
        """Read until cancelled; raises Overloaded where the broker fails, DamagedLog where its retention took records."""
        places = [await stored_place(self._log, site) for site in self._queues]
        self.next_offset = min(place.next_offset for place in places)
        async with reading(self._log.topic, self.partition) as reader:
            await reader.seek(self.next_offset)
            while True:
                records = await reader.read()
                for site, own in by_site(records).items():
                    await self._give(site, own)
                self.next_offset = records[-1].offset + 1 if records else self.next_offset
                self.end = max(reader.end or 0, self.next_offset)

    async def _give(self, site: SiteId, records: list[Record]) -> None:
        if site in self._queues:
            await self._queues[site].put(records)
        elif site not in self._strangers:
            self._strangers.add(site)
            _logger.warning("partition %d has records of site '%s', which is not served here", self.partition, site)

    @property
    def lag(self) -> int:
        """Records that are in the partition and not read yet."""
        return self.end - self.next_offset


class FoldedSite(PassingLog):
    """A log whose observations come from a feed, and whose commits store how far it was read."""

    def __init__(
        self, log: Log, kafka: KafkaLog, feed: PartitionFeed, site: SiteId, queue: asyncio.Queue[list[Record]]
    ) -> None:
        super().__init__(log)
        self._kafka = kafka
        self._feed = feed
        self._site = site
        self._queue = queue
        self._stream: SiteStream | None = None
        self._cursor = 0

    async def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``; once, and from the cursor on.

        Raises:
            CursorConflict: the cursor is elsewhere.
        """
        place = await stored_place(self._kafka, site)
        if place.position != after or self._stream is not None:
            raise CursorConflict(f"the fold of site '{site}' stands at {after}, but {place.position} is stored; begin again")
        self._stream, self._cursor = SiteStream(site, place), after
        while True:
            if batch := self._stream.take(await self._queue.get()):
                yield batch

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        assert self._stream is not None
        place = self._stream.committed(commit.cursor)
        head = await self._kafka.sql.commit_streamed(commit, place, self._stream.refusals(place))
        self._stream.stored(place)
        self._cursor = commit.cursor
        return head

    async def backlog(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``; what of the partition is not read counts for each of its sites."""
        waiting = 0 if self._stream is None else self._stream.position - self._cursor
        return waiting + self._queue.qsize() + self._feed.lag
