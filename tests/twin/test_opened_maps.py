"""Maps of before are known to whoever opens the log again."""

import pytest
from msgspec.structs import replace

from twin.log.sql.site_maps import SqlSiteMaps
from twin.opened_logs import opened_logs
from twin.opened_maps import begun, known
from twin.projections.timeline import EarlierMap
from twin.settings import Settings


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
