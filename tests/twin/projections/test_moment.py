import pytest

from twin.errors import BadInput, NotFound
from twin.projections.moment import Moment, read_moment


async def test_what_is_absent_means_everything_known(story):
    log = await story.log(story.events(story.confirmed(), story.moved()))
    assert await read_moment(log, "lot", at=None, known_at=None) == Moment(at=None, known_at=2)


async def test_knowledge_is_a_position_or_a_time(story):
    log = await story.log(story.events(story.confirmed()))
    recorded_at = (await log.facts("lot"))[0].recorded_at
    assert (await read_moment(log, "lot", at=None, known_at="0")).known_at == 0
    assert (await read_moment(log, "lot", at=None, known_at="1999-01-01T00:00:00Z")).known_at == 0
    assert (await read_moment(log, "lot", at=None, known_at="2999-01-01T00:00:00Z")).known_at == 1
    assert recorded_at > 0


@pytest.mark.parametrize("text", ["", "noon", "2026-01-01", "2026-01-01T00:00:00", "12", "2026-13-01T00:00:00Z"])
async def test_a_valid_time_that_is_none_is_refused(story, text):
    with pytest.raises(BadInput, match=r"at='.*' cannot be read; give an RFC 3339 time"):
        await read_moment(await story.log(), "lot", at=text, known_at=None)


@pytest.mark.parametrize("text", ["-1", "1.5", "٣", "9" * 40, "soon"])
async def test_knowledge_that_is_neither_position_nor_time_is_refused(story, text):
    with pytest.raises(BadInput, match="position"):
        await read_moment(await story.log(), "lot", at=None, known_at=text)


async def test_a_plus_that_became_a_space_is_explained(story):
    with pytest.raises(BadInput, match="%2B"):
        await read_moment(await story.log(), "lot", at="2026-01-01T00:00:00 01:00", known_at=None)


async def test_a_position_that_is_not_there_yet_is_not_found(story):
    with pytest.raises(NotFound, match="known_at=5 is beyond the fact log's head 0"):
        await read_moment(await story.log(), "lot", at=None, known_at="5")
