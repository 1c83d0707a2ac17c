"""Series and visits leave the process to others while they go through much."""

import asyncio

import pytest

from twin.errors import TooLarge
from twin.projections import series as series_module
from twin.projections.series import FACTS_AT_ONCE, occupancy_series
from twin.projections.timeline import Timeline
from twin.projections.visits import zone_visits

SECOND = 1_000_000


async def series(log, lot, story, until_s, step_s, *, known_at):
    times = {"from_at": story.noon, "until_at": story.noon + until_s * SECOND, "step": step_s * SECOND}
    return await occupancy_series(log, Timeline(log, lot), known_at=known_at, **times)


async def turns_during(work):
    """How often another task of the process gets its turn meanwhile; gives that and what the work gives."""
    n_turns, working = 0, asyncio.ensure_future(work)
    while not working.done():
        n_turns += 1
        await asyncio.sleep(0)
    return n_turns, working.result()


@pytest.fixture
async def quiet(story):
    """Two facts, and nothing between them."""
    return await story.log([story.event(1, story.confirmed("v1"), at=5), story.event(2, story.confirmed("v2"), at=900)])


@pytest.fixture
async def busy(story):
    """Many facts within two seconds."""
    events = [story.event(n, story.moved(f"v{n % 3}", x=float(n % 40)), at=n / 4_000) for n in range(1, 6_001)]
    return await story.log(events)


async def test_points_between_which_nothing_happened_are_counted_once(quiet, lot, story, monkeypatch):
    counted, counts = [], series_module.counts

    def counting(graph, zone):
        counted.append(zone)
        return counts(graph, zone)

    monkeypatch.setattr(series_module, "counts", counting)
    points = await series(quiet, lot, story, 1_000, 1, known_at=2)
    inside = [one["counters"]["inside"] for one in points]
    assert inside == [0] * 5 + [1] * 895 + [2] * 101
    assert len(counted) == 3


async def test_many_points_are_made_in_turn_with_others(quiet, lot, story):
    n_turns, points = await turns_during(series(quiet, lot, story, 1_000, 1, known_at=2))
    assert len(points) == 1_001
    assert n_turns >= 200


async def test_many_facts_are_gone_through_in_turn_with_others(busy, lot, story):
    timeline, times = Timeline(busy, lot), {"from_at": story.noon, "until_at": story.noon + 2 * SECOND, "known_at": 6_000}
    few = await turns_during(zone_visits(busy, timeline, "aisle", **{**times, "until_at": story.noon + 1_000}))
    many = await turns_during(zone_visits(busy, timeline, "aisle", **times))
    assert many[0] - few[0] >= 4_900 // FACTS_AT_ONCE
    few = await turns_during(occupancy_series(busy, timeline, step=SECOND, **{**times, "until_at": story.noon + 1_000}))
    many = await turns_during(occupancy_series(busy, timeline, step=SECOND, **times))
    assert many[0] - few[0] >= 4_900 // FACTS_AT_ONCE


async def test_more_facts_than_can_be_gone_through_are_refused(quiet, lot, story, monkeypatch):
    monkeypatch.setattr(series_module, "MOST_FACTS", 1)
    with pytest.raises(TooLarge, match="ask for a shorter one"):
        await series(quiet, lot, story, 1_000, 1, known_at=2)
