"""What was known once is told on the map of then, whatever is drawn or taken away later."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.events.codec import canonical_json
from twin.projections.naive import replay
from twin.projections.timeline import EARLIER_KEPT, EarlierMap, Timeline, map_in_force

ROW = st.tuples(st.integers(0, 13), st.integers(0, 29), st.integers(0, 11), st.integers(0, 5))
MAPS = st.lists(st.tuples(st.integers(0, 12), st.sets(st.integers(0, 7), max_size=4)), min_size=1, max_size=5)


def without(lot, stalls):
    return replace(lot, stalls=tuple(one for number, one in enumerate(lot.stalls) if number not in stalls))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=60), stages=MAPS, at=st.one_of(st.none(), st.integers(-50, 100)))
def test_a_state_at_a_known_position_has_the_same_bytes_whatever_the_map_becomes(lot, story, rows, stages, at):
    """A service starts again with another map and some more facts, and again, and is asked all that it was asked before."""

    async def live():
        events, done, said = story.any(rows), 0, {}
        log, earlier = await story.log(), []
        when = None if at is None else story.noon + at * 100_000
        for n_more, gone in stages:
            present = without(lot, gone)
            timeline = Timeline(log, present, rung_facts=3, earlier=tuple(earlier))
            for position, expected in said.items():
                then = map_in_force(present, earlier, position)
                assert canonical_json(await timeline.as_known(position).state(when, position)) == expected
                assert canonical_json(await replay(log, then, at=when, known_at=position)) == expected
            assert timeline.as_known(None) is timeline
            await story.add(log, events[done : done + n_more])
            done = min(done + n_more, len(events))
            for position in range(len(said), done + 1):
                if position not in said:
                    now = timeline.as_known(position)
                    said[position] = canonical_json(await now.state(when, position))
            earlier.append(EarlierMap(until=done, site=present))

    asyncio.run(live())


async def test_a_stall_that_is_gone_is_still_told_of_the_time_when_it_was_there(lot, story):
    log = await story.log(story.events(story.confirmed(), story.stall()))
    before = await Timeline(log, lot).state()
    taken = next(one["stall"] for one in before["stalls"] if one["state"] == "occupied")
    present = replace(lot, stalls=tuple(one for one in lot.stalls if one.id != taken))
    timeline = Timeline(log, present, earlier=(EarlierMap(until=2, site=lot),))
    assert canonical_json(await timeline.as_known(2).state(None, 2)) == canonical_json(before)
    assert taken not in {one["stall"] for one in (await timeline.state())["stalls"]}


async def test_few_earlier_maps_are_held_at_once(lot, story):
    log = await story.log(story.events(story.confirmed()))
    maps = tuple(EarlierMap(until=number, site=without(lot, {number})) for number in range(EARLIER_KEPT + 2))
    timeline = Timeline(log, lot, earlier=maps)
    for number in range(EARLIER_KEPT + 2):
        assert timeline.as_known(number).site is maps[number].site
    assert len(timeline._earlier) == EARLIER_KEPT
    assert timeline.as_known(0).site is maps[0].site
