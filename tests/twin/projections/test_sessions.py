import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import TooLarge
from twin.projections.changes import changed_state
from twin.projections.history import sightings, vehicle_facts
from twin.projections.moment import Moment
from twin.projections.sessions import session_at, sessions, told_since
from twin.projections.timeline import Timeline

ROWS = st.lists(
    st.tuples(st.integers(9, 14), st.integers(0, 5), st.integers(0, 5), st.integers(0, 12).map(lambda n: n if n < 6 else 0)),
    min_size=1,
    max_size=40,
)


async def at(log, *, seconds=None, known=None, story=None, **given):
    known = (await log.heads("lot")).facts if known is None else known
    when = None if seconds is None else story.noon + seconds * 1_000_000
    return await sessions(log, "lot", Moment(at=when, known_at=known), **given)


async def test_a_session_is_open_until_its_exit_and_closed_after(story):
    log = await story.log([story.event(1, story.opened(), at=1.0), story.event(2, story.closed(), at=61.5)])
    (early,) = await at(log, seconds=60, story=story)
    (late,) = await at(log)
    assert (early.status, early.exit_at, early.duration_s, early.portal_out) == ("open", None, None, None)
    assert (late.status, late.duration_s, late.portal_in, late.portal_out) == ("closed", 60.5, "entry", "exit")
    assert late.entry_at == "2026-01-01T12:00:01.000000Z"


async def test_an_exit_without_an_entry_is_an_orphan_without_a_stay(story):
    (orphan,) = await at(await story.log([story.event(1, story.orphaned(), at=5.0)]))
    assert (orphan.status, orphan.entry_at, orphan.duration_s, orphan.confidence) == ("orphan", None, None, None)


async def test_a_superseded_exit_leaves_the_session_open_for_those_who_know(story):
    wrong = story.event(2, story.closed(), at=61.5)
    log = await story.log([story.event(1, story.opened(), at=1), wrong])
    await story.add(log, [story.event(3, story.moved(), at=70, supersedes=[wrong.id])])
    assert [(await at(log, known=known))[0].status for known in (1, 2, 3)] == ["open", "closed", "open"]


async def test_sessions_of_one_vehicle_can_be_asked_for(story):
    log = await story.log(story.events(story.opened("p1", "v1"), story.opened("p2", "v2")))
    assert [one.session for one in await at(log, vehicle="v2")] == ["p2"]


async def test_a_history_has_every_fact_that_names_the_vehicle_and_no_other(story):
    mine = (story.confirmed(), story.assigned(), story.opened(), story.moved(), story.parked(), story.stall(), story.left())
    others = (story.confirmed("v2"), story.parked("v2", "s2"), story.opened("p2", "v2"))
    log = await story.log(story.events(*others, *mine))
    facts = await vehicle_facts(log, "lot", "v1", Moment(at=None, known_at=10))
    assert [fact.event.payload for fact in facts] == list(mine)
    assert [(one.tracklet, one.camera) for one in sightings(facts)] == [("left/1", "left")]


async def test_a_history_ends_at_the_time_asked_for(story):
    log = await story.log(story.events(story.confirmed(), story.moved(), story.moved()))
    facts = await vehicle_facts(log, "lot", "v1", Moment(at=story.noon + 2_000_000, known_at=3))
    assert [fact.position for fact in facts] == [1, 2]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, known=st.integers(0, 40), seconds=st.one_of(st.none(), st.integers(0, 5)))
def test_one_session_by_its_own_facts_is_as_the_list_of_all_has_it(story, rows, known, seconds):
    async def compare():
        log = await story.log(story.any(rows))
        moment = Moment(at=None if seconds is None else story.noon + seconds * 1_000_000, known_at=min(known, len(rows)))
        by_name = {one.session: one for one in await sessions(log, "lot", moment)}
        for name in [f"p{n}" for n in range(7)]:
            assert await session_at(log, "lot", name, moment) == by_name.get(name)

    asyncio.run(compare())


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, places=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_stays_that_differ_between_two_positions_are_those_that_differ_in_the_whole_lists(lot, story, rows, places):
    async def compare():
        log = await story.log(story.any(rows))
        before, after = sorted(min(one, len(rows)) for one in places)
        lists = [{one.session: one for one in await at(log, known=position)} for position in (before, after)]
        unlike = {name for name in lists[0].keys() | lists[1].keys() if lists[0].get(name) != lists[1].get(name)}
        told = await changed_state(log, Timeline(log, lot), None, before=before, after=after, limit=100)
        assert {one.session for one in told.sessions} == unlike
        assert all((one.before, one.after) == tuple(some.get(one.session) for some in lists) for one in told.sessions)

    asyncio.run(compare())


async def test_more_stays_than_are_held_at_once_are_refused_and_can_be_asked_for_by_when_they_were_told(story):
    facts = [story.event(n, story.opened(f"p{n}", f"v{n}"), at=float(n)) for n in range(1, 21)]
    facts.append(story.event(21, story.closed("p3", "v3"), at=30.0))
    log = await story.log(facts)
    with pytest.raises(TooLarge, match="has more than 10 stays"):
        await at(log, most=10)
    moment = Moment(at=None, known_at=21)
    names = await told_since(log, "lot", moment, story.noon + 18_500_000, most=10)
    assert names == {"p3", "p19", "p20"}
    found = await at(log, names=names, most=10)
    assert [(one.session, one.status, one.portal_in) for one in found] == [
        ("p3", "closed", "entry"),
        ("p19", "open", "entry"),
        ("p20", "open", "entry"),
    ]
    with pytest.raises(TooLarge):
        await told_since(log, "lot", moment, story.noon, most=10)
