import pytest

from twin.errors import TooLarge
from twin.projections import net
from twin.projections.moment import Moment
from twin.projections.net import net_facts


async def read(log, **given):
    moment = Moment(at=None, known_at=(await log.heads("lot")).facts)
    return [[fact.position for fact in page] async for page in net_facts(log, "lot", moment, **given)]


async def test_pages_give_each_fact_once_in_order(story):
    log = await story.log([story.event(n, story.stall(), at=n // 3) for n in range(1, 30)])
    pages = await read(log, page=7)
    assert [position for page in pages for position in page] == list(range(1, 30))
    assert len(pages) > 3


async def test_an_instant_with_more_facts_than_a_page_is_given_whole(story):
    log = await story.log([story.event(n, story.stall(), at=1) for n in range(1, 30)])
    assert await read(log, page=5) == [list(range(1, 30))]


async def test_an_instant_that_does_not_fit_in_memory_is_refused(story, monkeypatch):
    monkeypatch.setattr(net, "LARGEST_PAGE", 20)
    log = await story.log([story.event(n, story.stall(), at=1) for n in range(1, 60)])
    with pytest.raises(TooLarge, match="occurred at"):
        await read(log, page=5)
