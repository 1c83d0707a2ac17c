import pytest

from twin.errors import TooLarge
from twin.projections import zone_visitors as visitors
from twin.projections.timeline import Timeline
from twin.projections.zone_visitors import zone_visitors

SECOND = 1_000_000


@pytest.fixture
async def log(story):
    """v1 drives along the aisle and parks in row_a at 10 s; v2 is in the aisle at 20 s."""
    return await story.log(
        [
            story.event(1, story.confirmed("v1"), at=1),
            story.event(2, story.moved("v1"), at=5),
            story.event(3, story.parked("v1"), at=10),
            story.event(4, story.confirmed("v2"), at=20),
        ]
    )


async def between(log, lot, story, zone, from_s, until_s, known_at=4):
    times = {"from_at": story.noon + from_s * SECOND, "until_at": story.noon + until_s * SECOND}
    return await zone_visitors(log, Timeline(log, lot), zone, known_at=known_at, **times)


async def test_who_was_in_a_zone_is_who_came_into_it_and_who_was_there_already(log, lot, story):
    assert await between(log, lot, story, "aisle", 0, 30) == {"v1", "v2"}
    assert await between(log, lot, story, "aisle", 12, 30) == {"v2"}
    assert await between(log, lot, story, "row_a", 15, 16) == {"v1"}
    assert await between(log, lot, story, "row_a", 0, 9) == frozenset()


async def test_what_was_not_known_yet_is_not_told(log, lot, story):
    assert await between(log, lot, story, "aisle", 0, 30, known_at=3) == {"v1"}


async def test_more_facts_than_can_be_looked_through_are_refused(log, lot, story, monkeypatch):
    monkeypatch.setattr(visitors, "MOST_FACTS", 2)
    with pytest.raises(TooLarge, match="ask for a shorter one"):
        await between(log, lot, story, "aisle", 0, 30)
