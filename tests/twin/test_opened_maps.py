"""Maps of before are known to whoever opens the log again."""

import asyncio

import pytest
from msgspec.structs import replace

from twin.log.sql.site_maps import SqlSiteMaps
from twin.opened_logs import opened_logs
from twin.opened_maps import begin, known
from twin.projections.timeline import EarlierMap
from twin.rules.fold import Fold
from twin.service import FusionWorker
from twin.settings import Settings


async def begun(logs, site):
    """A worker takes the site over with this map; what is known of those before."""
    await begin(logs, site, (await logs.sql.heads(site.name)).facts)
    return await known(logs, site)


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path / "data")


async def test_the_map_of_before_is_known_after_a_restart_with_another_and_with_the_same(settings, lot, story):
    other, facts = replace(lot, stalls=lot.stalls[:3]), story.events(story.confirmed(), story.parked(), story.moved())
    async with opened_logs(settings) as logs:
        assert await begun(logs, lot) == ()
        await story.add(logs.sql, facts[:2])
        assert await begun(logs, lot) == ()
    async with opened_logs(settings) as logs:
        assert await begun(logs, other) == (EarlierMap(until=2, site=lot),)
    async with opened_logs(settings) as logs:
        assert await begun(logs, other) == (EarlierMap(until=2, site=lot),)
        await story.add(logs.sql, facts[2:])
        assert await known(logs, lot) == (EarlierMap(until=2, site=lot), EarlierMap(until=3, site=other))
        assert await begun(logs, lot) == (EarlierMap(until=2, site=lot), EarlierMap(until=3, site=other))


async def test_a_map_of_another_release_that_cannot_be_read_is_told_and_the_present_one_stands_for_it(
    settings, lot, story, caplog
):
    async with opened_logs(settings) as logs:
        await SqlSiteMaps(logs.sql).begin("lot", b"\x81\xa4what\x01", after=0)
        await story.add(logs.sql, story.events(story.confirmed()))
        assert await begun(logs, lot) == (EarlierMap(until=1, site=lot),)
        assert "the map of facts 1 to 1 cannot be read" in caplog.text


async def test_a_log_that_no_worker_of_this_release_has_opened_knows_of_no_other_map(settings, lot, story):
    async with opened_logs(settings) as logs:
        await story.add(logs.sql, story.events(story.confirmed()))
        assert await known(logs, lot) == ()


async def test_a_worker_says_which_map_it_goes_on_with_before_it_concludes_anything(settings, lot, story):
    async with opened_logs(settings) as logs:
        await begin(logs, lot, 0)
        await story.add(logs.sql, story.events(story.confirmed(), story.parked()))
        other, heard = replace(lot, stalls=lot.stalls[:3]), []

        async def begins(head):
            heard.append((head, (await logs.sql.heads("lot")).facts))
            await begin(logs, other, head)

        worker = FusionWorker(logs.log, logs.keys, Fold(other), worker_id="w", clock_ticks=False, begins=begins)
        running = asyncio.create_task(worker.run())
        for _ in range(500):
            if heard:
                break
            await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.gather(running, return_exceptions=True)
        assert heard == [(2, 2)]
        assert await known(logs, other) == (EarlierMap(until=2, site=lot),)
