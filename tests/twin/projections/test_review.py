import asyncio
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from twin.errors import NotFound, TooLarge
from twin.events.facts import IdentitiesMerged, SessionAmended
from twin.projections import evidence as evidence_module
from twin.projections.moment import Moment
from twin.projections.review import review
from twin.projections.sessions import told_since
from twin.projections.stay import stay


async def cases(log, *, known=None, at=None):
    known = (await log.heads("lot")).facts if known is None else known
    return await review(log, "lot", Moment(at=at, known_at=known))


def crossing(story, number, vehicle, direction, at, **given) -> tuple:
    portal = {"in": "entry", "out": "exit"}[direction]
    fact = story.event(number, replace(story.crossed(vehicle, portal, direction), **given), at=at)
    return fact, fact.id


def amended(session, vehicle, version, at, *, noon, **given):
    stay = {
        "status": "closed",
        "was": "open",
        "reason": "operator",
        "entry_at": noon + 1_000_000,
        "exit_at": noon + at * 1_000_000,
    }
    return SessionAmended(session=session, vehicle=vehicle, version=version, **{**stay, **given})


async def test_a_stay_without_doubt_is_no_case(story):
    log = await story.log(story.events(story.opened("p1", "v1"), story.closed("p1", "v1")))
    assert await cases(log) == []


async def test_an_orphan_is_a_case_for_the_entry_that_nobody_saw(story):
    seen, fact = crossing(story, 2, "v9", "out", 5.0)
    tracklet = story.event(1, story.assigned("v9", "right/9", "right"), at=4.0)
    log = await story.log([tracklet, seen, story.event(3, replace(story.orphaned(), evidence=(fact,)), at=5.0)])
    (case,) = await cases(log)
    assert (case.causes, case.entry, case.is_decided) == (("no_entry",), None, False)
    assert (case.exit.vehicle, case.exit.portal, case.exit.tracklets) == ("v9", "exit", ("right/9",))


async def test_the_open_stays_that_an_orphan_may_be_the_exit_of_are_named_the_shortest_first(story):
    log = await story.log(
        [
            story.event(1, story.opened("p1", "v1", at=0.0), at=0.0),
            story.event(2, story.opened("p2", "v2", at=100.0), at=100.0),
            story.event(3, story.opened("p3", "v3", at=400.0), at=400.0),  # came after it had left
            story.event(4, story.orphaned("p9", "v9", exit=300.0), at=300.0),
        ]
    )
    (case,) = await cases(log)
    assert [(one.session, one.end, one.stay_s) for one in case.candidates] == [("p2", "entry", 200.0), ("p1", "entry", 300.0)]


async def test_an_open_stay_in_doubt_names_the_exits_without_an_entry(story):
    doubtful = replace(story.opened("p1", "v1", at=0.0), flags=("camera_gap", "unverified"))
    log = await story.log([story.event(1, doubtful, at=0.0), story.event(2, story.orphaned("p9", "v9", exit=60.0), at=60.0)])
    stay_case = next(one for one in await cases(log) if one.session.session == "p1")
    assert stay_case.causes == ("camera_gap",)  # that it is unverified goes without saying
    assert [(one.session, one.end, one.stay_s) for one in stay_case.candidates] == [("p9", "exit", 60.0)]


async def test_both_ends_and_the_names_that_are_one_are_told(story):
    came, came_fact = crossing(story, 1, "v1", "in", 1.0)
    left, left_fact = crossing(story, 3, "v2", "out", 61.0, certainty=0.6)
    merged = story.event(4, IdentitiesMerged(vehicle="v1", merged="v2"), at=61.0)
    closed = replace(
        story.closed("p1", "v1", exit=61.0),
        flags=("ambiguous_identity", "unverified"),
        evidence=(came_fact, left_fact, merged.id),
    )
    log = await story.log([came, story.event(2, story.opened(), at=1.0), left, merged, story.event(5, closed, at=61.0)])
    (case,) = await cases(log)
    assert (case.entry.vehicle, case.exit.vehicle, case.exit.certainty) == ("v1", "v2", 0.6)
    assert [(one.vehicle, one.merged, one.decision) for one in case.names] == [("v1", "v2", None)]


@pytest.mark.parametrize(("plate", "is_decided"), [(None, True), ("d1", False)])
async def test_a_decision_settles_a_case_and_a_plate_does_not(story, plate, is_decided):
    doubtful = replace(story.opened("p1", "v1"), flags=("unverified",))
    decided = amended("p1", "v1", 2, 0, noon=story.noon, status="open", exit_at=None, flags=("unverified",), plate=plate)
    log = await story.log([story.event(1, doubtful, at=1.0), story.event(2, decided, at=70.0)])
    assert [one.is_decided for one in await cases(log, known=1)] == [False]
    assert [one.is_decided for one in await cases(log)] == [is_decided]


async def test_what_waits_comes_before_what_is_decided(story):
    doubtful = replace(story.opened("p1", "v1"), flags=("unverified",))
    decided = amended("p1", "v1", 2, 60, noon=story.noon, flags=("unverified",), final_at=story.noon)
    log = await story.log(
        [story.event(1, doubtful, at=1.0), story.event(2, decided, at=60.0), story.event(3, story.orphaned(exit=70.0), at=70.0)]
    )
    assert [one.session.session for one in await cases(log)] == ["p9", "p1"]


async def test_a_void_stay_is_no_case(story):
    doubtful = replace(story.opened("p1", "v1"), flags=("unverified",))
    void = amended("p1", "v1", 2, 0, noon=story.noon, status="void", exit_at=None, reason="late_data", flags=("unverified",))
    log = await story.log([story.event(1, doubtful, at=1.0), story.event(2, void, at=2.0)])
    assert await cases(log) == []
    assert len(await cases(log, known=1)) == 1


async def test_a_stay_is_told_with_its_versions_and_where_it_stood(story):
    closed = replace(story.closed("p1", "v1"), amount_minor=200, currency="EUR", version=2)
    corrected = amended("p1", "v1", 3, 50, noon=story.noon, amount_minor=100, currency="EUR")
    log = await story.log(
        [
            story.event(1, story.opened(), at=1.0),
            story.event(2, story.parked("v1", "s1"), at=20.0),
            story.event(3, story.parked("v2", "s2"), at=21.0),  # somebody else
            story.event(4, closed, at=61.5),
            story.event(5, corrected, at=61.5),
        ]
    )
    told = await stay(log, "lot", "p1", Moment(at=None, known_at=5))
    assert [(one.version, one.position, one.status, one.reason, one.amount_minor) for one in told.versions] == [
        (1, "1", "open", None, None),
        (2, "4", "closed", None, 200),
        (3, "5", "closed", "operator", 100),
    ]
    assert [one.stall for one in told.parked] == ["s1"]
    before = await stay(log, "lot", "p1", Moment(at=None, known_at=4))
    assert (before.session.amount_minor, len(before.versions)) == (200, 2)


async def test_a_stay_that_is_not_known_then_is_not_found(story):
    log = await story.log([story.event(1, story.opened("p1"), at=1.0)])
    with pytest.raises(NotFound, match="no session 'p2'"):
        await stay(log, "lot", "p2", Moment(at=None, known_at=1))


@given(st.lists(st.tuples(*[st.integers(0, 60)] * 4), max_size=60), st.integers(-10, 80))
@settings(max_examples=60, deadline=None)
def test_cases_since_a_time_are_those_of_all_of_which_something_was_told_with_all_their_candidates(story, rows, tenths):
    since = story.noon + tenths * 100_000

    async def both():
        async with aclosing(await story.log(story.any(rows))) as log:
            moment = Moment(at=None, known_at=(await log.heads("lot")).facts)
            told = await told_since(log, "lot", moment, since - 1)
            return told, await review(log, "lot", moment), await review(log, "lot", moment, since=since)

    told, everything, found = asyncio.run(both())
    expected = [one for one in everything if one.session.session in told]
    assert [bare(one) for one in found] == [bare(one) for one in expected]


def bare(case):
    """A case without candidates' crossings: those of before may not be read."""
    return replace(case, candidates=tuple(replace(one, crossing=None) for one in case.candidates))


async def test_a_queue_since_a_time_does_not_read_what_was_before_but_names_it(story, monkeypatch):
    entered, entry = crossing(story, 1, "v1", "in", 0.0)
    left, exit = crossing(story, 30, "v9", "out", 300.0)
    log = await story.log(
        [
            entered,
            story.event(2, replace(story.opened("p1", "v1", at=0.0), evidence=(entry,)), at=0.0),
            *(story.event(n, story.assigned("v1", f"left/{n}"), at=n) for n in range(3, 29)),
            left,
            story.event(31, replace(story.orphaned("p9", "v9", exit=300.0), evidence=(exit,)), at=300.0),
        ]
    )
    monkeypatch.setattr(evidence_module, "MOST_FACTS", 10)
    with pytest.raises(TooLarge, match="since a later time"):
        await cases(log)
    moment = Moment(at=None, known_at=(await log.heads("lot")).facts)
    (case,) = await review(log, "lot", moment, since=story.noon + 300_000_000)
    assert (case.session.session, case.exit.portal) == ("p9", "exit")
    assert [(one.session, one.stay_s, one.crossing) for one in case.candidates] == [("p1", 300.0, None)]


async def test_a_review_of_more_facts_than_can_be_read_is_refused_with_what_to_do(story, monkeypatch):
    log = await story.log(
        [story.event(1, story.opened(), at=1.0)]
        + [story.event(n, story.assigned("v1", f"left/{n}"), at=n) for n in range(2, 12)]
    )
    monkeypatch.setattr(evidence_module, "MOST_FACTS", 10)
    with pytest.raises(
        TooLarge, match=r"over 10 facts of site 'lot' .*decide about the stays that began about 2026-01-01T12:00:01"
    ):
        await cases(log)
    assert await cases(log, at=story.noon + 10_000_000) == []


async def test_a_stay_is_told_by_what_was_seen_until_an_hour_after_it_and_all_that_was_decided(story, monkeypatch):
    left, left_fact = crossing(story, 3, "v2", "out", 60.0)
    merged = story.event(900, IdentitiesMerged(vehicle="v1", merged="v2", decision="d1"), at=90_000.0)
    closed = replace(story.closed("p1", "v1", exit=60.0), version=2)
    decided = amended("p1", "v1", 3, 60, noon=story.noon, evidence=(left_fact, merged.id))
    others = [story.event(n, story.assigned("v7", f"left/{n}"), at=4_000.0 + n) for n in range(10, 60)]
    log = await story.log(
        [
            story.event(1, story.opened(), at=1.0),
            story.event(2, story.parked("v2", "s2"), at=20.0),
            left,
            story.event(4, closed, at=60.0),
            *others,
            merged,
            story.event(901, decided, at=90_000.0),
        ]
    )
    monkeypatch.setattr(evidence_module, "MOST_FACTS", 10)
    told = await stay(log, "lot", "p1", Moment(at=None, known_at=len(others) + 6))
    assert [one.version for one in told.versions] == [1, 2, 3]
    assert [(one.merged, one.decision) for one in told.names] == [("v2", "d1")]
    assert [one.stall for one in told.parked] == ["s2"]
    assert told.exit.vehicle == "v2"


async def test_an_open_stay_of_more_facts_than_can_be_read_is_refused_with_what_to_ask_instead(story, monkeypatch):
    log = await story.log(
        [story.event(1, story.opened(), at=1.0)]
        + [story.event(n, story.assigned("v1", f"left/{n}"), at=n) for n in range(2, 12)]
    )
    monkeypatch.setattr(evidence_module, "MOST_FACTS", 10)
    with pytest.raises(TooLarge, match=r"over 10 facts of site 'lot' .*ask for the stay at a moment"):
        await stay(log, "lot", "p1", Moment(at=None, known_at=11))
    assert (await stay(log, "lot", "p1", Moment(at=story.noon + 5_000_000, known_at=11))).session.status == "open"
