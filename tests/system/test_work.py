"""Two fusion workers on a broker, one of them killed: every site goes on, and nothing shows that there were two."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import pytest
from msgspec.structs import replace

pytest.importorskip("aiokafka", reason="the extra 'kafka' is not installed")
pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")

from perception.synthetic.profiles import HARSH
from perception.synthetic.simulate import Simulation
from site_models.dump import dump_site
from site_models.load import load_site
from twin.evaluation.offline import DeviceKeys
from twin.evaluation.proofs import part
from twin.events.codec import to_json
from twin.events.envelope import RecordedObservation
from twin.events.ids import SECOND, SiteId
from twin.log.kafka.broker import ensure_topic, reading
from twin.log.kafka.log import KafkaLog
from twin.log.kafka.records import decoded
from twin.log.sealing import SealingLog, personal_of
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.rules.fold import Fold
from twin.service import check

N_SITES = 8
RESUME_WITHIN_S = 15.0
PUBLISH_WITHIN_S = 90  # longer than a lease
pytestmark = pytest.mark.alone

SECONDS = int(os.environ.get("WORK_SECONDS", "40"))
START_S = int(os.environ.get("WORK_START_S", "40"))  # that two workers may take to start
TOPIC = "observations"


@pytest.fixture
def servers():
    """(broker, PostgreSQL)"""
    program, programs = part("broker").program(), part("postgres").binaries()
    if program is None or programs is None:
        pytest.skip("no broker, or no PostgreSQL, is installed")
    with part("broker").running(program) as broker, part("postgres").running(programs) as postgres:
        yield broker, postgres


@pytest.fixture
def sites(tmp_path):
    """By folder: eight sites alike, in four partitions."""
    model = part("site_day").PROOF_SITE
    folders = [tmp_path / f"site-{number}" for number in range(N_SITES)]
    for folder in folders:
        dump_site(replace(model, name=SiteId(folder.name)), folder)
    return {folder: load_site(folder) for folder in folders}


async def produce(log, site, seed):
    """Simulated observations as they happen, with every fifth batch sent again."""
    start_at = time.time_ns() // 1_000
    began_s, batch, n_sent = time.monotonic(), [], 0
    for arrived_at, event in Simulation(site, seed, HARSH, start_at, ticks=False).events(start_at + SECONDS * SECOND):
        while (arrived_at - start_at) / SECOND > time.monotonic() - began_s:
            if batch:
                await log.append(batch)
                n_sent += 1
                if n_sent % 5 == 0:
                    await log.append(batch)
                batch = []
            await asyncio.sleep(0.1)
        batch.append(event)
    await log.append(batch)


async def cursors(log, names):
    return {name: (await log.heads(name)).cursor for name in names}


async def all_go_on(log, names, *, within_s):
    """Until every cursor moved; gives how long that took."""
    began_s, before = time.monotonic(), await cursors(log, names)
    while True:
        now = await cursors(log, names)
        if all(now[name] > before[name] for name in names):
            return time.monotonic() - began_s
        assert time.monotonic() - began_s < within_s, f"no progress: {[name for name in names if now[name] == before[name]]}"
        await asyncio.sleep(0.05)


async def one_worker_s_facts(log, keys, site, cursor):
    """What a single worker makes of the topic: read straight from the broker, each device key once."""
    fold, seen, position, facts = Fold(site), DeviceKeys(), 0, []
    state = fold.initial()
    async with reading(log.topic, log.topic.partition_of(site.name)) as reader:
        await reader.seek(0)
        while position < cursor:
            for record in await reader.some():
                if record.site != site.name or position == cursor:
                    continue
                event = decoded(record)
                if seen.add(event.key):
                    position += 1
                    recorded = RecordedObservation(position=position, recorded_at=record.at, event=event)
                    state, triggered = fold.step(state, recorded, await personal_of(keys, event))
                    facts += map(to_json, triggered)
    return facts


@pytest.mark.timeout(200 + SECONDS + START_S)
async def test_every_site_of_a_killed_worker_goes_on_with_the_facts_of_one_worker(
    processes, servers, sites, monkeypatch, record_property
):
    broker, postgres = servers
    url = postgres.database("work")
    for name, value in {
        "DATABASE_URL": url,
        "KAFKA_BROKERS": broker.address,
        "KAFKA_TOPIC": TOPIC,
        "KAFKA_PARTITIONS": "4",
    }.items():
        monkeypatch.setenv(f"TWIN_{name}", value)
    sql = SqlLog.open(url)
    kafka = await KafkaLog.open(sql, broker.address, TOPIC, n_partitions=4)
    keys = SqlKeyRing(sql)
    log = SealingLog(kafka, keys)
    command = ("twin.cli", "work", *(word for folder in sites for word in ("--site", str(folder))))
    names = [site.name for site in sites.values()]
    try:
        workers = [processes.spawn(*command, name=f"worker-{number}") for number in range(2)]
        producing = [asyncio.create_task(produce(log, site, seed)) for seed, site in enumerate(sites.values(), 1)]
        await all_go_on(log, names, within_s=START_S)
        await asyncio.sleep(8)  # the second has joined
        workers[0].send_signal(signal.SIGKILL)
        took_s = await all_go_on(log, names, within_s=RESUME_WITHIN_S)
        record_property("resumed_s", round(took_s, 1))
        print(f"every site went on within {took_s:.1f} s")
        await asyncio.gather(*producing)
        assert workers[1].poll() is None, processes.errors("worker-1")
        for site in sites.values():
            await all_published(kafka, log, site.name)
        workers[1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(workers[1].wait, 30) == 0, processes.errors("worker-1")
        n_facts = 0
        for site in sites.values():
            heads = await log.heads(site.name)
            stored = [to_json(one.event) for one in await all_facts(log, site.name, heads.facts)]
            assert stored == await one_worker_s_facts(kafka, keys, site, heads.cursor)
            assert (await check(log, keys, Fold(site))).facts == heads.facts
            n_facts += len(stored)
        assert n_facts > N_SITES * 10
        print(f"{n_facts} facts of {sum((await cursors(log, names)).values())} observations")
    finally:
        await log.aclose()


async def all_published(kafka, log, site):
    """Wait until the broker has every fact up to some position, most there are: what was leased to the killed comes again."""
    began_s = time.monotonic()
    while True:
        told, n_facts = await published(kafka, site), (await log.heads(site)).facts
        if told == set(range(1, len(told) + 1)) and len(told) > 0.8 * n_facts:
            return
        missing = sorted(set(range(1, n_facts + 1)) - told)
        assert time.monotonic() - began_s < PUBLISH_WITHIN_S, (
            f"'{site}': {missing[:5]} of {n_facts} facts are not in the broker"
        )
        await asyncio.sleep(0.5)


async def published(kafka, site):
    """Positions of the facts that are in the broker."""
    topic, found = await ensure_topic(kafka.topic.brokers, "twin-facts", n_partitions=4), set()
    async with reading(topic, topic.partition_of(site)) as reader:
        await reader.seek(0)
        while records := await reader.read():
            found |= {int(json.loads(one.value)["position"]) for one in records if one.site == site}
    return found


async def all_facts(log, site, head):
    found = []
    while len(found) < head:
        found += await log.facts(site, after=len(found))
    return found
