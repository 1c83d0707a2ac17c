"""Observations in a real broker: accepted there, positions from the fold, read again from places."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

from twin.errors import BadInput, CursorConflict, Cut, DamagedLog, LogClosed, NotFound, Overloaded, TooLarge
from twin.events.ids import SiteId
from twin.log.kafka.broker import ensure_topic, reading
from twin.log.kafka.folding import PartitionFeed
from twin.log.kafka.log import KafkaLog, stored_place
from twin.log.kafka.verify import verify_streamed
from twin.log.port import FoldCommit, Heads, Outcome
from twin.log.sql import SqlLog, streams
from twin.log.sql.verify import verify


@asynccontextmanager
async def fed(log, site):
    """The fold's view of a site, with its partition being read."""
    feed = PartitionFeed(log, log.topic.partition_of(site), [site])
    reading = asyncio.create_task(feed.run())
    try:
        yield feed.view(site, log)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def folded(log, site, n, make, *, batch=7, worker="w"):
    """Commit the next ``n`` observations with a fact for every tenth; gives them."""
    token, found = await log.acquire(site, worker), []
    async with fed(log, site) as view:
        after = (await log.heads(site)).cursor
        async with asyncio.timeout(20), aclosing(view.tail_observations(site, after=after)) as batches:
            async for given in batches:
                found += given
                while after < found[-1].position and len(found) <= 10_000:
                    cursor = min(after + batch, found[-1].position)
                    facts = tuple(make.fact(cause) for cause in range(after + 1, cursor + 1) if cause % 10 == 0)
                    await view.commit(FoldCommit(token=token, after=after, cursor=cursor, facts=facts))
                    after = cursor
                if len(found) >= n:
                    return found
    raise AssertionError


async def test_an_observation_is_accepted_and_gets_its_position_from_the_fold(kafka_log, make):
    async with kafka_log() as log:
        events = make.observations(25)
        receipts = await log.append(events)
        assert {(one.outcome, one.position) for one in receipts} == {(Outcome.ACCEPTED, 0)}
        site = events[0].site
        assert await log.heads(site) == Heads()
        found = await folded(log, site, 25, make)
        assert [one.event for one in found] == events
        assert await log.heads(site) == Heads(observations=25, facts=2, cursor=25)
        assert await log.observations(site) == found
        assert await log.observations(site, after=10, limit=3) == found[10:13]
        assert await log.observations(site, after=25) == []
        assert await log.sites() == [site]


async def test_resends_have_one_position_also_over_a_restart(kafka_log, make):
    events = make.observations(30)
    site = events[0].site
    async with kafka_log() as log:
        await log.append(events[:20])
        await log.append(events[5:20])
        await folded(log, site, 20, make)
    async with kafka_log() as log:
        await log.append(events[10:])
        found = await folded(log, site, 10, make)
        assert [(one.position, one.event) for one in found] == list(enumerate(events[20:], 21))
        assert [one.event for one in await log.observations(site)] == events


async def test_the_chain_is_that_of_the_same_observations_in_sql(kafka_log, make, tmp_path):
    events = make.observations(12)
    site = events[0].site
    async with kafka_log() as log:
        await log.append(events)
        await folded(log, site, 12, make)
        streamed = (await log.chain(site)).observations
    beside = SqlLog.open(tmp_path / "beside.db")
    try:
        await beside.append(events)
        assert (await beside.chain(site)).observations.link.content == streamed.link.content
    finally:
        await beside.aclose()


async def test_reading_starts_at_the_nearest_place_that_is_kept(kafka_log, make, monkeypatch):
    monkeypatch.setattr(streams, "KEEP_EVERY", 10)
    events = make.observations(64)
    site = events[0].site
    async with kafka_log() as log:
        await log.append([one for event in events for one in (event, event)])
        found = await folded(log, site, 64, make, batch=3)
        places = await log.sql.read(streams.all_of, site)
        assert [place.position for place in places] == [0, 9, 18, 27, 39, 48, 57, 64]  # the last commit in each ten
        for after in (0, 8, 9, 30, 63):
            assert await log.observations(site, after=after, limit=5) == found[after : after + 5]


async def test_observations_go_on_in_a_broker_where_those_in_sql_end(kafka_log, make, tmp_path):
    events = make.observations(20)
    site = events[0].site
    before = SqlLog.open(tmp_path / "log.db")
    await before.append(events[:8])
    token = await before.acquire(site, "w")
    await before.commit(FoldCommit(token=token, after=0, cursor=8))
    chain = (await before.chain(site)).observations
    await before.aclose()
    async with kafka_log() as log:
        assert (await stored_place(log, site)).link == chain.link
        await log.append(events[8:])
        await folded(log, site, 12, make)
        found = await log.observations(site)
        assert [(one.position, one.event) for one in found] == list(enumerate(events, 1))
        assert await log.observations(site, after=5, limit=6) == found[5:11]


async def test_a_resend_of_what_sql_holds_is_not_stored_again_in_a_broker(kafka_log, make, tmp_path):
    events = make.observations(12)
    site = events[0].site
    before = SqlLog.open(tmp_path / "log.db")
    await before.append([*events[:4], *events[6:8]])  # the fifth and sixth come late
    token = await before.acquire(site, "w")
    await before.commit(FoldCommit(token=token, after=0, cursor=6))
    await before.aclose()
    async with kafka_log() as log:
        await log.append([*events[:8], *events[:8], *events[8:]])
        await folded(log, site, 6, make)
        found = [one.event for one in await log.observations(site)]
        assert found == [*events[:4], *events[6:8], *events[4:6], *events[8:]]


async def test_what_is_not_folded_in_sql_is_folded_there_first(kafka_log, make, tmp_path):
    before = SqlLog.open(tmp_path / "log.db")
    await before.append(make.observations(3))
    await before.aclose()
    async with kafka_log() as log:
        with pytest.raises(Exception, match="3 observations in its database, and 0 of them are folded"):
            await stored_place(log, make.observation(1).site)


async def test_followers_see_what_is_folded(kafka_log, make):
    events = make.observations(9)
    site = events[0].site
    async with kafka_log() as log:

        async def follow():
            seen = []
            async with aclosing(log.tail_observations(site, after=2)) as batches:
                async for batch in batches:
                    seen += batch
                    if seen[-1].position == 9:
                        break
            return seen

        following = asyncio.create_task(follow())
        await log.append(events)
        found = await folded(log, site, 9, make)
        assert await asyncio.wait_for(following, 20) == found[2:]


async def test_a_commit_elsewhere_than_at_the_stored_place_is_refused(kafka_log, make):
    site = make.observation(1).site
    async with kafka_log() as log:
        await log.append(make.observations(4))
        await folded(log, site, 4, make)
        await log.append([make.observation(5)])
        async with fed(log, site) as view:
            with pytest.raises(CursorConflict, match="stands at 2, but 4 is stored"):
                await anext(view.tail_observations(site, after=2))


async def test_each_batch_of_facts_names_the_chain_of_what_it_was_made_of(kafka_log, make):
    events = make.observations(20)
    site = events[0].site
    async with kafka_log() as log:
        await log.append(events)
        await folded(log, site, 20, make, batch=20)
        chain = (await log.chain(site)).observations
        ((cursor, digest),) = await log.sql.read(
            lambda connection: connection.exec_driver_sql("select cursor, digest from fact_batches").all()
        )
        assert (cursor, digest) == (20, chain.link.content)


async def test_what_the_broker_no_longer_has_is_said_and_not_waited_for(kafka_log, make, monkeypatch):
    monkeypatch.setattr("twin.log.kafka.log._PATIENCE_S", 0.5)
    site = make.observation(1).site
    async with kafka_log() as log:
        await log.append(make.observations(5))
        await folded(log, site, 5, make)
        log.topic = type(log.topic)(brokers=log.topic.brokers, name=log.topic.name + "-other", partitions=log.topic.partitions)
        await ensure_topic(log.topic.brokers, log.topic.name, n_partitions=2)
        with pytest.raises(DamagedLog, match=r"should be in partition \d of topic"):
            await log.observations(site)


async def test_a_site_is_not_folded_from_another_partition_than_before(kafka_log, make):
    site = make.observation(1).site
    async with kafka_log() as log:
        await log.append(make.observations(1))
        await folded(log, site, 1, make)
        partition = log.topic.partition_of(site)
        log.topic = type(log.topic)(brokers=log.topic.brokers, name="other", partitions=log.topic.partitions)
        with pytest.raises(NotFound, match=rf"partition {partition} of topic .* use the old topic"):
            await stored_place(log, site)


async def test_the_backlog_counts_what_waits_in_the_broker(kafka_log, make):
    site = make.observation(1).site
    async with kafka_log() as log:
        assert await log.backlog(site) == 0
        await log.append(make.observations(6))
        assert await log.backlog(site) == 6
        await folded(log, site, 6, make)
        assert await log.backlog(site) == 0


async def test_bad_and_too_many_observations_are_refused_before_anything_is_sent(kafka_log, make):
    async with kafka_log(n_queued_events=5) as log:
        site = make.observation(1).site
        with pytest.raises(BadInput, match="printable"):
            await log.append([make.observation(1), make.observation(1, site=SiteId("\x00"))])
        with pytest.raises(Overloaded, match="5 may"):
            await log.append(make.observations(6))
        assert await log.backlog(site) == 0


async def test_a_broker_that_does_not_answer_is_named():
    with pytest.raises(Overloaded, match=r"no Kafka broker answers at 127\.0\.0\.1:9"):
        await KafkaLog.open(None, "127.0.0.1:9", "t")  # pyright: ignore[reportArgumentType]


async def test_a_closed_log_says_so(kafka_log, make):
    async with kafka_log() as log:
        pass
    with pytest.raises(LogClosed):
        await log.append(make.observations(1))


async def test_records_of_a_site_arrive_in_the_order_in_which_they_were_sent(kafka_log):
    values = [f"{number}".encode() * 20_000 for number in range(200)]  # several batches
    async with kafka_log() as log:
        await log.sender.send(log.topic, SiteId("lot"), values)
        found = []
        async with reading(log.topic, log.topic.partition_of(SiteId("lot"))) as reader:
            await reader.seek(0)
            while len(found) < len(values):
                found += await reader.some()
        assert [one.value for one in found] == values
        with pytest.raises(TooLarge, match="1000000 bytes; a broker takes at most 890000"):
            await log.sender.send(log.topic, SiteId("lot"), [b"x" * 1_000_000])


async def test_what_was_accepted_survives_the_kill_of_the_broker(kafka_log, lasting_broker, make):
    events = make.observations(60)
    site = events[0].site
    async with kafka_log(brokers=lasting_broker.address) as log:
        sent = 0
        for _ in range(3):
            await log.append(events[sent : sent + 20])
            sent += 20
            lasting_broker.kill()
            lasting_broker.start()
        found = await folded(log, site, 60, make)
        assert [one.event for one in found] == events


async def test_what_is_in_the_broker_is_verified_against_what_was_folded(kafka_log, make, monkeypatch):
    monkeypatch.setattr(streams, "KEEP_EVERY", 10)
    site = make.observation(1).site
    async with kafka_log() as log:
        await log.append(make.observations(45))
        await folded(log, site, 45, make, batch=5)
        assert await verify_streamed(log, site) == []
        for table, column, where in (
            ("fact_batches", "digest", "cursor = 30"),
            ("stream_places", "content", "position = 15"),
        ):

            def spoil(transaction, table=table, column=column, where=where):
                transaction.connection.exec_driver_sql(f"update {table} set {column} = zeroblob(32) where {where}")

            await log.sql.write(spoil, site)
        told = [(fault.first, fault.last) for fault in await verify_streamed(log, site)]
        assert told == [(6, 15), (16, 25), (26, 35)]


async def test_a_log_in_a_broker_is_cut_anywhere_and_goes_on_from_there(kafka_log, make, monkeypatch):
    monkeypatch.setattr(streams, "KEEP_EVERY", 10)
    async with kafka_log() as log:
        events = make.observations(60)
        site = events[0].site
        await log.append(events)
        found = await folded(log, site, 60, make)
        by_then = max(one.position for one in found if one.recorded_at <= found[34].recorded_at)
        assert await log.observed_at(site, found[34].recorded_at) == by_then
        with pytest.raises(BadInput, match="folded up to 60"):
            await log.cut_observations(site, until=61, version="1:c", state=b"state")
        made = await log.cut_observations(site, until=33, version="1:c", state=b"state")
        assert (made.observations, made.anchor.facts, made.anchor.state) == (33, 3, b"state")
        assert await log.cut_observations(site, until=33, version="1:c", state=b"other") == made
        with pytest.raises(Cut):
            await log.observations(site, after=32)
        assert await log.observations(site, after=33, limit=100) == found[33:]
        assert await verify_streamed(log, site) == []
        assert (await log.sql.read(verify, site)).faults == ()
        await log.append([events[3], *make.observations(5)])  # a resend from before the cut, and what is new
        assert [one.position for one in await folded(log, site, 5, make)] == [61, 62, 63, 64, 65]
    async with kafka_log() as log:
        assert [one.position for one in await log.observations(site, after=33, limit=100)] == list(range(34, 66))
        assert (await log.cut_observations(site, until=65, version="1:c", state=b"last")).observations == 65
        assert await log.observations(site, after=65) == await verify_streamed(log, site) == []
        assert (await log.sql.read(verify, site)).faults == ()
