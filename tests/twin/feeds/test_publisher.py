"""Facts to a broker, at least once and in order within a session."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from twin.backoff import Backoff
from twin.errors import LogClosed, Overloaded
from twin.events.codec import to_json
from twin.feeds.publisher import SUBSCRIPTION, FactPublisher
from twin.feeds.subscriptions import Subscriptions, order_of
from twin.log.subscriptions import MemorySubscriptions

BACKOFF = Backoff(lambda: 0.0, first_s=0.001, longest_s=0.01)


@pytest.fixture
def publish(lot):
    """Run a publisher over a log until all is acknowledged, with a ``send`` of the test's."""

    async def run(log, send, *, subscriptions=None, clock=lambda: 0):
        subscriptions = subscriptions or Subscriptions(log, MemorySubscriptions(), lot, clock=clock)
        running = asyncio.create_task(FactPublisher(subscriptions, send, consumer="p", backoff=BACKOFF).run())
        try:
            async with asyncio.timeout(10):
                head = (await log.heads(lot.name)).facts
                while SUBSCRIPTION not in await subscriptions.names():  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.001)
                while (await subscriptions.standing(SUBSCRIPTION)).acknowledged_to < head:
                    assert not running.done()
                    await asyncio.sleep(0.001)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return subscriptions

    return run


def events(story, n):
    return [event for _ in range(n) for event in (story.confirmed(), story.moved(), story.parked())]


async def test_every_fact_is_published_from_the_first_on(publish, story, lot):
    log, sent = await story.log(story.events(*events(story, 3))), []

    async def send(values):
        sent.extend(values)

    await publish(log, send)
    assert sent == [to_json(fact) for fact in await log.facts(lot.name)]


async def test_a_broker_that_fails_gets_the_rest_later_and_in_order(publish, story, lot):
    log, sent, draw = await story.log(story.events(*events(story, 40))), [], random.Random(5)

    async def send(values):
        n_taken = len(values) if draw.random() < 0.4 else draw.randrange(len(values))
        sent.extend(values[:n_taken])
        if n_taken < len(values):
            raise Overloaded("no")

    await publish(log, send)
    facts = await log.facts(lot.name)
    first_seen = list(dict.fromkeys(int(msgspec.json.decode(value)["position"]) for value in sent))
    orders = {order_of(fact) for fact in facts}
    assert sorted(first_seen) == [fact.position for fact in facts]
    for order in orders:
        positions = [fact.position for fact in facts if order_of(fact) == order]
        assert [position for position in first_seen if position in positions] == positions


async def test_a_publisher_that_starts_again_goes_on(publish, story, lot):
    log, sent = await story.log(story.events(story.confirmed(), story.moved())), []

    async def send(values):
        sent.extend(values)

    subscriptions = await publish(log, send)
    await story.add(log, [story.event(3, story.parked())])
    await publish(log, send, subscriptions=subscriptions)
    assert [int(msgspec.json.decode(value)["position"]) for value in sent] == [1, 2, 3]


class Failing:
    """A store that fails these of its calls for a change, counted from 1."""

    def __init__(self, store, failing, wrong=Overloaded):
        self._store, self._which, self._wrong, self.n = store, failing, wrong, 0

    def __getattr__(self, name):
        do = getattr(self._store, name)
        return do if name != "change" else lambda *given: self._failing(do, *given)

    async def _failing(self, do, *given):
        self.n += 1
        if self.n in self._which:
            raise self._wrong("the store is busy")
        return await do(*given)


async def test_a_store_that_is_busy_for_a_while_ends_no_publisher(publish, story, lot):
    log, sent = await story.log(story.events(*events(story, 3))), []
    store = Failing(MemorySubscriptions(), {1, 2, 3, 5, 7, 8})  # to begin, to lease, to acknowledge, to lease again
    subscriptions = Subscriptions(log, store, lot, clock=lambda: 0)

    async def send(values):
        sent.extend(values)

    await publish(log, send, subscriptions=subscriptions)
    facts = [to_json(fact) for fact in await log.facts(lot.name)]
    assert sent == facts * 2  # what could not be acknowledged once is sent again
    assert store.n >= 10


async def test_a_log_that_is_closed_ends_the_publisher(story, lot):
    log = await story.log(story.events(*events(story, 1)))
    subscriptions = Subscriptions(log, MemorySubscriptions(), lot, clock=lambda: 0)
    subscriptions._store = Failing(subscriptions._store, {1}, LogClosed)

    async def send(values):
        raise AssertionError(values)

    with pytest.raises(LogClosed):
        async with asyncio.timeout(10):
            await FactPublisher(subscriptions, send, consumer="p", backoff=BACKOFF).run()
