"""Strips of the past on real stores, by two that write them, and by one that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from twin.errors import Overloaded
from twin.events.codec import canonical_json
from twin.log.sql import SqlLog
from twin.log.sql.dialect import locate
from twin.log.sql.sole import Sole
from twin.projections.naive import replay
from twin.projections.strips.index import StripIndex
from twin.projections.timeline import Timeline

N_FACTS = 600
BUILDER = """
import asyncio, pickle, sys
from twin.log.sql import SqlLog
from twin.log.sql.dialect import locate
from twin.projections.strips import index
from twin.projections.timeline import Timeline

async def main(location, lot):
    index.BATCH, index._MOST_UNSAVED = 40, 2
    log = SqlLog.open(location)
    timeline = Timeline(log, lot)
    timeline.strips = index.StripIndex(log, lot, timeline.version, strip_facts=10, settle=0)
    keep = log.save_snapshots
    async def told(snapshots, *, instead_of):
        kept = await keep(snapshots, instead_of=instead_of)
        print(len(snapshots), flush=True)
        return kept
    log.save_snapshots = told
    while await timeline.strips.build():
        pass

with open(sys.argv[2], "rb") as file:
    asyncio.run(main(sys.argv[1], pickle.load(file)))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "log.db")
    return request.getfixturevalue("postgresql_server").database(f"w{abs(hash(tmp_path)) % 10**12}")


@asynccontextmanager
async def writers(location: str):
    """Two logs of one store; of SQLite one process writes, so that both are one log there."""
    async with AsyncExitStack() as stack:
        logs = [SqlLog.open(location) for _ in range(1 if "://" not in location else 2)]
        for log in logs:
            stack.push_async_callback(log.aclose)
        yield logs[0], logs[-1]


def timeline_of(log, lot):
    made = Timeline(log, lot)
    made.strips = StripIndex(log, lot, made.version, strip_facts=10, settle=0)
    return made


def facts_of(story):
    return story.any([(n % 14, n * 7 % 30, n * 5 % 12, 3 if n % 9 == 0 else 0) for n in range(N_FACTS)])


async def check(log, lot, story, timeline, head):
    for n in range(8):
        at, known = (None if n == 0 else story.noon + n * head * 12_000), head - n * 31
        assert await timeline.state_json(at, known) == canonical_json(await replay(log, lot, at=at, known_at=known)), n


async def built(timeline):
    while await timeline.strips.build():
        pass


async def test_two_that_write_strips_at_once_leave_what_serves_both_and_a_third(location, lot, story):
    events = facts_of(story)
    async with writers(location) as (log, second):
        one, other = timeline_of(log, lot), timeline_of(second, lot)
        for start in range(0, N_FACTS, 100):
            await story.add(log, events[start : start + 100])
            await asyncio.gather(built(one), built(other))
            await asyncio.gather(built(one), built(other))  # who was not the only one is at the head now, too
            assert max(one.strips.built_to, other.strips.built_to) == start + 100
        fresh = timeline_of(second, lot)
        for reader, timeline in ((log, one), (second, other), (second, fresh)):
            await check(reader, lot, story, timeline, N_FACTS)
            assert timeline.strips.built_to == N_FACTS
        assert fresh.strips._saved_to == N_FACTS


@pytest.mark.parametrize("after", [1, 4, 9])
async def test_strips_of_a_writer_that_was_killed_are_gone_on_with_by_another(location, lot, story, tmp_path, after):
    import pickle

    (tmp_path / "lot").write_bytes(pickle.dumps(lot))
    async with writers(location) as (log, _):
        await story.add(log, facts_of(story))
    building = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUILDER, location, str(tmp_path / "lot"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert building.stdout is not None
        for _ in range(after):
            assert int(await asyncio.wait_for(building.stdout.readline(), 60)) > 0
    finally:
        if building.returncode is None:
            os.kill(building.pid, signal.SIGKILL)
        await building.communicate()
    assert building.returncode == -signal.SIGKILL
    async with writers(location) as (log, _):
        timeline = timeline_of(log, lot)
        await check(log, lot, story, timeline, N_FACTS)
        async with asyncio.timeout(60):
            while timeline.strips._saved_to < N_FACTS:  # PostgreSQL may need a moment to see that the other one is gone
                await built(timeline)
                await asyncio.sleep(0)
        for one in (timeline, timeline_of(log, lot)):
            await check(log, lot, story, one, N_FACTS)


async def test_who_loses_the_connection_is_not_the_only_one_any_more_and_may_be_again(request, tmp_path):
    url = request.getfixturevalue("postgresql_server").database(f"s{abs(hash(tmp_path)) % 10**12}")
    async with writers(url) as (log, other):
        async with log.sole("lot", "strips") as first:
            async with other.sole("lot", "strips") as second:
                assert (first, second) == (True, False)
            engine = create_engine(locate(url), isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                ended = connection.execute(
                    text("select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory'")
                )
                assert ended.scalars().all() == [True]
            engine.dispose()
            async with other.sole("lot", "strips") as second:
                assert second
        async with log.sole("lot", "strips") as again:
            assert again


async def test_an_idle_connection_that_was_lost_is_made_again(request, tmp_path):
    url = request.getfixturevalue("postgresql_server").database(f"i{abs(hash(tmp_path)) % 10**12}")
    async with writers(url) as (log, _):
        async with log.sole("lot", "strips") as first:
            assert first
        engine = create_engine(locate(url), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            query = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where query like 'select pg_advisory_unlock%'"
            assert connection.execute(text(query)).scalars().all() == [True]
        engine.dispose()
        async with log.sole("lot", "strips") as again:
            assert again


def test_a_server_that_is_gone_for_good_is_told_in_words():
    sole = Sole(locate("postgresql://twin@127.0.0.1:1/twin"))
    with pytest.raises(Overloaded, match="'strips' for site 'lot' could not be asked"):
        sole.take(("lot", "strips"))
    sole.close()
