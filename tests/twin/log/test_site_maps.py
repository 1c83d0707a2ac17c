"""Which maps a log says were in force."""

import pytest

from twin.errors import DamagedLog
from twin.log.memory import MemoryLog
from twin.log.sql import schema
from twin.log.sql.site_maps import KeptMap, SqlSiteMaps


@pytest.fixture
def maps(log):
    if isinstance(log, MemoryLog):
        pytest.skip("a log in memory ends with its process, and so with its map")
    return SqlSiteMaps(log)


async def test_each_map_is_in_force_until_the_next(maps):
    assert await maps.all("lot") == []
    await maps.begin("lot", b"one", after=7)
    await maps.begin("other", b"two", after=0)
    await maps.begin("lot", b"one", after=9)
    await maps.begin("lot", b"two", after=9)
    await maps.begin("lot", b"one", after=30)
    assert await maps.all("lot") == [KeptMap(0, b"one"), KeptMap(9, b"two"), KeptMap(30, b"one")]
    assert await maps.all("other") == [KeptMap(0, b"two")]


async def test_a_map_with_which_nothing_was_concluded_is_replaced(maps):
    await maps.begin("lot", b"one", after=0)
    await maps.begin("lot", b"two", after=5)
    await maps.begin("lot", b"three", after=5)
    assert await maps.all("lot") == [KeptMap(0, b"one"), KeptMap(5, b"three")]


async def test_a_damaged_map_is_told(maps, log):
    await maps.begin("lot", b"one", after=0)
    await log.write(lambda transaction: transaction.connection.execute(schema.site_maps.update().values(body=b"?")), "lot")
    with pytest.raises(DamagedLog, match="a map of site 'lot'"):
        await maps.all("lot")
