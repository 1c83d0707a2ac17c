"""``KafkaLog``: the port with observations in a topic; a position is given when an observation is folded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from twin.errors import BadInput, DamagedLog, LogClosed, NotFound, Overloaded
from twin.events.envelope import ObservationEvent, RecordedObservation
from twin.events.ids import Micros, SiteId
from twin.log.cuts import Anchor, Cuts
from twin.log.kafka.broker import Topic, ensure_topic, reading
from twin.log.kafka.records import encoded
from twin.log.kafka.sending import Sender
from twin.log.kafka.stream import SiteStream
from twin.log.kafka.verify import verify_streamed
from twin.log.passing import PassingLog
from twin.log.port import Outcome, Receipt
from twin.log.sql import SqlLog, streams
from twin.log.sql.cutting import facts_until
from twin.log.sql.streams import StreamPlace
from twin.log.sql.transaction import Transaction
from twin.log.tail import BATCH

N_QUEUED_EVENTS = 20_000
_PATIENCE_S = 10.0
_ACCEPTED = Receipt(outcome=Outcome.ACCEPTED, position=0)


class KafkaLog(PassingLog):
    """Appends to a topic, reads from it what is folded, and passes all else on to SQL. Make it with ``open``.

    Others see an observation only after the fold gave it a position; the fold's own view is ``twin.log.kafka.folding``.
    """

    def __init__(self, sql: SqlLog, topic: Topic, sender: Sender, *, n_queued_events: int) -> None:
        super().__init__(sql)
        self.sql = sql
        self.topic = topic
        self.sender = sender
        self._n_queued_events = n_queued_events
        self._n_sending = 0
        self._is_closed = False

    @classmethod
    async def open(
        cls, sql: SqlLog, brokers: str, name: str, *, n_partitions: int = 8, n_queued_events: int = N_QUEUED_EVENTS
    ) -> KafkaLog:
        """Connect to the brokers, and make the topic with so many partitions where it is missing.

        Raises:
            Overloaded: no broker answers.
        """
        topic = await ensure_topic(brokers, name, n_partitions=n_partitions)
        return cls(sql, topic, await Sender.start(brokers), n_queued_events=n_queued_events)

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``; all are accepted, which is durable, and none has a position yet.

        A site's events up to about 0.9 MB are stored all or none. Of what raises, some may be stored: a resend is harmless.
        """
        by_site: dict[SiteId, list[bytes]] = {}
        for event in events:
            by_site.setdefault(event.site, []).append(encoded(event))
        if self._is_closed:
            raise LogClosed("the log is closed; open it again")
        if self._n_sending + len(events) > self._n_queued_events:
            raise Overloaded(f"{self._n_sending} events wait for the broker, {self._n_queued_events} may; try again")
        self._n_sending += len(events)
        try:
            for site, values in by_site.items():
                await self.sender.send(self.topic, site, values)
        finally:
            self._n_sending -= len(events)
        return [_ACCEPTED] * len(events)

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """See ``twin.log.port.Log``; raises DamagedLog where the broker's retention took them."""
        head = await self.sql.read(streams.newest, site)
        kept = await self.sql.read(streams.newest, site, max(after, 0))
        if head is None or kept is None:  # kept in SQL, all or up to where they left
            found = await super().observations(site, after=after, limit=limit)
            if head is None or len(found) == limit:
                return found
            last = found[-1].position if found else after
            kept = await self.sql.read(streams.newest, site, last)
            return [*found, *await self._streamed(site, kept, head, last, limit - len(found))] if kept else found
        return await self._streamed(site, kept, head, after, limit)

    async def _streamed(
        self, site: SiteId, start: StreamPlace, head: StreamPlace, after: int, limit: int
    ) -> list[RecordedObservation]:
        """Positions after ``after``, read from ``start`` on, at most to the fold's cursor."""
        until = min(after + limit, head.position)
        if after >= until:
            return []
        stream = SiteStream(site, start)
        taken = await self._read_to(stream, until, start.partition)
        return [one for one in taken if after < one.position <= until]

    async def _read_to(self, stream: SiteStream, until: int, partition: int) -> list[RecordedObservation]:
        """Let a stream take records until it has given this position; gives what it gave, which may be more."""
        taken: list[RecordedObservation] = []
        async with reading(self.topic, partition) as reader:
            await reader.seek(stream.next_offset)
            try:
                while stream.position < until:
                    async with asyncio.timeout(_PATIENCE_S):
                        records = await reader.some()
                    taken += stream.take([one for one in records if one.site == stream.site])
            except TimeoutError:
                raise DamagedLog(
                    f"observation {stream.position + 1} of site '{stream.site}' should be in partition {partition} of topic "
                    f"'{self.topic.name}' from offset {stream.next_offset} on, but the broker does not have it"
                ) from None
        return taken

    async def observed_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        place = await self.sql.read(streams.newest_by, site, recorded_at)
        if place is None:
            return await super().observed_at(site, recorded_at)
        later = await self.observations(site, after=place.position, limit=streams.KEEP_EVERY)
        return max((one.position for one in later if one.recorded_at <= recorded_at), default=place.position)

    async def cut_observations(self, site: SiteId, *, until: int, version: str, state: bytes) -> Cuts:
        """See ``twin.log.port.Log``; the topic's own retention may then take what is before the anchor."""
        first, made = await self.sql.read(streams.first, site), await self.cuts(site)
        if first is None or until <= max(first.position, made.observations):
            return await super().cut_observations(site, until=until, version=version, state=state)
        cursor = (await self.heads(site)).cursor
        if until > cursor:
            raise BadInput(f"the observations of site '{site}' are folded up to {cursor}; {until} cannot be an anchor")
        kept_here = await self.sql.verified(site)
        for fault in (*kept_here.faults, *await verify_streamed(self, site)):
            raise DamagedLog(f"{fault.log} {fault.first} to {fault.last} of site '{site}': {fault.what}; nothing is cut of it")
        place = await self._place_at(site, until)
        anchor = Anchor(
            position=until,
            link=place.link,
            recorded_at=place.recorded_at,
            facts=await self.sql.read(facts_until, site, until),
            version=version,
            state=state,
            devices=place.devices,
        )
        return await self.sql.cut(site, anchor, place)

    async def _place_at(self, site: SiteId, position: int) -> StreamPlace:
        """Where the observations after a position are, which is folded."""
        before = await self.sql.read(streams.newest, site, position)
        assert before is not None
        if before.position == position:
            return before
        stream = SiteStream(site, before)
        await self._read_to(stream, position, before.partition)
        return stream.committed(position)

    async def backlog(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``; records of the whole partition, as the broker counts them."""
        place = await self.sql.read(streams.newest, site)
        async with reading(self.topic, self.topic.partition_of(site)) as reader:
            offset = place.next_offset if place else await reader.first_offset()
            await reader.seek(offset)
            await reader.read(1)
            return max(0, (reader.end or offset) - offset)

    def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``; each as soon as it is folded."""
        return self.sql.follow(partial(self._after, site), ("observations", site), after=after)

    async def _after(self, site: SiteId, position: int) -> list[RecordedObservation]:
        return await self.observations(site, after=position, limit=BATCH)

    async def aclose(self) -> None:
        """See ``twin.log.port.Log``."""
        self._is_closed = True
        await self.sender.aclose()
        await super().aclose()


async def stored_place(log: KafkaLog, site: SiteId) -> StreamPlace:
    """Where the fold of a site goes on, made at the topic's first record where it has not begun.

    Raises:
        NotFound: the site's records are in another topic or partition now.
    """
    place = await log.sql.read(streams.newest, site)
    if place is None:
        place = await _begun(log, site)
    partition = log.topic.partition_of(site)
    if (place.topic, place.partition) != (log.topic.name, partition):
        raise NotFound(
            f"site '{site}' was folded from partition {place.partition} of topic '{place.topic}', but its records go to "
            f"partition {partition} of '{log.topic.name}'. A topic's partitions cannot be added to; use the old topic"
        )
    return place


async def _begun(log: KafkaLog, site: SiteId) -> StreamPlace:
    partition = log.topic.partition_of(site)
    async with reading(log.topic, partition) as reader:
        offset = await reader.first_offset()

    def begin(transaction: Transaction) -> StreamPlace:
        return streams.begin(transaction.connection, site, topic=log.topic.name, partition=partition, next_offset=offset)

    return await log.sql.write(begin, site)
