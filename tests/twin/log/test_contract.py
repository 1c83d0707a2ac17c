"""The contract of ``twin.log.port.Log``: every adapter passes all of it."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twin.errors import BadInput, Conflict, CursorConflict, Deposed, LogClosed
from twin.events.codec import type_name
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import Attribute, ClockTicked, FrameObserved, Sealed, TrackletEmbedded
from twin.log.memory import MemoryLog
from twin.log.port import FencingToken, FoldCommit, Heads, Outcome, Receipt, Snapshot, Superseded

STORED, DUPLICATE, REFUSED = Outcome.STORED, Outcome.DUPLICATE, Outcome.REFUSED

# One log serves every example of a property: each example takes a site of its own.
shared_log = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
fresh = (f"site-{number}" for number in count())


async def test_a_site_never_seen_is_all_zero_and_empty(log):
    assert await log.heads("nowhere") == Heads()
    assert await log.sites() == []
    assert await log.observations("nowhere") == []
    assert await log.facts("nowhere") == []
    assert await log.position_at("nowhere", 2**62) == 0


async def test_positions_are_dense_in_append_order(log, make):
    first, second = make.observations(2), make.observations(1)
    assert [receipt.position for receipt in await log.append(first)] == [1, 2]
    assert [receipt.position for receipt in await log.append(second)] == [3]
    assert [(one.position, one.event) for one in await log.observations("lot")] == list(enumerate(first + second, 1))
    assert await log.heads("lot") == Heads(observations=3)


async def test_an_append_of_nothing_stores_nothing(log):
    assert await log.append([]) == []
    assert await log.sites() == []


async def test_every_kind_of_payload_comes_back_equal(log):
    sealed = Sealed(key_id="t1", ciphertext=bytes(range(256)))
    payloads = [
        FrameObserved(camera="ä-1", frame_px=(1, 2), detector="d", clock="unsynced", unchanged=("t1", "t2")),
        TrackletEmbedded(
            camera="c", tracklet="t1", kind="bus", embedder="e", box_px=(0.1, 1.5, 2.25, 3.0), quality=0.3, sealed=sealed
        ),
        TrackletEmbedded(
            camera="c",
            tracklet="t1",
            kind="bus",
            embedder="e",
            box_px=(0.1, 1.5, 2.25, 3.0),
            quality=0.3,
            sealed=sealed,
            colour=Attribute(name="grey", score=0.1, model="ä@1"),
            body=Attribute(name="van", score=1.0, model="ä@1"),
        ),
        ClockTicked(worker="w"),
    ]
    events = [
        ObservationEvent(
            site="lot", key=DeviceKey(device="d", boot_epoch=0, sequence=number), occurred_at=-number, payload=payload
        )
        for number, payload in enumerate(payloads)
    ]
    await log.append(events)
    assert [one.event for one in await log.observations("lot")] == events


async def test_sites_have_positions_of_their_own(log, make):
    events = [make.observation(1, site="b"), make.observation(1, site="a"), make.observation(2, site="b")]
    assert [receipt.position for receipt in await log.append(events)] == [1, 1, 2]
    assert await log.sites() == ["a", "b"]
    assert (await log.heads("a"), await log.heads("b")) == (Heads(observations=1), Heads(observations=2))


async def test_observations_are_read_after_a_position_up_to_a_limit(log, make):
    await log.append(make.observations(5))
    assert [one.position for one in await log.observations("lot", after=1, limit=3)] == [2, 3, 4]


async def test_a_resend_gets_the_first_position(log, make):
    events = make.observations(3)
    await log.append(events)
    assert await log.append([events[2], events[0]]) == [
        Receipt(outcome=DUPLICATE, position=3),
        Receipt(outcome=DUPLICATE, position=1),
    ]
    assert await log.heads("lot") == Heads(observations=3)


async def test_a_duplicate_inside_one_batch_is_stored_once(log, make):
    event = make.observation(7)
    receipts = await log.append([event, make.observation(8), event])
    assert [(one.outcome, one.position) for one in receipts] == [(STORED, 1), (STORED, 2), (DUPLICATE, 1)]
    assert await log.heads("lot") == Heads(observations=2)


@pytest.mark.parametrize("change", [{"score": 0.6}, {"at": 5}])
async def test_other_content_under_a_stored_key_is_refused_and_recorded(log, make, clock, change):
    original = make.observation(1)
    await log.append([original])
    clock.at += 1000
    for _ in range(2):
        receipts = await log.append([make.observation(1, **change), make.observation(2)])
        assert receipts[0] == Receipt(outcome=REFUSED, position=1)
    assert [one.event for one in await log.observations("lot")] == [original, make.observation(2)]
    (refusal,) = await log.refusals("lot")
    assert (refusal.key, refusal.position, refusal.n_refused, refusal.refused_at) == (original.key, 1, 2, clock.at)


async def test_other_content_inside_one_batch_is_refused(log, make):
    receipts = await log.append([make.observation(1), make.observation(1, score=0.9)])
    assert [(one.outcome, one.position) for one in receipts] == [(STORED, 1), (REFUSED, 1)]


async def test_boot_epoch_and_device_are_part_of_the_key(log, make):
    events = [make.observation(1), make.observation(1, epoch=2), make.observation(1, device="cam-2")]
    assert [receipt.outcome for receipt in await log.append(events)] == [STORED] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"sequence": -1},
        {"sequence": 2**63},
        {"epoch": 2**64},
        {"at": 2**63},
        {"device": ""},
        {"device": "a\x00b"},
        {"device": "\ud800"},
        {"device": "d" * 256},
        {"site": "a\x00b"},
    ],
)
async def test_an_event_that_no_column_can_hold_is_refused_with_its_whole_batch(log, make, wrong):
    with pytest.raises(BadInput):
        await log.append([make.observation(1), make.observation(**{"sequence": 2, **wrong})])
    assert await log.sites() == []
    assert [receipt.position for receipt in await log.append([make.observation(1)])] == [1]


async def test_positions_stay_dense_under_concurrent_appends(log, make):
    batches = [make.observations(1 + number % 3, device=f"cam-{number % 4}") for number in range(40)]
    answers = await asyncio.gather(*map(log.append, batches))
    stored = {one.position: one.event for one in await log.observations("lot")}
    assert sorted(stored) == list(range(1, sum(map(len, batches)) + 1))
    for batch, receipts in zip(batches, answers, strict=True):
        assert [stored[receipt.position] for receipt in receipts] == batch


async def test_the_same_event_sent_many_times_at_once_is_stored_once(log, make):
    event, altered = make.observation(1), make.observation(1, score=0.9)
    answers = await asyncio.gather(*(log.append([one]) for one in (event, event, altered, event, altered)))
    outcomes = [receipt.outcome for (receipt,) in answers]
    first = outcomes.index(STORED)
    winner = event if first in (0, 1, 3) else altered
    assert [one.event for one in await log.observations("lot")] == [winner]
    assert outcomes.count(STORED) == 1
    assert outcomes.count(REFUSED) == (2 if winner is event else 3)
    assert {receipt.position for (receipt,) in answers} == {1}


async def test_recorded_at_never_goes_back_even_if_the_clock_does(log, make, clock):
    token = await log.acquire("lot", "w")
    times = []
    for step, cursor in [(0, 1), (-1_000_000, 2), (5, 3)]:
        clock.at += step
        await log.append(make.observations(1))
        await log.commit(FoldCommit(token=token, after=cursor - 1, cursor=cursor, facts=(make.fact(cursor),)))
        times.append(clock.at)
    first = times[0]
    assert [one.recorded_at for one in await log.observations("lot")] == [first, first, first]
    assert [one.recorded_at for one in await log.facts("lot")] == [first, first, first]


async def test_a_commit_stores_its_facts_and_moves_the_cursor(log, make):
    await log.append(make.observations(3))
    token = await log.acquire("lot", "w")
    facts = (make.fact(1), make.left(2), make.fact(2, 1))
    assert await log.commit(FoldCommit(token=token, after=0, cursor=2, facts=facts)) == 3
    assert await log.heads("lot") == Heads(observations=3, facts=3, cursor=2)
    assert [(one.position, one.event) for one in await log.facts("lot")] == list(enumerate(facts, 1))
    assert await log.commit(FoldCommit(token=token, after=2, cursor=3)) == 3
    assert await log.heads("lot") == Heads(observations=3, facts=3, cursor=3)


@pytest.mark.parametrize(("after", "cursor"), [(0, 2), (2, 3), (1, 4)])
async def test_a_commit_that_does_not_fit_the_cursor_stores_nothing(log, make, after, cursor):
    # The cursor stands at 1 of 3: 0 is behind it, 2 is ahead of it, and 4 is past the head.
    await log.append(make.observations(3))
    token = await log.acquire("lot", "w")
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(make.fact(1),)))
    with pytest.raises(CursorConflict):
        await log.commit(FoldCommit(token=token, after=after, cursor=cursor, facts=(make.fact(2),)))
    assert await log.heads("lot") == Heads(observations=3, facts=1, cursor=1)


async def test_a_deposed_writer_stores_nothing(log, make):
    await log.append(make.observations(1))
    old = await log.acquire("lot", "old")
    new = await log.acquire("lot", "new")
    assert (new.worker, new.number > old.number) == ("new", True)
    with pytest.raises(Deposed):
        await log.commit(FoldCommit(token=old, after=0, cursor=1, facts=(make.fact(1),)))
    assert await log.heads("lot") == Heads(observations=1)
    await log.commit(FoldCommit(token=new, after=0, cursor=1, facts=(make.fact(1),)))


async def test_a_token_that_was_never_given_out_is_refused(log, make):
    await log.append(make.observations(1))
    with pytest.raises(Deposed):
        await log.commit(FoldCommit(token=FencingToken(site="lot", worker="w", number=9), after=0, cursor=1))


async def test_a_fact_stored_before_is_refused_with_its_whole_commit(log, make):
    await log.append(make.observations(2))
    token = await log.acquire("lot", "w")
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(make.fact(1),)))
    with pytest.raises(Conflict):
        await log.commit(FoldCommit(token=token, after=1, cursor=2, facts=(make.fact(2), make.fact(1))))
    with pytest.raises(BadInput):
        await log.commit(FoldCommit(token=token, after=1, cursor=2, facts=(make.fact(2), make.fact(2))))
    assert await log.heads("lot") == Heads(observations=2, facts=1, cursor=1)
    assert await log.commit(FoldCommit(token=token, after=1, cursor=2, facts=(make.fact(2),))) == 2


async def test_a_commit_with_another_sites_fact_is_refused(log, make):
    await log.append(make.observations(1))
    token = await log.acquire("lot", "w")
    with pytest.raises(BadInput):
        await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(make.fact(1, site="other"),)))


async def test_appends_beside_a_refused_commit_are_stored(log, make):
    token = await log.acquire("lot", "w")
    bad = FoldCommit(token=token, after=5, cursor=6)
    answers = await asyncio.gather(
        log.append(make.observations(1)), log.commit(bad), log.append(make.observations(1)), return_exceptions=True
    )
    assert isinstance(answers[1], CursorConflict)
    assert await log.heads("lot") == Heads(observations=2)


async def test_facts_are_read_by_type_after_a_position(log, make):
    await log.append(make.observations(1))
    token = await log.acquire("lot", "w")
    facts = (make.fact(1, 0), make.left(1, 1), make.fact(1, 2), make.left(1, 3))
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=facts))
    types = ("vehicle.left.v1",)
    assert [one.position for one in await log.facts("lot", types=types)] == [2, 4]
    assert [one.position for one in await log.facts("lot", after=2, types=types)] == [4]
    assert [one.position for one in await log.facts("lot", after=1, limit=2)] == [2, 3]


async def test_a_superseded_fact_is_net_until_the_position_that_supersedes_it(log, make):
    await log.append(make.observations(1))
    token = await log.acquire("lot", "w")
    wrong, unrelated = make.fact(1, 0, at=10), make.fact(1, 1, at=20)
    right = make.fact(1, 2, at=5, supersedes=[wrong.id])
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(wrong, unrelated, right)))

    async def known_at(position):
        net = await log.facts_between("lot", after_at=0, until_at=100, until_position=position)
        return [one.event for one in net]

    assert await known_at(2) == [wrong, unrelated]
    assert await known_at(3) == [right, unrelated]
    assert not await log.facts_disturbing("lot", at=4, after=2, until=3)  # what it supersedes is later, too
    assert await log.facts_disturbing("lot", at=5, after=2, until=3)
    assert not await log.facts_disturbing("lot", at=4, after=0, until=2)
    assert await log.facts_disturbing("lot", at=10, after=0, until=1)  # it is no later
    assert not await log.facts_disturbing("lot", at=10, after=1, until=2)
    assert await log.facts_disturbing("lot", at=10, after=2, until=3)


async def test_a_superseded_fact_is_told_with_the_first_that_does(log, make):
    await log.append(make.observations(1))
    token = await log.acquire("lot", "w")
    wrong, other = make.fact(1, 0, at=10), make.fact(1, 1, at=20)
    first, both = make.fact(1, 2, supersedes=[wrong.id]), make.fact(1, 3, supersedes=[wrong.id, other.id])
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(wrong, other, first, both)))
    told = [
        Superseded(position=1, occurred_at=10, by_position=3),
        Superseded(position=2, occurred_at=20, by_position=4),
    ]
    assert await log.facts_superseded("lot", after=0, until=4) == told
    assert await log.facts_superseded("lot", after=3, until=4) == told[1:]  # not again
    assert await log.facts_superseded("lot", after=0, until=3) == told[:1]
    assert await log.facts_superseded("other", after=0, until=4) == []


small = st.integers(0, 6)
fact_specs = st.lists(
    st.tuples(small, st.sampled_from(["a1", "a2", None]), st.sets(st.integers(0, 11), max_size=2)), max_size=12
)


@shared_log
@given(specs=fact_specs, after_at=small, until_at=small, until_position=st.integers(0, 14), split=st.integers(0, 12))
async def test_facts_between_equals_a_naive_search(log, make, specs, after_at, until_at, until_position, split):
    make.site = site = next(fresh)
    await log.append(make.observations(2))
    token = await log.acquire(site, "w")
    facts = []
    for ordinal, (at, stall, supersedes) in enumerate(specs):
        cause = 1 if ordinal < split else 2
        if stall is None:
            facts.append(make.left(cause, ordinal, at=at))
        else:
            earlier = [facts[place].id for place in sorted(supersedes) if place < ordinal]
            facts.append(make.fact(cause, ordinal, at=at, stall=stall, supersedes=earlier))
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=tuple(facts[:split])))
    await log.commit(FoldCommit(token=token, after=1, cursor=2, facts=tuple(facts[split:])))

    known = list(enumerate(facts, 1))[:until_position]
    gone = {one for _, fact in known for one in fact.supersedes}
    net = [
        (fact.occurred_at, position)
        for position, fact in known
        if fact.id not in gone and after_at < fact.occurred_at <= until_at
    ]
    found = await log.facts_between(site, after_at=after_at, until_at=until_at, until_position=until_position)
    assert [(one.event.occurred_at, one.position) for one in found] == sorted(net)
    for types, subject in [(("stall.changed.v1",), "a1"), ((), "v1"), (("vehicle.left.v1",), None)]:
        some = await log.facts_between(
            site, after_at=after_at, until_at=until_at, until_position=until_position, types=types, subject=subject
        )
        assert some == [
            one
            for one in found
            if (not types or type_name(one.event.payload) in types)
            and (subject is None or getattr(one.event.payload, "stall", "v1") == subject)
        ]
    told = [fact for position, fact in known if position > split]
    changed = {one for fact in told for one in fact.supersedes} | {fact.id for fact in told}
    disturbs = any(fact.occurred_at <= until_at for fact in facts if fact.id in changed)
    assert await log.facts_disturbing(site, at=until_at, after=split, until=until_position) == disturbs


async def test_the_chain_is_the_same_in_every_adapter_however_the_events_came(log, make, clock):
    reference = MemoryLog(clock=clock)
    observations = make.observations(5)
    facts = (make.fact(1), make.fact(2, supersedes=[make.fact(1).id]))
    for adapter, batches in ((log, ([0, 3], [3, 5])), (reference, ([0, 5],))):
        for start, end in batches:
            await adapter.append(observations[start:end])
        token = await adapter.acquire("lot", "w")
        for cursor, fact in enumerate(facts, start=1):
            await adapter.commit(FoldCommit(token=token, after=cursor - 1, cursor=cursor, facts=(fact,)))
    assert await log.chain("lot") == await reference.chain("lot")
    assert (await log.chain("lot")).observations.position == 5
    assert await log.chain("elsewhere") == await reference.chain("elsewhere")


async def test_when_an_event_was_recorded_is_a_link_of_its_own(log, make, clock):
    await log.append([make.observation(1, site="a")])
    clock.at += 1
    other = MemoryLog(clock=clock)
    await other.append([make.observation(1, site="a")])
    link, later = [(await one.chain("a")).observations.link for one in (log, other)]
    assert link.content == later.content
    assert link.times != later.times


async def test_position_at_is_the_last_fact_recorded_by_then(log, make, clock):
    start = clock.at
    await log.append(make.observations(2))
    token = await log.acquire("lot", "w")
    for cursor in (1, 2):
        clock.at += 10
        facts = (make.fact(cursor, 0), make.fact(cursor, 1))
        await log.commit(FoldCommit(token=token, after=cursor - 1, cursor=cursor, facts=facts))
    assert [await log.position_at("lot", start + at) for at in (9, 10, 19, 20, 99)] == [0, 2, 2, 4, 4]


sends = st.lists(st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0.1, 0.2])), max_size=4), max_size=8)


@shared_log
@given(sends=sends)
async def test_a_key_keeps_the_content_that_came_first(log, make, sends):
    make.site = site = next(fresh)
    model: dict[int, tuple[int, float]] = {}
    for batch in sends:
        expected = []
        for sequence, score in batch:
            position, first = model.setdefault(sequence, (len(model) + 1, score))
            expected.append((position, first == score))
        receipts = await log.append([make.observation(sequence, score=score) for sequence, score in batch])
        for (position, is_same), receipt in zip(expected, receipts, strict=True):
            assert receipt.position == position
            assert (receipt.outcome is REFUSED) == (not is_same)
    stored = await log.observations(site)
    assert {one.event.key.sequence: (one.position, one.event.payload.boxes[0].score) for one in stored} == model


def snapshot(position, at=0, *, kind="fusion", version="1:a", body=b"x"):
    return Snapshot(site="lot", kind=kind, version=version, position=position, at=at, body=body)


async def test_snapshots_of_a_kind_and_version_come_newest_first(log):
    saved = [snapshot(5, 10), snapshot(7, 10), snapshot(2, 30), snapshot(9, 40)]
    for one in [*saved, snapshot(1, kind="graph"), snapshot(1, version="2:a")]:
        await log.save_snapshot(one)
    assert await log.load_snapshots("lot", "fusion", "1:a", until_position=8) == [saved[2], saved[1], saved[0]]
    assert await log.load_snapshots("lot", "fusion", "1:a", until_position=8, limit=1) == [saved[2]]
    assert await log.load_snapshots("lot", "fusion", "1:a", until_position=99, until_at=29) == [saved[1], saved[0]]
    assert await log.load_snapshots("other", "fusion", "1:a", until_position=99) == []


async def test_a_snapshot_is_found_by_its_place_and_by_no_other(log):
    await log.save_snapshot(snapshot(5, 10, body=b"this"))
    await log.save_snapshot(snapshot(5, 11, body=b"later"))
    assert await log.load_snapshot("lot", "fusion", "1:a", position=5, at=10) == snapshot(5, 10, body=b"this")
    for site, kind, version, position, at in [
        ("other", "fusion", "1:a", 5, 10),
        ("lot", "graph", "1:a", 5, 10),
        ("lot", "fusion", "2:a", 5, 10),
        ("lot", "fusion", "1:a", 4, 10),
        ("lot", "fusion", "1:a", 5, 9),
    ]:
        assert await log.load_snapshot(site, kind, version, position=position, at=at) is None


async def test_snapshots_are_kept_all_or_none_as_the_last_of_them_is_what_it_was(log):
    first, second = snapshot(5, body=b"part"), snapshot(0, kind="directory", body=b"1")
    assert not await log.save_snapshots([first, second], instead_of=b"0")
    assert await log.load_snapshot("lot", "fusion", "1:a", position=5, at=0) is None
    assert await log.save_snapshots([first, second], instead_of=None)
    changed = [snapshot(5, body=b"other"), snapshot(0, kind="directory", body=b"2")]
    assert not await log.save_snapshots(changed, instead_of=None)
    assert await log.load_snapshot("lot", "fusion", "1:a", position=5, at=0) == first
    outcomes = await asyncio.gather(*(log.save_snapshots(changed, instead_of=b"1") for _ in range(4)))
    assert sorted(outcomes) == [False, False, False, True]
    assert await log.load_snapshots("lot", "fusion", "1:a", until_position=9) == changed[:1]
    assert await log.load_snapshots("lot", "directory", "1:a", until_position=9) == changed[1:]


async def test_one_at_a_time_does_a_thing_for_a_site_alone(log):
    async with log.sole("lot", "this") as first, log.sole("lot", "this") as second:
        assert (first, second) == (True, False)
        async with log.sole("other", "this") as elsewhere, log.sole("lot", "that") as otherwise:
            assert (elsewhere, otherwise) == (True, True)
        async with log.sole("lot", "this") as third:
            assert not third
    async with log.sole("lot", "this") as again:
        assert again


async def test_a_snapshot_of_the_same_place_is_replaced(log):
    await log.save_snapshot(snapshot(5, body=b"old"))
    await log.save_snapshot(snapshot(5, body=b"new"))
    assert await log.load_snapshots("lot", "fusion", "1:a", until_position=5) == [snapshot(5, body=b"new")]


async def test_dropped_snapshots_are_gone_in_every_version(log):
    for one in [snapshot(3), snapshot(4), snapshot(3, version="2:a"), snapshot(3, kind="graph")]:
        await log.save_snapshot(one)
    await log.drop_snapshots("lot", "fusion", below=4)
    assert await log.load_snapshots("lot", "fusion", "1:a", until_position=9) == [snapshot(4)]
    assert await log.load_snapshots("lot", "fusion", "2:a", until_position=9) == []
    assert await log.load_snapshots("lot", "graph", "1:a", until_position=9) == [snapshot(3, kind="graph")]


async def followed(tail, until):
    """Everything a tail yields up to a position."""
    seen = []
    async for batch in tail:
        seen += batch
        if seen[-1].position >= until:
            break
    await tail.aclose()
    return seen


async def test_a_tail_sees_everything_once_in_order_while_appends_run(log, make):
    await log.append(make.observations(3))
    tails = [asyncio.create_task(followed(log.tail_observations("lot", after=after), 123)) for after in (0, 2, 60)]
    for _ in range(30):
        await asyncio.gather(*(log.append(make.observations(2, device=device)) for device in ("c1", "c2")))
    for after, tail in zip((0, 2, 60), tails, strict=True):
        assert [one.position for one in await asyncio.wait_for(tail, 20)] == list(range(after + 1, 124))


async def test_a_tail_of_facts_wakes_on_a_commit_and_not_on_another_site(log, make):
    await log.append([make.observation(1), make.observation(1, site="other")])
    token, other = await log.acquire("lot", "w"), await log.acquire("other", "w")
    tail = asyncio.create_task(followed(log.tail_facts("lot", after=0), 1))
    await log.commit(FoldCommit(token=other, after=0, cursor=1, facts=(make.fact(1, site="other"),)))
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(make.fact(1),)))
    assert [one.event for one in await asyncio.wait_for(tail, 20)] == [make.fact(1)]


@pytest.mark.parametrize("n_turns", range(5))
async def test_a_tail_that_is_cancelled_just_as_it_is_woken_ends(log, make, n_turns):
    tail = asyncio.create_task(followed(log.tail_observations("lot", after=10**6), 10**7))
    await asyncio.sleep(0.02)
    await log.append(make.observations(1))
    for _ in range(n_turns):
        await asyncio.sleep(0)
    tail.cancel()
    done, _ = await asyncio.wait([tail], timeout=5)
    assert done == {tail}


async def test_a_closed_log_ends_its_tails_and_refuses_what_comes(log, make):
    tail = asyncio.create_task(followed(log.tail_observations("lot", after=0), 99))
    await asyncio.sleep(0)
    await log.append(make.observations(1))
    await log.aclose()
    assert len(await asyncio.wait_for(tail, 20)) <= 1
    with pytest.raises(LogClosed):
        await log.append(make.observations(1))
    with pytest.raises(LogClosed):
        await log.acquire("lot", "w")
