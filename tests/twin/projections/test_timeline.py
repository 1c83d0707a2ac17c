import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import NotFound
from twin.events.codec import canonical_json
from twin.projections.moment import Moment
from twin.projections.naive import replay
from twin.projections.strips.index import StripIndex
from twin.projections.timeline import KIND, RUNGS, Timeline


def folding(log, lot, **given):
    """Without strips: what they do not reach is folded from facts."""
    timeline = Timeline(log, lot, **given)
    timeline.strips = StripIndex(log, lot, timeline.version, most_behind=-1)
    return timeline


ROW = st.tuples(st.integers(0, 13), st.integers(0, 29), st.integers(0, 11), st.integers(0, 60).map(lambda n: n if n < 6 else 0))
LOGS = st.lists(ROW, max_size=80)
MOMENTS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(-500, 100).map(lambda n: n * 100_000)), st.integers(0, 100)),
    min_size=1,
    max_size=6,
)


def moments(story, given_moments, head):
    return [(None if at is None else story.noon + at, min(known, head)) for at, known in given_moments]


@settings(max_examples=60, deadline=None)
@given(rows=LOGS, asked=MOMENTS, saved=MOMENTS)
def test_a_state_equals_the_naive_fold_at_every_time_and_knowledge(lot, story, rows, asked, saved):
    async def compare():
        log = await story.log(story.any(rows))
        timeline = folding(log, lot, rung_facts=3)
        for at, known in moments(story, saved, len(rows)):
            stands_at = story.noon + known * 100_000 if at is None else at
            await log.save_snapshot(await timeline.snapshot(Moment(at=stands_at, known_at=known)))
        for at, known in moments(story, asked, len(rows)):
            expected = canonical_json(await replay(log, lot, at=at, known_at=known))
            assert canonical_json(await timeline.state(at, known)) == expected
            assert canonical_json(await Timeline(log, lot).state(at, known)) == expected

    asyncio.run(compare())


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=60), later=st.lists(ROW, max_size=20), asked=MOMENTS)
def test_a_state_does_not_change_when_more_becomes_known_or_snapshots_are_deleted(lot, story, rows, later, asked):
    async def compare():
        events = story.any([*rows, *later])
        log = await story.log(events[: len(rows)])
        timeline = folding(log, lot, rung_facts=5)
        chosen = moments(story, asked, len(rows))
        before = [canonical_json(await timeline.state(at, known)) for at, known in chosen]
        for at, known in chosen:
            await log.save_snapshot(await timeline.snapshot(Moment(at=at or story.noon, known_at=known)))
        await story.add(log, events[len(rows) :])
        assert [canonical_json(await timeline.state(at, known)) for at, known in chosen] == before
        await log.drop_snapshots("lot", KIND, below=2**62)
        assert [canonical_json(await Timeline(log, lot).state(at, known)) for at, known in chosen] == before

    asyncio.run(compare())


async def test_a_late_fact_is_seen_only_by_those_who_ask_with_its_knowledge(lot, story):
    log = await story.log([story.event(1, story.confirmed(), at=1), story.event(2, story.moved(x=9.0), at=9)])
    timeline = folding(log, lot)
    at = story.noon + 5_000_000
    await log.save_snapshot(await timeline.snapshot(Moment(at=at, known_at=2)))
    await story.add(log, [story.event(3, story.moved(x=3.0), at=3)])
    assert (await timeline.state(at, 2))["vehicles"][0]["position_m"] == [2.0, 3.0]
    assert (await timeline.state(at, 3))["vehicles"][0]["position_m"] == [3.0, 3.0]
    assert (await timeline.state(None, 3))["vehicles"][0]["position_m"] == [9.0, 3.0]


async def test_a_correction_removes_what_it_supersedes_from_its_position_on(lot, story):
    wrong = story.event(1, story.stall("s1", "occupied", "v1"), at=1)
    log = await story.log([wrong, story.event(2, story.stall("s1", "free", None), at=1, supersedes=[wrong.id])])
    timeline = folding(log, lot)
    states = [(await timeline.state(None, known))["stalls"][1]["state"] for known in (1, 2)]
    assert states == ["occupied", "free"]


async def test_facts_of_the_same_instant_apply_in_the_order_of_their_positions(lot, story):
    log = await story.log([story.event(n, story.stall("s0", state), at=1) for n, state in ((1, "occupied"), (2, "free"))])
    assert (await Timeline(log, lot).state())["stalls"][0]["state"] == "free"


async def test_knowledge_beyond_the_head_is_refused_with_the_head(lot, story):
    log = await story.log(story.events(story.confirmed()))
    with pytest.raises(NotFound, match="known_at=2 is beyond the fact log's head 1 of site 'lot'"):
        await Timeline(log, lot).state(None, 2)


async def test_a_second_read_of_a_disturbed_past_folds_only_what_the_first_did_not_remember(lot, story):
    events = [story.event(n, story.moved(x=float(n)), at=n) for n in range(2, 200)]
    log = await story.log([story.event(1, story.confirmed(), at=1), *events])
    timeline = folding(log, lot, rung_facts=10)
    expected = await timeline.state()
    reads = []
    facts_between = log.facts_between

    async def noted(*args, **named):
        facts = await facts_between(*args, **named)
        reads.append(len(facts))
        return facts

    log.facts_between = noted
    assert await timeline.state() == expected
    assert sum(reads) <= 10


async def test_remembered_graphs_are_bounded(lot, story):
    log = await story.log([story.event(n, story.moved(), at=n) for n in range(1, 300)])
    timeline = folding(log, lot, rung_facts=2)
    await timeline.packed(Moment(at=None, known_at=299))
    assert len(timeline._rungs) == RUNGS


async def test_reads_side_by_side_do_not_disturb_each_other(lot, story):
    log = await story.log([story.event(n, story.stall(f"s{n % 8}"), at=n) for n in range(1, 60)])
    timeline = folding(log, lot, rung_facts=7)
    known = list(range(1, 60, 3))
    found = await asyncio.gather(*(timeline.state(None, position) for position in known))
    assert found == [await replay(log, lot, known_at=position) for position in known]


async def test_a_damaged_snapshot_is_passed_over_and_told_to_the_operator(lot, story, caplog):
    log = await story.log(story.events(story.confirmed(), story.moved()))
    timeline = folding(log, lot)
    kept = await timeline.snapshot(Moment(at=story.noon + 1_000_000, known_at=2))
    await log.save_snapshot(replace(kept, body=kept.body[:-2]))
    assert await timeline.state() == await replay(log, lot)
    assert "a graph snapshot cannot be read" in caplog.text


async def test_snapshots_of_another_model_of_the_site_are_not_used(lot, story):
    log = await story.log(story.events(story.stall("s0", "free"), story.moved()))
    await log.save_snapshot(await folding(log, lot).snapshot(Moment(at=story.noon + 1_000_000, known_at=2)))
    rebuilt = replace(lot, stalls=lot.stalls[1:])
    assert await Timeline(log, rebuilt).state() == await replay(log, rebuilt)
