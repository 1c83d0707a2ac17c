"""Which vehicle a tracklet is: always what the net facts say."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from twin.events.facts import FactRetracted
from twin.feeds.hub import Hub
from twin.feeds.names import LOOK_BACK, TrackletNames
from twin.projections.timeline import Timeline

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=30)


def told(story, rows):
    """Assignments, each after the first of a tracklet superseding the one before; or a retraction of that."""
    events, standing = [story.event(1, story.confirmed(), at=1)], {}
    for number, (tracklet, vehicle, is_retracted) in enumerate(rows, 2):
        before = standing.pop(tracklet, None)
        supersedes = [] if before is None else [before.id]
        if is_retracted and before is not None:
            payload = FactRetracted(kind="tracklet.assigned.v1", reason="late_data", vehicle=before.payload.vehicle)
        else:
            payload = story.assigned(f"v{vehicle}", f"t{tracklet}")
        event = story.event(number, payload, at=number, supersedes=supersedes)
        if not isinstance(payload, FactRetracted):
            standing[tracklet] = event
        events.append(event)
    return events, {f"t{tracklet}": event.payload.vehicle for tracklet, event in standing.items()}


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 31))
def test_names_are_those_of_the_net_facts_whether_followed_or_read_later(story, rows, cut):
    async def follow():
        events, wanted = told(story, rows)
        log = await story.log(events)
        facts = await log.facts("lot", limit=1000)
        followed, late, both = TrackletNames(), TrackletNames(), TrackletNames()
        followed.take(facts)
        followed.take(facts)  # again
        at = events[-1].occurred_at
        await late.catch_up(log, "lot", until=len(facts), at=at)
        both.take(facts[:cut])
        await both.catch_up(log, "lot", until=len(facts), at=at)
        for names in (followed, late, both):
            assert {f"t{n}": names.of(f"t{n}") for n in range(4) if names.of(f"t{n}")} == wanted
            assert names.position == len(facts)

    asyncio.run(follow())


async def test_more_tracklets_than_are_kept_push_out_the_oldest(story):
    log = await story.log([story.event(n, story.assigned(f"v{n}", f"t{n}"), at=n) for n in range(1, 6)])
    names = TrackletNames(most=2)
    names.take(await log.facts("lot"))
    assert [names.of(f"t{n}") for n in range(1, 6)] == [None, None, None, "v4", "v5"]
    assert len(names) == 2


async def test_at_the_start_only_the_last_day_is_read(story):
    events = [story.event(1, story.assigned("v1", "t1"), at=1), story.event(2, story.assigned("v2", "t2"), at=2)]
    log, names = await story.log(events), TrackletNames()
    await names.catch_up(log, "lot", until=2, at=events[0].occurred_at + LOOK_BACK + 1)
    assert (names.of("t1"), names.of("t2")) == (None, "v2")


async def test_the_feed_knows_names_of_before_and_after_its_start_and_through_a_correction(lot, story):
    log = await story.log(story.events(story.confirmed(), story.assigned("v1", "t1"), story.moved(x=5.0)))
    hub = Hub(log, Timeline(log, lot), epoch="e1")
    running = asyncio.create_task(hub.run())
    try:
        await hub.started()
        assert hub.names.of("t1") == "v1"
        early = [story.event(n, story.moved(x=n), at=n) for n in range(4, 40)]
        await story.add(log, [*early, story.event(40, story.assigned("v1", "t2"), at=40)])
        await known(hub, 40)
        corrected = story.event(41, story.assigned("v2", "t1"), at=2, supersedes=[(await log.facts("lot"))[1].event.id])
        await story.add(log, [corrected])  # it reaches back behind what is settled: the feed reads its state anew
        await known(hub, 41)
        assert (hub.names.of("t1"), hub.names.of("t2")) == ("v2", "v1")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def known(hub, position):
    async with asyncio.timeout(10):
        while hub.position < position or hub.is_behind:  # noqa: ASYNC110 - it has no event for a test
            await asyncio.sleep(0.002)
