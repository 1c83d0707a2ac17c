"""The log that the settings name, in its layers: a database, a broker where one is named, and what seals personal data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from twin.errors import MissingExtra
from twin.log.sealing import SealingLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.log import SqlLog
from twin.settings import Settings

if TYPE_CHECKING:
    from twin.log.kafka.log import KafkaLog


@dataclass(frozen=True)
class Logs:
    """One log in its layers.

    Attributes:
        log: what everybody appends to and reads from; it seals personal data.
        kafka: where the observations are kept in a broker.
    """

    log: SealingLog
    sql: SqlLog
    kafka: KafkaLog | None
    keys: SqlKeyRing


def open_log(settings: Settings, *, read_only: bool = False, upgrade: bool = False) -> SqlLog:
    """The log that the settings name; raises as ``SqlLog.open``."""
    queued = settings.queued_events
    return SqlLog.open(settings.log_location, read_only=read_only, upgrade=upgrade, n_queued_events=queued)


@asynccontextmanager
async def opened_logs(settings: Settings, *, read_only: bool = False) -> AsyncIterator[Logs]:
    """The log that the settings name, until the block ends.

    Raises:
        MissingExtra: a broker is named and its client is not installed.
        Overloaded: no broker answers.
    """
    sql = open_log(settings, read_only=read_only)
    kafka = None
    try:
        if settings.kafka_brokers is not None:
            kafka = await _kafka(settings, sql)
        keys = SqlKeyRing(sql)
        yield Logs(log=SealingLog(kafka or sql, keys), sql=sql, kafka=kafka, keys=keys)
    finally:
        await (kafka or sql).aclose()


async def _kafka(settings: Settings, sql: SqlLog) -> KafkaLog:
    if find_spec("aiokafka") is None:
        raise MissingExtra("TWIN_KAFKA_BROKERS is set, but aiokafka is not installed; pip install 'spatial-twin[kafka]'")
    from twin.log.kafka.log import KafkaLog

    assert settings.kafka_brokers is not None
    return await KafkaLog.open(
        sql,
        settings.kafka_brokers,
        settings.kafka_topic,
        n_partitions=settings.kafka_partitions,
        n_queued_events=settings.queued_events,
    )
