from twin.projections.history import sightings, vehicle_facts
from twin.projections.moment import Moment
from twin.projections.sessions import sessions


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
