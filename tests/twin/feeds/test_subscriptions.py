"""Subscriptions over a log in memory: filters, beginnings, bounds, waiting."""

import asyncio

import pytest

from twin.errors import BadInput, Conflict, NotFound
from twin.feeds import subscriptions as module
from twin.feeds.subscriptions import Subscriptions
from twin.log.subscriptions import Filter, MemorySubscriptions


@pytest.fixture
def subscribe(lot, story):
    async def made(events=(), *, clock=lambda: 0):
        log = await story.log(events)
        return log, Subscriptions(log, MemorySubscriptions(), lot, clock=clock)

    return made


def seen(lease):
    return [one.fact.position for one in lease.handed]


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        (Filter(), [1, 2, 3, 4, 5, 6]),
        (Filter(types=("vehicle.moved.v1", "session.opened.v1")), [2, 6]),
        (Filter(zones=("row_a",)), [3, 4]),
        (Filter(zones=("row_a", "aisle"), types=("stall.changed.v1", "vehicle.confirmed.v1")), [1, 4]),
        (Filter(subjects=("v2",)), [5]),
        (Filter(subjects=("v1",)), [1, 2, 3, 4, 6]),
        (Filter(subjects=("s1",)), [3, 4]),
    ],
)
async def test_a_filter_lets_through_what_it_names(subscribe, story, wanted, positions):
    events = story.events(
        story.confirmed(), story.moved(), story.parked(), story.stall(), story.confirmed("v2", zone=None), story.opened()
    )
    _, subscriptions = await subscribe(events)
    await subscriptions.put("x", wanted, after=0)
    assert seen(await subscriptions.lease("x")) == positions


async def test_a_new_subscription_begins_with_what_is_still_to_come(subscribe, story):
    log, subscriptions = await subscribe(story.events(story.confirmed(), story.moved()))
    await subscriptions.put("x", Filter())
    assert seen(await subscriptions.lease("x")) == []
    await story.add(log, [story.event(3, story.moved(x=9.0))])
    assert seen(await subscriptions.lease("x")) == [3]


async def test_a_subscription_that_is_put_again_stays_where_it_is(subscribe, story):
    _, subscriptions = await subscribe(story.events(story.confirmed(), story.moved(), story.left()))
    await subscriptions.put("x", Filter(), after=0)
    lease = await subscriptions.lease("x", limit=1)
    await subscriptions.acknowledge("x", lease.number, [1])
    standing = await subscriptions.put("x", Filter(types=("vehicle.left.v1",)), after=0)
    assert standing.acknowledged_to == 1
    assert seen(await subscriptions.lease("x")) == [2, 3]  # was read under the old filter


async def test_waiting_ends_with_the_next_fact(subscribe, story):
    log, subscriptions = await subscribe()
    await subscriptions.put("x", Filter())
    waiting = asyncio.create_task(subscriptions.lease("x", wait_s=30.0))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await story.add(log, [story.event(1, story.confirmed())])
    async with asyncio.timeout(5):
        assert seen(await waiting) == [1]


async def test_waiting_ends_with_the_end_of_a_pause_and_all_that_came_meanwhile(subscribe, story, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.01)
    now = [7]
    log, subscriptions = await subscribe(clock=lambda: now[0])
    await subscriptions.put("x", Filter())
    paused = await subscriptions.pause("x")
    now[0] = 9
    assert (await subscriptions.pause("x")).subscription.paused_at == paused.subscription.paused_at == 7
    waiting = asyncio.create_task(subscriptions.lease("x", wait_s=30.0))
    await story.add(log, [story.event(1, story.confirmed()), story.event(2, story.moved())])
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert (await subscriptions.resume("x")).subscription.paused_at is None
    async with asyncio.timeout(5):
        assert seen(await waiting) == [1, 2]


async def test_a_pause_with_a_lease_that_ended_is_waited_out_and_not_looked_at_all_the_time(subscribe, story, monkeypatch):
    now = [0]
    _, subscriptions = await subscribe(story.events(story.confirmed()), clock=lambda: now[0])
    await subscriptions.put("x", Filter(), after=0)
    await subscriptions.lease("x", lease_s=1.0)
    await subscriptions.pause("x")
    now[0] = 2_000_000
    n_looked, load = [0], subscriptions._load

    async def counted(name):
        n_looked[0] += 1
        return await load(name)

    monkeypatch.setattr(subscriptions, "_load", counted)
    assert (await subscriptions.lease("x", wait_s=0.3)).number == 0
    assert n_looked[0] <= 4


async def test_a_changed_filter_ends_no_pause(subscribe):
    _, subscriptions = await subscribe()
    await subscriptions.put("x", Filter())
    await subscriptions.pause("x")
    standing = await subscriptions.put("x", Filter(types=("vehicle.left.v1",)))
    assert standing.subscription.paused_at == 0
    with pytest.raises(NotFound):
        await subscriptions.pause("y")


async def test_waiting_ends_without_anything_when_its_time_is_up(subscribe):
    _, subscriptions = await subscribe()
    await subscriptions.put("x", Filter())
    assert (await subscriptions.lease("x", wait_s=0.05)).number == 0


async def test_a_queue_is_bounded_and_goes_on_where_it_stopped(subscribe, story, monkeypatch):
    monkeypatch.setattr(module, "N_QUEUED", 5)
    monkeypatch.setattr(module, "_PAGE", 2)
    _, subscriptions = await subscribe([story.event(n, story.moved(f"v{n}")) for n in range(1, 31)])
    await subscriptions.put("x", Filter(), after=0)
    delivered = []
    for _ in range(30):
        lease = await subscriptions.lease("x", limit=3)
        assert len((await subscriptions.standing("x")).subscription.queue) <= 5 + 2
        delivered += seen(lease)
        await subscriptions.acknowledge("x", lease.number, seen(lease))
    assert delivered == list(range(1, 31))


async def test_what_stands_behind_a_parked_fact_is_bounded_too(subscribe, story, monkeypatch):
    monkeypatch.setattr(module, "MOST_BLOCKED", 4)
    monkeypatch.setattr(module, "_PAGE", 2)
    _, subscriptions = await subscribe([story.event(n, story.moved()) for n in range(1, 31)])
    await subscriptions.put("x", Filter(), after=0, most_attempts=1)
    lease = await subscriptions.lease("x")
    assert seen(lease) == [1]
    await subscriptions.refuse("x", lease.number, 1, "no tariff")
    for _ in range(9):
        assert seen(await subscriptions.lease("x")) == []
    standing = await subscriptions.standing("x")
    assert standing.is_full
    assert len(standing.subscription.queue) <= 4 + 2 + 1
    await subscriptions.discard("x", 1)
    assert seen(await subscriptions.lease("x")) == [2]


async def test_a_replay_of_a_range_comes_before_what_follows(subscribe, story):
    _, subscriptions = await subscribe([story.event(n, story.moved(f"v{n}")) for n in range(1, 6)])
    await subscriptions.put("x", Filter(), after=0)
    lease = await subscriptions.lease("x", limit=4)
    await subscriptions.acknowledge("x", lease.number, [1, 2, 3, 4])
    await subscriptions.replay("x", after=1, until=3)
    assert seen(await subscriptions.lease("x")) == [2, 3, 5]


@pytest.mark.parametrize(
    ("name", "wanted", "given", "words"),
    [
        ("Billing!", Filter(), {}, "'Billing!' is no name"),
        (
            "x",
            Filter(types=("vehicle.flew.v1",)),
            {},
            "type 'vehicle.flew.v1' is not known; use of camera.bias.v1, camera.link.v1, camera.state.v1",
        ),
        ("x", Filter(zones=("attic",)), {}, "zone 'attic' is not known; use of aisle, road, row_a, row_b"),
        ("x", Filter(), {"after": 1}, "cannot begin after position 1: the log's last is 0"),
        ("x", Filter(), {"most_attempts": 0}, "most_attempts=0 cannot be"),
    ],
)
async def test_what_cannot_be_is_named(subscribe, name, wanted, given, words):
    _, subscriptions = await subscribe()
    with pytest.raises((BadInput, Conflict), match=words):
        await subscriptions.put(name, wanted, **given)


async def test_there_is_an_end_to_how_many(subscribe, monkeypatch):
    monkeypatch.setattr(module, "MOST_SUBSCRIPTIONS", 1)
    _, subscriptions = await subscribe()
    await subscriptions.put("x", Filter())
    await subscriptions.put("x", Filter())
    with pytest.raises(Conflict, match="has 1 subscriptions, the most; delete one first"):
        await subscriptions.put("y", Filter())


async def test_a_deleted_one_is_gone(subscribe):
    _, subscriptions = await subscribe()
    await subscriptions.put("x", Filter())
    await subscriptions.delete("x")
    assert await subscriptions.names() == []
    for call in (subscriptions.delete("x"), subscriptions.lease("x"), subscriptions.standing("x")):
        with pytest.raises(NotFound, match="no subscription 'x'; PUT it first"):
            await call
