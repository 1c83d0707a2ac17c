import asyncio
import contextlib
import json
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from twin.feeds.delta import merge
from twin.feeds.hub import Limits
from twin.projections.naive import replay


async def following(watcher, until):
    """Apply what comes until the position is reached; the messages and the state."""
    messages, state = [], None
    async with asyncio.timeout(10):
        while state is None or state["position"] != str(until):
            message = json.loads(await watcher.recv())
            messages.append(message)
            if message["type"] == "snapshot":
                state = message["state"]
            elif message["type"] == "delta":
                state = merge(state, message)
    return messages, state


async def test_a_watcher_has_the_servers_state(serve, listen, lot, story):
    async with serve(story.events(story.confirmed())) as running, listen(running.app) as address:
        async with connect(f"ws://{address}/v1/sites/lot/live") as watcher:
            await following(watcher, 1)
        async with connect(f"ws://{address}/v1/sites/lot/live") as watcher:
            for number in range(2, 8):
                await story.add(running.log, [story.event(number, story.moved(x=number), at=number)])
            _, state = await following(watcher, 7)
            assert state == await replay(running.log, lot)


async def test_a_watcher_that_was_cut_off_goes_on(serve, listen, story):
    async with serve(story.events(story.confirmed())) as running, listen(running.app) as address:
        async with connect(f"ws://{address}/v1/sites/lot/live") as watcher:
            ((snapshot,), state) = await following(watcher, 1)
        await story.add(running.log, [story.event(2, story.moved(x=9.0), at=2)])
        place = f"epoch={snapshot['epoch']}&seq={snapshot['seq']}"
        async with connect(f"ws://{address}/v1/sites/lot/live?{place}") as watcher, asyncio.timeout(10):
            while (message := json.loads(await watcher.recv()))["type"] == "ping":
                pass
        assert (message["type"], message["prev"]) == ("delta", snapshot["seq"])
        assert merge(state, message)["vehicles"][0]["position_m"] == [9.0, 3.0]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/sites/elsewhere/live", {}, 404),
        ("/v1/sites/lot/live?epoch=e1&seq=first", {}, 422),
        ("/v1/sites/lot/live?zones=row_z", {}, 422),
        ("/v1/sites/lot/live?kinds=vehicle,car", {}, 422),
        ("/v1/sites/lot/live", {"origin": "https://evil.example"}, 403),
        ("/v1/sites/lot/live", {"origin": "http://["}, 403),
        ("/v1/sites/lot/live?zone=a", {}, 422),
        ("/v1/sites/lot/live?kinds=stalls&kinds=zones", {}, 422),
    ],
)
async def test_a_watcher_that_cannot_be_served_is_refused_with_a_problem(serve, listen, path, headers, status):
    async with serve() as running, listen(running.app) as address:
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(f"ws://{address}{path}", additional_headers=headers):
                pass
        assert refusal.value.response.status_code == status
        assert json.loads(refusal.value.response.body)["status"] == status
        async with connect(f"ws://{address}/v1/sites/lot/live") as watcher:
            assert json.loads(await watcher.recv())["type"] == "snapshot"


async def test_one_watcher_too_many_is_refused(serve, listen):
    async with serve(live=Limits(n_clients=1)) as running, listen(running.app) as address:
        url = f"ws://{address}/v1/sites/lot/live"
        async with connect(url) as watcher:
            await watcher.recv()
            with pytest.raises(InvalidStatus) as refusal:
                async with connect(url):
                    pass
        assert refusal.value.response.status_code == 503


async def test_a_watcher_that_stops_reading_is_closed_and_disturbs_nobody(serve, listen, story):
    limits = Limits(period_s=0.001, soft_limit=2, hard_limit=8)
    everybody = story.events(*(story.confirmed(f"v{n:03}") for n in range(200)))
    async with serve(everybody, live=limits) as running, listen(running.app) as address:
        url = f"ws://{address}/v1/sites/lot/live"
        async with connect(url, sock=tight_socket(address), max_queue=1, close_timeout=1) as stalled, connect(url) as quick:
            n_given = 200
            async with asyncio.timeout(30):
                while running.hub.n_clients == 2:
                    numbers = range(n_given + 1, n_given + 201)
                    moves = [story.event(n, story.moved(f"v{n % 200:03}", x=n % 80), at=n) for n in numbers]
                    await story.add(running.log, moves)
                    n_given += 200
                    while json.loads(await quick.recv()).get("position") != str(n_given):
                        pass
            assert (await goodbye(stalled)).code == 4008
        counted = [(await running.http.get("/metrics")).text for _ in range(2)][
            -1
        ]  # counted once, however often it is asked for
        assert 'twin_live_too_slow_total{site="lot"} 1.0' in counted
        assert 'twin_live_conflations_total{site="lot"} 0.0' not in counted


def tight_socket(address):
    """A connection that holds little of what its reader leaves lying."""
    tight = socket.socket()
    tight.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    host, port = address.split(":")
    tight.connect((host, int(port)))
    tight.setblocking(False)
    return tight


async def goodbye(watcher):
    """How the server ended the connection, read to its end."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(10):
            while True:
                await watcher.recv()
    return watcher.protocol.close_rcvd


async def test_when_the_service_stops_watchers_are_told_to_come_back(serve, listen):
    async with serve() as running, listen(running.app) as address:
        async with connect(f"ws://{address}/v1/sites/lot/live") as watcher:
            await watcher.recv()
            await running.log.aclose()
            assert (await goodbye(watcher)).code == 1012
        async with asyncio.timeout(5):
            while running.hub.n_clients:  # noqa: ASYNC110 - the server's side ends on its own
                await asyncio.sleep(0.01)


async def test_a_filtered_watcher_is_told_what_fits(serve, listen, story):
    async with serve(story.events(story.confirmed())) as running, listen(running.app) as address:
        url = f"ws://{address}/v1/sites/lot/live?zones=row_a&kinds=vehicle,stall"
        async with connect(url) as watcher:
            ((snapshot,), _) = await following(watcher, 1)
            assert (snapshot["state"]["vehicles"], snapshot["state"]["zones"]) == ([], [])
            await story.add(running.log, [story.event(2, story.moved(x=9.0), at=2)])
            await story.add(running.log, [story.event(3, story.parked(), at=3)])
            messages, state = await following_on(watcher, 3, snapshot["state"])
            assert [one["type"] for one in messages] == ["delta"]
            assert [one["vehicle"] for one in state["vehicles"]] == ["v1"]


async def following_on(watcher, until, state):
    """Go on from a state until the position is reached."""
    messages = []
    async with asyncio.timeout(10):
        while state["position"] != str(until):
            messages.append(json.loads(await watcher.recv()))
            state = merge(state, messages[-1])
    return messages, state


async def test_what_a_watcher_says_is_ignored_and_a_long_message_ends_its_connection(serve, listen):
    async with serve() as running, listen(running.app) as address:
        url = f"ws://{address}/v1/sites/lot/live"
        async with connect(url) as watcher:
            await watcher.recv()
            for _ in range(50):
                await watcher.send("hello" * 100)
            await watcher.ping()
            assert running.hub.n_clients == 1
            await watcher.send("x" * 5_000)
            assert (await goodbye(watcher)).code == 1009
