"""The typed client of the live feed, against a real server."""

import asyncio
import json

import msgspec
import pytest
from websockets.asyncio.server import serve as serve_websockets

from twin.backoff import Backoff
from twin.client import ServiceError
from twin.errors import BadInput
from twin.live_client import LiveFeed
from twin.projections.naive import replay

AT_ONCE = Backoff(lambda: 0.0, first_s=0.0, longest_s=0.0)


def feed_of(address, **given):
    return LiveFeed(f"http://{address}", site="lot", backoff=AT_ONCE, **given)


async def reached(lives, position):
    """Follow until a position; the last state as plain data."""
    async with asyncio.timeout(10):
        async for live in lives:
            if live.position == position:
                return json.loads(msgspec.json.encode(live.state))
    raise AssertionError("the feed ended")


async def test_its_states_are_the_services(serve, listen, lot, story):
    async with serve(story.events(story.confirmed())) as running, listen(running.app) as address:
        lives = aiter(feed_of(address))
        await reached(lives, 1)
        facts = (story.parked(), story.stall(), story.camera(), story.opened(), story.confirmed("v2"), story.left("v2"))
        for number, fact in enumerate(facts, 2):
            await story.add(running.log, [story.event(number, fact, at=number)])
            assert await reached(lives, number) == await replay(running.log, lot)
        await lives.aclose()


async def test_it_goes_on_after_a_cut_where_it_was(serve, listen, lot, story):
    async with serve(story.events(story.confirmed())) as running:
        async with listen(running.app) as address:
            feed = feed_of(address)
            lives = aiter(feed)
            await reached(lives, 1)
        port = int(address.split(":")[1])
        await story.add(running.log, [story.event(2, story.moved(x=9.0), at=2)])
        async with listen(running.app, port=port):
            assert await reached(lives, 2) == await replay(running.log, lot)
            assert (feed.n_connections >= 2, feed.n_gaps) == (True, 0)
            await lives.aclose()


async def test_it_follows_a_part_of_the_site(serve, listen, story):
    async with serve(story.events(story.confirmed())) as running, listen(running.app) as address:
        async for live in feed_of(address, zones=["row_a"], kinds=["stall", "vehicle"]):
            assert (live.state.vehicles, live.state.zones) == ([], [])
            assert {stall.stall for stall in live.state.stalls} == {"s0", "s1", "s2", "s3"}
            break


async def test_a_message_that_does_not_fit_makes_it_begin_again(serve, listen, lot, story):
    """A service that loses a delta on the way: what comes after it is not taken for what was missed."""
    states = [await replay(await story.log(story.events(*[story.confirmed()] * n)), lot) for n in (1, 2)]
    n_served = 0

    async def broken(connection):
        nonlocal n_served
        n_served += 1
        head = {"epoch": "e1", "seq": 7 * n_served, "position": "1", "type": "snapshot", "state": states[0]}
        await connection.send(json.dumps(head))
        if n_served == 1:
            lists = {key: [] for key in ("vehicles", "left", "stalls", "zones", "cameras", "portals")}
            delta = {"type": "delta", "epoch": "e1", "prev": 8, "seq": 9, "position": "3", "at": states[1]["at"], **lists}
            await connection.send(json.dumps(delta))
        await connection.wait_closed()

    async with serve_websockets(broken, "127.0.0.1", 0) as server:
        feed = feed_of(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        lives = aiter(feed)
        async with asyncio.timeout(10):
            assert [(await anext(lives)).seq for _ in range(2)] == [7, 14]
        assert feed.n_gaps == 1
        await lives.aclose()


async def test_a_silent_connection_is_taken_for_dead(serve, listen, story):
    n_served = 0

    async def silent(connection):
        nonlocal n_served
        n_served += 1
        await connection.wait_closed()

    async with serve_websockets(silent, "127.0.0.1", 0) as server:
        feed = feed_of(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", silent_s=0.02, patience_s=0.2)
        with pytest.raises(ServiceError, match=r"did not answer for 0\.2 s: TimeoutError"):
            await anext(aiter(feed))
    assert n_served > 1


@pytest.mark.parametrize(("status", "ends"), [(500, True), (429, True), (503, False)])
async def test_a_service_that_fails_is_believed_after_a_while_and_one_that_is_away_is_waited_for(status, ends, monkeypatch):
    monkeypatch.setattr("twin.client.connection.PATIENCE_S", 0.05)
    n_asked = 0

    def refuse(connection, request):
        nonlocal n_asked
        n_asked += 1
        return connection.respond(status, '{"detail": "no"}')

    async with serve_websockets(lambda connection: None, "127.0.0.1", 0, process_request=refuse) as server:
        feed = feed_of(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ServiceError if ends else TimeoutError) as raised:
            await asyncio.wait_for(anext(aiter(feed)), 10 if ends else 0.5)
    assert n_asked > 1
    if ends:
        assert raised.value.status == status
        assert f"failed for 0.05 s: {status}: no" in str(raised.value)


async def test_what_the_service_refuses_is_an_error_at_once(serve, listen):
    async with serve() as running, listen(running.app) as address:
        with pytest.raises(ServiceError, match="422: zones='row_z' has 'row_z'") as refused:
            await anext(aiter(feed_of(address, zones=["row_z"])))
    assert (refused.value.status, refused.value.problem["status"]) == (422, 422)
    assert "row_z" in refused.value.problem["detail"]
    with pytest.raises(BadInput, match="no address of a service"):
        LiveFeed("127.0.0.1:8600", site="lot")


async def test_it_shows_its_key_and_without_a_good_one_it_is_refused_at_once(serve, listen, lot, story, doors):
    async with (
        doors() as at,
        serve(story.events(story.confirmed()), access=at.access) as running,
        listen(running.app) as address,
    ):
        lives = aiter(feed_of(address, key=at.key("read")))
        assert await reached(lives, 1) == await replay(running.log, lot)
        await lives.aclose()
        for key, status in ((None, 401), ("twin_k1_wrong", 401), (at.key("ingest"), 403)):
            with pytest.raises(ServiceError) as refused:
                await anext(aiter(feed_of(address, key=key)))
            assert (refused.value.status, refused.value.problem["status"]) == (status, status)


async def test_it_ends_soon_after_its_key(serve, listen, story, doors, monkeypatch):
    monkeypatch.setattr("twin.api.guard.RECHECK_S", 0.02)
    async with (
        doors() as at,
        serve(story.events(story.confirmed()), access=at.access) as running,
        listen(running.app) as address,
    ):
        key = at.key("read")
        lives = aiter(feed_of(address, key=key))
        await reached(lives, 1)
        at.revoke(key)
        async with asyncio.timeout(10):
            with pytest.raises(ServiceError, match="401: ") as refused:
                await reached(lives, 2)
        assert refused.value.status == 401
