"""What webhooks send, in which order, and what becomes of it when endpoints fail."""

from __future__ import annotations

import asyncio

import pytest

from twin.errors import LogClosed, Overloaded
from twin.evaluation.proofs import part
from twin.events.codec import to_json
from twin.feeds.webhook_messages import PAUSES_S
from twin.feeds.webhook_sender import WebhookSender
from twin.log.subscriptions import Filter

S = 1_000_000


@pytest.fixture
def stays(story):
    """Two stays that overlap: facts 1 and 3 of p1, 2 and 4 of p2."""
    return story.events(story.opened("p1", "v1"), story.opened("p2", "v2"), story.closed("p1", "v1"), story.closed("p2", "v2"))


async def put(here, address, name="x", **given):
    return await here.webhooks.put(name, f"http://{address}/in?k=1", Filter(), **{"after": 0, **given})


def positions(requests):
    return [int(one.event["position"]) for one in requests]


async def test_facts_arrive_as_signed_cloudevents_in_order_within_a_session(place, stays, receiver, is_signed):
    async with place(stays) as here, receiver.listening() as address:
        made = await put(here, address)
        async with here.sending():
            requests = await receiver.until(4)
            await here.until_acknowledged("x", 4)
        facts = {fact.position: fact for fact in await here.log.facts("lot")}
        assert sorted(positions(requests)) == [1, 2, 3, 4]
        assert positions(requests).index(1) < positions(requests).index(3)
        assert positions(requests).index(2) < positions(requests).index(4)
        for one in requests:
            fact = facts[int(one.event["position"])]
            assert one.body == to_json(fact)
            assert one.id == fact.event.id
            assert one.headers["webhook-timestamp"] == str(here.now // S)
            assert one.headers["content-type"].startswith("application/cloudevents+json")
            assert one.headers["host"] == address
            assert is_signed(one, made.secret)
        attempts = await here.webhooks.attempts("x", limit=10)
        assert {(one.position, one.outcome, one.status, one.n_attempts, one.next_at) for one in attempts} == {
            (position, "delivered", 200, 1, None) for position in (1, 2, 3, 4)
        }
        assert len(here.told) == 4


async def test_a_fact_is_sent_soon_after_it_is_committed(place, story, receiver):
    async with place() as here, receiver.listening() as address:
        await put(here, address)
        async with here.sending():
            await asyncio.sleep(0.05)  # it waits for facts by now
            begin = asyncio.get_running_loop().time()
            await story.add(here.log, [story.event(1, story.confirmed())])
            await receiver.until(1)
            assert asyncio.get_running_loop().time() - begin < 0.5


async def test_a_failing_fact_is_sent_again_on_schedule_with_the_same_id_then_parked(place, stays, receiver, reaction):
    async with place(stays) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(503 if one.event["position"] == "1" else 200)
        await put(here, address)
        sent_at = []
        async with here.sending():
            await here.until(lambda one: one.standing.subscription.n_acknowledged == 2)  # those of the other session
            for pause_s in PAUSES_S:
                sent_at.append(here.now)
                one = (await here.until(lambda one: one.standing.tally.leased == 0)).standing.subscription.queue[1]
                assert one.n_attempts == len(sent_at)
                assert pause_s * S <= one.until - here.now <= 1.1 * pause_s * S
                assert positions(receiver.requests).count(1) == len(sent_at)
                here.now = one.until - 1
                await asyncio.sleep(0.05)
                assert positions(receiver.requests).count(1) == len(sent_at), "sent before its time"
                here.now += 1
                await receiver.until(len(receiver.requests) + 1)
            standing = (await here.until(lambda one: one.standing.tally.parked == 1)).standing
        sent = [one for one in receiver.requests if one.event["position"] == "1"]
        assert len(sent) == 10
        assert len({one.id for one in sent}) == 1
        assert positions(receiver.requests).count(3) == 0  # its session waits
        assert standing.subscription.queue[1].reason == "the endpoint answered 503"
        last = (await here.webhooks.attempts("x", limit=1))[0]
        assert (last.outcome, last.status, last.n_attempts, last.next_at) == ("parked", 503, 10, None)
        receiver.react = lambda one: reaction()
        async with here.sending():
            await here.webhooks.retry("x", 1)
            await here.until_acknowledged("x", 4)
        assert positions(receiver.requests)[-2:] == [1, 3]


async def test_a_wait_survives_a_restart(place, stays, receiver, reaction):
    async with place(stays[:1]) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(500)
        await put(here, address)
        async with here.sending():
            until = (await here.failed(1)).until
        async with here.sending("another"):
            await asyncio.sleep(0.1)
            assert len(receiver.requests) == 1
            here.now = until
            await receiver.until(2)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_success(place, stays, receiver, reaction, status):
    async with place(stays) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(status)
        await put(here, address)
        async with here.sending():
            await here.until_acknowledged("x", 4)
        assert len(receiver.requests) == 4


@pytest.mark.parametrize(
    ("status", "words"),
    [(301, "redirects are not followed"), (307, "redirects"), (400, "answered 400"), (500, "answered 500"), (None, "Error")],
)
async def test_nothing_else_is_success_and_no_redirect_is_followed(place, stays, receiver, reaction, status, words):
    other = part("receiver").Receiver()
    async with place(stays[:1]) as here, receiver.listening() as address, other.listening() as elsewhere:
        receiver.react = lambda one: reaction(status, {"location": f"http://{elsewhere}/"})
        await put(here, address)
        async with here.sending():
            assert words in (await here.failed(1)).reason
        assert other.n_connections == 0


async def test_an_endpoint_that_is_gone_disables_its_webhook_until_it_is_resumed(place, stays, receiver, reaction):
    async with place(stays) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(410)
        await put(here, address)
        async with here.sending():
            standing = await here.until(lambda one: one.webhook.state == "disabled")
            assert "answered 410" in standing.webhook.reason
            await here.until(lambda one: one.standing.tally.leased == 0)
            n_sent = len(receiver.requests)
            assert n_sent <= 2
            await asyncio.sleep(0.1)
            assert len(receiver.requests) == n_sent
            assert {one.outcome for one in await here.webhooks.attempts("x", limit=9)} == {"disabled"}
            receiver.react = lambda one: reaction()
            resumed = await here.webhooks.resume("x")
            assert (resumed.webhook.state, resumed.webhook.reason) == ("active", "")
            await here.until_acknowledged("x", 4)  # at once, though they failed a moment ago


@pytest.mark.parametrize(("status", "header", "wait_s"), [(429, "120", 120), (503, "99999", 3600), (500, "120", 0)])
async def test_an_endpoint_that_asks_for_time_is_given_it_within_bounds(
    place, stays, receiver, reaction, status, header, wait_s
):
    async with place(stays) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(status, {"retry-after": header})
        await put(here, address)
        async with here.sending():
            await here.failed(1)
            await here.until(lambda one: one.standing.tally.leased == 0)
            standing = await here.webhooks.standing("x")
            assert standing.webhook.held_until == (here.now + wait_s * S if wait_s else 0)
            n_sent = len(receiver.requests)
            receiver.react = lambda one: reaction()
            if wait_s:
                here.now += wait_s * S - 1
                await asyncio.sleep(0.1)
                assert len(receiver.requests) == n_sent
            here.now += 10 * S
            await here.until_acknowledged("x", 4)


async def test_a_failing_endpoint_and_one_that_hangs_hold_up_no_other(place, stays, reaction):
    failing, hanging, well = (part("receiver").Receiver() for _ in range(3))
    failing.react = lambda one: reaction(500)
    hanging.react = lambda one: reaction(after_s=60.0)
    async with (
        place(stays) as here,
        failing.listening() as first,
        hanging.listening() as second,
        well.listening() as third,
    ):
        for name, address in (("a", first), ("b", second), ("c", third)):
            await put(here, address, name)
        async with here.sending():
            await here.until_acknowledged("c", 4)
            assert len(failing.requests) >= 1
            assert (await here.webhooks.standing("b")).standing.acknowledged_to == 0


async def test_an_answer_that_takes_too_long_is_a_failure_and_a_long_body_is_not_read_to_its_end(
    place, stays, receiver, reaction
):
    async with place(stays[:2], timeout_s=0.3) as here, receiver.listening() as address:
        body = b"x" * 10_000_000
        receiver.react = lambda one: reaction(after_s=9.0) if one.event["position"] == "1" else reaction(200, body=body)
        await put(here, address)
        async with here.sending():
            assert (await here.failed(1)).reason == "no answer within 0.3 s"
            await here.until(lambda one: one.standing.subscription.n_acknowledged == 1)


async def test_a_paused_webhook_sends_nothing_until_it_is_resumed(place, stays, receiver):
    async with place(stays) as here, receiver.listening() as address:
        await put(here, address)
        await here.webhooks.pause("x")
        async with here.sending():
            await asyncio.sleep(0.1)
            assert receiver.requests == []
            await here.webhooks.resume("x")
            await here.until_acknowledged("x", 4)
            await here.webhooks.pause("x")
            await here.webhooks.replay("x", after=0, until=2)
            await asyncio.sleep(0.1)
            assert len(receiver.requests) == 4
            await here.webhooks.resume("x")
            requests = await receiver.until(6)
        assert sorted(positions(requests[4:])) == [1, 2]
        assert {one.id for one in requests[4:]} <= {one.id for one in requests[:4]}


async def test_a_sender_that_is_stopped_gives_back_what_it_was_sending(place, stays, receiver, reaction):
    async with place(stays) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(after_s=30.0)
        await put(here, address)
        async with here.sending():
            await receiver.until(2)
        standing = (await here.webhooks.standing("x")).standing
        assert (standing.tally.leased, standing.tally.waiting) == (0, 4)
        assert {one.n_attempts for one in standing.subscription.queue.values()} == {0}
        receiver.react = lambda one: reaction()
        async with here.sending("another"):
            await here.until_acknowledged("x", 4)


async def test_a_deleted_webhook_ends_and_one_of_the_same_name_begins_anew(place, stays, receiver):
    async with place(stays) as here, receiver.listening() as address:
        first = await put(here, address)
        async with here.sending():
            await here.until_acknowledged("x", 4)
            await here.webhooks.delete("x")
            assert await here.webhooks.names() == []
            second = await put(here, address, after=2)
            assert second.secret != first.secret
            requests = await receiver.until(6)
        assert sorted(positions(requests[4:])) == [3, 4]


async def test_a_url_that_changes_is_used_from_the_next_request_on(place, stays, receiver):
    other = part("receiver").Receiver()
    async with place(stays[:2]) as here, receiver.listening() as address, other.listening() as elsewhere:
        made = await put(here, address)
        async with here.sending():
            await receiver.until(2)
            again = await put(here, elsewhere)
            assert (made.secret is None, again.secret) == (False, None)
            await here.webhooks.replay("x", after=0)
            await other.until(2)
        assert len(receiver.requests) == 2


async def test_two_processes_share_a_webhook_and_a_session_is_with_one_of_them_at_a_time(place, story, receiver, reaction):
    facts = [story.event(n, story.moved(f"v{n % 12}", x=float(n))) for n in range(1, 201)]
    async with place(facts) as here, receiver.listening() as address:
        receiver.react = lambda one: reaction(after_s=0.002)
        await put(here, address)
        async with here.sending("one"), here.sending("two"):
            await here.until_acknowledged("x", 200)
        assert sorted(positions(receiver.requests)) == list(range(1, 201))  # each once
        for vehicle in range(12):
            of_vehicle = [position for position in positions(receiver.requests) if position % 12 == vehicle]
            assert of_vehicle == sorted(of_vehicle)


@pytest.mark.parametrize(("store", "call"), [("store", "note"), ("store", "all"), ("subscribed", "change")])
async def test_a_store_that_is_busy_for_a_while_ends_no_sender(place, stays, receiver, store, call):
    async with place(stays) as here, receiver.listening() as address:
        await put(here, address)
        do, n_failed = getattr(getattr(here, store), call), 0

        async def busy(*given):
            nonlocal n_failed
            if n_failed < 6:
                n_failed += 1
                raise Overloaded("the writer's queue is full")
            return await do(*given)

        setattr(getattr(here, store), call, busy)
        async with here.sending() as running:
            await receiver.until(4)
            await here.until_acknowledged("x", 4)
            assert n_failed >= 2
            assert not running.done()
        sent = positions(receiver.requests)
        assert set(sent) == {1, 2, 3, 4}
        assert sent.index(1) < sent.index(3)


async def test_a_log_that_is_closed_ends_the_sender_with_what_closed_it(place, stays, receiver):
    class Closed:
        async def change(self, *given):
            raise LogClosed("the disk is full")

    async with place(stays) as here, receiver.listening() as address:
        await put(here, address)
        here.subscriptions._store.change = Closed().change
        sender = WebhookSender(here.webhooks, here.subscriptions, here.receivers, "lot", consumer="here")
        with pytest.raises(LogClosed, match="the disk is full"):
            async with asyncio.timeout(10):
                await sender.run()
