"""A consumer group that shares out partitions. It only says who has which; each is read by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import cast

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError, UnknownMemberIdError

from twin.errors import Overloaded
from twin.log.kafka.broker import Topic
from twin.log.kafka.starting import connect

SESSION_TIMEOUT_MS = 6_000
"""How long a member may be silent before its partitions go to others."""

_HEARTBEAT_MS = 1_500
_POLL_MS = 1_000
_COMMIT_EVERY_POLLS = 5


class Membership:
    """One process's part in a group. Offsets are committed for monitoring alone: the fold's are in its own transaction."""

    def __init__(self, topic: Topic, group: str, *, client: str) -> None:
        self._topic = topic
        self._group = group
        self._client = client

    async def run(
        self,
        assigned: Callable[[set[int]], Awaitable[None]],
        revoked: Callable[[set[int]], Awaitable[None]],
        offset_of: Callable[[int], int | None],
    ) -> None:
        """Take part until cancelled, then leave.

        Args:
            offset_of: how far a partition is folded; None: not known yet.

        Raises:
            Overloaded: no broker answers.
        """
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._topic.brokers,
            group_id=self._group,
            client_id=self._client,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
        )
        consumer.subscribe([self._topic.name], listener=_Listener(consumer, assigned, revoked))
        try:
            await connect(consumer)
            while True:
                for _ in range(_COMMIT_EVERY_POLLS):
                    await consumer.getmany(timeout_ms=_POLL_MS)  # all paused: only shows that we are there
                await self._commit(consumer, offset_of)
        except KafkaError as wrong:
            raise Overloaded(f"the broker at {self._topic.brokers} failed: {wrong!r}; it is asked again") from wrong
        finally:
            await consumer.stop()

    async def _commit(self, consumer: AIOKafkaConsumer, offset_of: Callable[[int], int | None]) -> None:
        mine = cast("Iterable[TopicPartition]", consumer.assignment())
        offsets = {one: offset for one in mine if (offset := offset_of(one.partition)) is not None}
        if offsets:
            try:
                await consumer.commit(offsets)
            except (CommitFailedError, RebalanceInProgressError, UnknownMemberIdError):
                return  # they are being given to others


class _Listener(ConsumerRebalanceListener):
    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        assigned: Callable[[set[int]], Awaitable[None]],
        revoked: Callable[[set[int]], Awaitable[None]],
    ) -> None:
        self._consumer = consumer
        self._assigned = assigned
        self._revoked = revoked

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride] - either kind is awaited
        self, assigned: Iterable[TopicPartition]
    ) -> None:
        partitions = list(assigned)
        if partitions:
            self._consumer.pause(*partitions)
        await self._assigned({one.partition for one in partitions})

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        await self._revoked({one.partition for one in revoked})
