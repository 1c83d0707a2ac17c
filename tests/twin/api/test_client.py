"""The subscribers' client and inbox, against a real server."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import httpx2
import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select

from twin.backoff import Backoff
from twin.client import Client, ServiceError
from twin.errors import BadInput
from twin.events.facts import SessionClosed
from twin.inbox import Inbox

QUICK = Backoff(lambda: 0.0, first_s=0.01, longest_s=0.01)


@pytest.fixture
def stays(story):
    return [
        event
        for n in range(1, 21)
        for event in (
            story.event(2 * n - 1, story.opened(f"p{n}", f"v{n}")),
            story.event(2 * n, story.closed(f"p{n}", f"v{n}")),
        )
    ]


class Lossy(httpx2.AsyncBaseTransport):
    """Loses what its plan says: "r" the request, "a" the answer, "5" and "0" answer 503 and 500; anything else passes."""

    def __init__(self, app, plan=""):
        self.inner = httpx2.ASGITransport(app=app)
        self.plan = iter(plan)

    async def handle_async_request(self, request):
        what = next(self.plan, ".")
        if what == "r":
            raise httpx2.ConnectError("lost on the way", request=request)
        if what == "5":
            return httpx2.Response(503, json={"detail": "later"}, request=request)
        if what == "0":
            return httpx2.Response(500, json={"type": "urn:twin:problem:internal", "detail": "broken"}, request=request)
        answer = await self.inner.handle_async_request(request)
        if what == "a":
            raise httpx2.ReadError("lost on the way back", request=request)
        return answer


@asynccontextmanager
async def client_of(app, plan="", **given):
    async with (
        httpx2.AsyncClient(transport=Lossy(app, plan)) as http,
        Client("http://twin", site="lot", http=http, backoff=QUICK, **given) as client,
    ):
        yield client


async def take(subscription, count):
    events = []
    async with asyncio.timeout(10):
        async for event in subscription:
            events.append(event)
            if len(events) == count:
                break
    return events


async def until(ask, is_so):
    """What is given when it is so."""
    async with asyncio.timeout(10):
        while not is_so(given := await ask()):  # noqa: ASYNC110 - the service tells nobody when it changes
            await asyncio.sleep(0.01)
    return given


async def standing(running):
    return (await running.http.get("/v1/sites/lot/subscriptions/billing")).json()


async def test_events_come_typed_and_are_acknowledged_when_the_body_ends(serve, listen, stays):
    async with serve(stays) as running, listen(running.app) as address:
        async with Client(f"http://{address}", site="lot") as client:
            events = await take(client.subscribe("billing", types=["session.closed.v1"], after=0), 20)
        assert [event.position for event in events] == list(range(2, 41, 2))
        assert all(isinstance(event.fact.payload, SessionClosed) for event in events)
        told = await standing(running)
        # The body of the last one did not end: the loop was left in it.
        assert (told["n_acknowledged"], told["n_waiting"], told["acknowledged_to"]) == (19, 1, "39")


async def test_a_body_that_raises_has_its_event_refused_with_the_reason(serve, stays):
    async with serve(stays) as running:

        async def bill():
            async with client_of(running.app) as client:
                async for event in client.subscribe("billing", after=0):
                    assert event.position != 3

        with pytest.raises(AssertionError):
            await bill()
        told = await standing(running)
        assert (told["n_acknowledged"], told["n_leased"], told["n_waiting"]) == (2, 0, 38)
        assert told["n_blocked"] == 2


async def test_an_event_that_is_refused_comes_again_and_the_others_go_on(serve, stays):
    async with serve(stays) as running, client_of(running.app) as client:
        billing = client.subscribe("billing", after=0)
        seen = []
        async with asyncio.timeout(10):
            async for event in billing:
                seen.append(event.position)
                if event.position == 1 and event.n_attempts == 1:
                    await billing.refuse("not yet")
                if len(set(seen)) == 40:
                    break
        assert seen == [1, *range(3, 41), 1, 2]


async def test_lost_requests_and_answers_lose_no_event(serve, stays, caplog):
    async with serve(stays) as running:
        async with client_of(running.app, plan="5r.a5.rara5r..a") as client:
            events = await take(client.subscribe("billing", after=0, limit=7), 40)
        assert {event.position for event in events} == set(range(1, 41))
    assert "is away, trying again" in caplog.text


async def test_a_service_that_stays_away_is_an_error_where_patience_ends(serve):
    async with serve() as running, client_of(running.app, plan="r" * 1000, patience_s=0.05) as client:
        with pytest.raises(ServiceError, match=r"did not answer for 0.05 s: ConnectError: lost on the way"):
            await anext(client.subscribe("billing"))


@pytest.mark.parametrize("follows", [False, True])
async def test_a_service_that_breaks_on_a_request_is_believed_after_a_while_with_what_it_says(serve, monkeypatch, follows):
    monkeypatch.setattr("twin.client.connection.PATIENCE_S", 0.05)
    async with serve() as running, client_of(running.app, plan="0" * 100_000) as client:
        with pytest.raises(ServiceError, match=r"failed for 0.05 s: 500: broken") as raised:
            async with asyncio.timeout(10):
                await (anext(client.subscribe("billing")) if follows else client.state())
    assert (raised.value.status, raised.value.problem["type"]) == (500, "urn:twin:problem:internal")


async def test_a_request_that_breaks_and_finds_nobody_in_turns_ends_too(serve, monkeypatch):
    monkeypatch.setattr("twin.client.connection.PATIENCE_S", 0.05)
    async with serve() as running, client_of(running.app, plan="0r5" * 100_000) as client:
        with pytest.raises(ServiceError, match=r"failed for 0.05 s: 500: broken"):
            async with asyncio.timeout(10):
                await anext(client.subscribe("billing"))


async def test_who_follows_waits_for_ever_for_a_service_that_is_away_and_says_so_again(serve, stays, monkeypatch, caplog):
    monkeypatch.setattr("twin.client.connection.PATIENCE_S", 0.02)
    monkeypatch.setattr("twin.client.connection._SAID_EVERY_S", 0.05)
    async with serve(stays) as running, client_of(running.app, plan="rrr5" * 8) as client:
        assert (await anext(client.subscribe("billing", after=0))).position == 1  # after some 0.2 s
        assert 2 <= caplog.text.count("is away, trying again") <= 8
    async with serve() as running, client_of(running.app, plan="r" * 1_000) as client:
        with pytest.raises(ServiceError, match=r"did not answer for 0.02 s"):
            await client.state()


async def test_a_refusal_is_told_in_the_services_words(serve):
    async with serve() as running, client_of(running.app) as client:
        with pytest.raises(ServiceError, match="404: there is no site 'yard' here"):
            await anext(Client("http://twin", site="yard", http=client._connection._http).subscribe("billing"))
        with pytest.raises(ServiceError, match="422: type 'x' is not known"):
            await anext(client.subscribe("billing", types=["x"]))
    with pytest.raises(BadInput, match="'localhost' is no address"):
        Client("localhost", site="lot")


async def test_a_subscription_without_a_filter_keeps_the_one_it_has(serve, stays):
    async with serve(stays) as running:
        async with client_of(running.app) as client:
            await take(client.subscribe("billing", types=["session.closed.v1"], after=0), 1)
        async with client_of(running.app) as client:
            await take(client.subscribe("billing"), 1)
        assert (await standing(running))["types"] == ["session.closed.v1"]


async def test_a_lease_that_was_lost_is_told_and_its_events_are_left_to_others(serve, stays, caplog):
    caplog.set_level(logging.WARNING)
    async with serve(stays) as running, client_of(running.app) as client:
        billing = client.subscribe("billing", after=0)
        assert (await anext(billing)).position == 1
        await running.http.post("/v1/sites/lot/subscriptions/billing/release", json={"lease": 1})
        again = await until(lambda: anext(billing), lambda event: event.position == 1)
        assert again.n_attempts == 1  # a lease that is given back counts no attempt
        assert "were done after their lease ended" in caplog.text


class Slow(httpx2.AsyncBaseTransport):
    """Lets acknowledgements through when ``gate`` is set; notes how many positions each had."""

    def __init__(self, app):
        self.inner = httpx2.ASGITransport(app=app)
        self.came, self.gate = asyncio.Event(), asyncio.Event()
        self.told = []

    async def handle_async_request(self, request):
        if request.url.path.endswith("/acknowledge"):
            self.told.append(len(json.loads(request.content)["positions"]))
            self.came.set()
            await self.gate.wait()
        return await self.inner.handle_async_request(request)


@asynccontextmanager
async def slow_client_of(app):
    slow = Slow(app)
    async with httpx2.AsyncClient(transport=slow) as http, Client("http://twin", site="lot", http=http) as client:
        yield client, slow


async def test_the_loop_goes_on_while_an_acknowledgement_is_on_its_way_and_the_next_one_has_all_since(serve, stays):
    async with serve(stays) as running, slow_client_of(running.app) as (client, slow):
        billing = client.subscribe("billing", after=0)
        await take(billing, 2)
        async with asyncio.timeout(10):
            await slow.came.wait()
        await take(billing, 37)
        assert slow.told == [1]
        slow.gate.set()
        await take(billing, 1)
        await until(lambda: standing(running), lambda told: told["n_acknowledged"] == 39)
        assert slow.told == [1, 38]


async def test_what_is_done_is_acknowledged_while_the_next_body_still_runs(serve, stays):
    async with serve(stays) as running, client_of(running.app) as client:
        await take(client.subscribe("billing", after=0), 2)
        told = await until(lambda: standing(running), lambda told: told["n_acknowledged"] == 1)
        assert told["n_leased"] == 39


async def test_an_acknowledgement_that_is_refused_is_an_error_of_the_next_event(serve, stays):
    async with serve(stays) as running, client_of(running.app) as client:
        billing = client.subscribe("billing", after=0)
        await take(billing, 2)
        await running.http.delete("/v1/sites/lot/subscriptions/billing")
        taken = []
        with pytest.raises(ServiceError, match="has no subscription 'billing'"):
            await until(lambda: anext(billing), taken.append)
        assert len(taken) < 30, "the lease has 38 more"


class Refusing(httpx2.AsyncBaseTransport):
    """Refuses the first acknowledgement."""

    def __init__(self, app):
        self.inner, self.asked = httpx2.ASGITransport(app=app), []

    async def handle_async_request(self, request):
        self.asked.append(request.url.path.rsplit("/", 1)[-1])
        if self.asked[-1] == "acknowledge" and self.asked.count("acknowledge") == 1:
            return httpx2.Response(500, json={"detail": "a fault that passes"}, request=request)
        return await self.inner.handle_async_request(request)


async def failing_after_a_refusal(refusing):
    async with httpx2.AsyncClient(transport=refusing) as http, Client("http://twin", site="lot", http=http) as client:
        await take(client.subscribe("billing", after=0), 2)
        async with asyncio.timeout(10):
            while "acknowledge" not in refusing.asked:  # noqa: ASYNC110 - the transport has no event
                await asyncio.sleep(0.01)
        raise RuntimeError("the body fails")


async def test_an_event_that_fails_is_refused_also_after_an_acknowledgement_that_went_wrong(serve, stays):
    async with serve(stays) as running:
        refusing = Refusing(running.app)
        with pytest.raises(RuntimeError):
            await failing_after_a_refusal(refusing)
        assert refusing.asked[-4:] == ["acknowledge", "acknowledge", "refuse", "release"]
        told = await standing(running)
        assert (told["n_acknowledged"], told["n_leased"]) == (1, 0)


def test_an_effect_happens_once_and_not_at_all_without_its_transaction(stays, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'bills.db'}")
    inbox, metadata = Inbox(), MetaData()
    bills = Table("bills", metadata, Column("n", Integer, primary_key=True), Column("session", String))
    with engine.begin() as connection:
        inbox.create(connection)
        inbox.create(connection)
        metadata.create_all(connection)
    event = _event(stays[1], 2)

    def bill(fails=False):
        with engine.begin() as connection:
            if inbox.is_first(connection, event):
                connection.execute(bills.insert().values(session="p1"))
            if fails:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        bill(fails=True)
    bill()
    bill()
    with engine.begin() as connection:
        assert connection.execute(select(bills)).all() == [(1, "p1")]
        assert inbox.forget(connection, "lot", below=3) == 1
        assert inbox.is_first(connection, event)
    engine.dispose()


def _event(fact, position):
    from twin.client.subscription import _event as read
    from twin.client.subscription import _Handed
    from twin.events.codec import to_cloudevent
    from twin.events.envelope import RecordedFact

    recorded = RecordedFact(position=position, recorded_at=0, event=fact)
    return read(_Handed(n_attempts=1, event=to_cloudevent(recorded)))
