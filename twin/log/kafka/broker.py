"""How a broker is reached: its topic, made where it is missing, and consumers of one partition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import ConsumerRecord
from msgspec import Struct

from twin.errors import DamagedLog, Overloaded
from twin.events.ids import SiteId
from twin.log.kafka.records import Record, partition_of
from twin.log.kafka.starting import connect

MOST_RECORDS = 1_000
_FETCH_WAIT_MS = 100
_FETCH_BYTES = 4_000_000
_REPLICATION = 3


class Topic(Struct, frozen=True, kw_only=True):
    """Where observations are.

    Attributes:
        brokers: ``HOST:PORT``, several separated by commas.
        partitions: of the topic, 0 to n-1.
    """

    brokers: str
    name: str
    partitions: tuple[int, ...]

    def partition_of(self, site: SiteId) -> int:
        """The one that has all records of a site."""
        return partition_of(site, self.partitions)


async def ensure_topic(brokers: str, name: str, *, n_partitions: int) -> Topic:
    """The topic; where it is missing it is made, with so many partitions, and replicated to as many brokers as can be of three.

    Raises:
        Overloaded: no broker answers.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    try:
        await connect(admin)
        replication = min(_REPLICATION, len((await admin.describe_cluster())["brokers"]))
        made: Any = await admin.create_topics([NewTopic(name, n_partitions, replication)])
        for _, code, message in made.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise Overloaded(f"topic '{name}' cannot be made at {brokers}: {message}; make it, or mend the broker")
        (found,) = await admin.describe_topics([name])
        return Topic(brokers=brokers, name=name, partitions=tuple(sorted(one["partition"] for one in found["partitions"])))
    except KafkaConnectionError as wrong:
        raise Overloaded(f"no Kafka broker answers at {brokers}: {wrong}; start it, or set TWIN_KAFKA_BROKERS") from None
    finally:
        await admin.close()


class PartitionReader:
    """Reads one partition from an offset on, by itself, in no consumer group."""

    def __init__(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        self._consumer = consumer
        self._partition = partition

    async def seek(self, offset: int) -> None:
        """Read on from there.

        Raises:
            DamagedLog: the topic no longer has this record.
        """
        first = await self.first_offset()
        if offset < first:
            raise DamagedLog(
                f"partition {self._partition.partition} of topic '{self._partition.topic}' begins at offset {first}, but "
                f"{offset} is wanted: the broker's retention took {first - offset} records. Keep them longer; a site's "
                "database has what was folded of them"
            )
        self._consumer.seek(self._partition, offset)

    async def first_offset(self) -> int:
        """Of the oldest record that is kept."""
        return (await self._consumer.beginning_offsets([self._partition]))[self._partition]

    async def read(self, limit: int = MOST_RECORDS) -> list[Record]:
        """The next records, as many as are there; after a short wait, none."""
        found = await self._consumer.getmany(self._partition, timeout_ms=2 * _FETCH_WAIT_MS, max_records=limit)
        return [_record(one) for records in found.values() for one in records]

    async def some(self) -> list[Record]:
        """The next records, at least one: waits for it."""
        while not (records := await self.read()):
            pass
        return records

    @property
    def end(self) -> int | None:
        """The offset after the partition's newest record, as of the last read; None before the first."""
        return self._consumer.highwater(self._partition)


@asynccontextmanager
async def reading(topic: Topic, partition: int) -> AsyncIterator[PartitionReader]:
    """A reader of one partition; raises Overloaded where no broker answers."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=topic.brokers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    assigned = TopicPartition(topic.name, partition)
    try:
        await connect(consumer)
        consumer.assign([assigned])
        yield PartitionReader(consumer, assigned)
    except KafkaError as wrong:
        raise Overloaded(f"the broker at {topic.brokers} failed: {wrong!r}; it is asked again") from wrong
    finally:
        await consumer.stop()


def by_site(records: Sequence[Record]) -> dict[SiteId, list[Record]]:
    """Records grouped, each group in order."""
    grouped: dict[SiteId, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.site, []).append(record)
    return grouped


def _record(one: ConsumerRecord[bytes, bytes]) -> Record:
    site = SiteId((one.key or b"").decode(errors="replace"))
    return Record(offset=one.offset, at=one.timestamp * 1_000, site=site, value=one.value or b"")
