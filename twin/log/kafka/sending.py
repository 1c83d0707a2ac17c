"""Records to a broker, durable when ``send`` returns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from twin.errors import Overloaded, TooLarge
from twin.events.ids import SiteId
from twin.log.kafka.broker import Topic
from twin.log.kafka.starting import connect

_REQUEST_TIMEOUT_MS = 10_000
_LARGEST_BATCH = 900_000  # below the usual message.max.bytes of 1 MiB
_LARGEST_RECORD = 890_000


class Sender:
    """One producer of this process. Make it with ``start``, end it with ``aclose``."""

    def __init__(self, brokers: str, producer: AIOKafkaProducer) -> None:
        self._brokers = brokers
        self._producer = producer

    @classmethod
    async def start(cls, brokers: str) -> Sender:
        """Connect; raises Overloaded where no broker answers."""
        producer = AIOKafkaProducer(
            bootstrap_servers=brokers,
            acks="all",
            max_batch_size=_LARGEST_BATCH,
            max_request_size=2 * _LARGEST_BATCH,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            await connect(producer)
        except KafkaError as wrong:
            await producer.stop()
            raise Overloaded(f"no Kafka broker answers at {brokers}: {wrong}; start it, or set TWIN_KAFKA_BROKERS") from None
        except asyncio.CancelledError:
            await producer.stop()
            raise
        return cls(brokers, producer)

    async def send(self, topic: Topic, site: SiteId, values: Sequence[bytes]) -> None:
        """Records of a site, in this order; up to about 0.9 MB of them all or none.

        Raises:
            Overloaded: the broker did not take them; some may be there.
            TooLarge: one of them is larger than a broker takes; none was sent.
        """
        if (largest := max(map(len, values), default=0)) > _LARGEST_RECORD:
            raise TooLarge(f"a record of {largest} bytes; a broker takes at most {_LARGEST_RECORD}")
        waiting: list[asyncio.Future[object]] = []
        partition, key, batch = topic.partition_of(site), site.encode(), self._producer.create_batch()
        try:
            for value in values:
                if batch.append(key=key, value=value, timestamp=None) is None:
                    waiting.append(await self._producer.send_batch(batch, topic.name, partition=partition))
                    batch = self._producer.create_batch()
                    batch.append(key=key, value=value, timestamp=None)
            waiting.append(await self._producer.send_batch(batch, topic.name, partition=partition))
            await asyncio.gather(*waiting)
        except KafkaTimeoutError:
            raise Overloaded(
                f"the broker at {self._brokers} did not acknowledge in time; some may be stored, send all again"
            ) from None
        except KafkaError as wrong:
            raise Overloaded(f"the broker at {self._brokers} refused: {wrong!r}; send all again") from None

    async def aclose(self) -> None:
        """Send what waits, then disconnect."""
        await self._producer.stop()
