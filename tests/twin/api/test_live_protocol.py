"""Connections whose clients do not do what clients do."""

import asyncio
import json
import socket

import pytest
from websockets.asyncio.client import connect

from twin.api import live, live_protocol
from twin.feeds.delta import merge
from twin.feeds.hub import Limits

HANDSHAKE = (
    "GET /v1/sites/lot/live HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def silent(address):
    """A client that asks for the feed and then does nothing, as one whose machine is gone."""
    there = socket.socket()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    there.setblocking(False)
    loop = asyncio.get_running_loop()
    host, port = address.split(":")
    await loop.sock_connect(there, (host, int(port)))
    await loop.sock_sendall(there, HANDSHAKE.format(address=address).encode())
    return there


async def read_to_its_end(there):
    while await asyncio.get_running_loop().sock_recv(there, 65_536):
        pass


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - the server's side has no event for a test
            await asyncio.sleep(0.01)


async def test_a_peer_that_vanished_is_noticed(serve, listen):
    async with serve() as running, listen(running.app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as address:
        with await silent(address):
            await until(lambda: running.hub.n_clients == 1)
            await until(lambda: running.hub.n_clients == 0)


async def test_a_peer_that_answers_pings_is_kept(serve, listen):
    async with serve() as running, listen(running.app, ws_ping_interval=0.02, ws_ping_timeout=5.0) as address:
        url = f"ws://{address}/v1/sites/lot/live"
        async with connect(url) as watcher:
            await watcher.recv()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await watcher.recv()
            assert running.hub.n_clients == 1


async def test_the_connection_of_a_client_that_never_reads_is_let_go(serve, listen, story, monkeypatch):
    monkeypatch.setattr(live, "GOODBYE_S", 0.05)
    monkeypatch.setattr(live_protocol, "ABORT_S", 0.05)
    protocols = []
    made = live_protocol.LiveProtocol.connection_made
    monkeypatch.setattr(
        live_protocol.LiveProtocol, "connection_made", lambda self, transport: (protocols.append(self), made(self, transport))
    )
    everybody = story.events(*(story.confirmed(f"v{n:03}") for n in range(100)))
    limits = Limits(period_s=0.001, soft_limit=2, hard_limit=8)
    async with serve(everybody, live=limits) as running, listen(running.app) as address:
        with await silent(address) as there:
            await until(lambda: running.hub.n_clients == 1)
            n_given = 100
            async with asyncio.timeout(20):
                while running.hub.n_clients:
                    numbers = range(n_given + 1, n_given + 101)
                    moves = [story.event(n, story.moved(f"v{n % 100:03}", x=n % 80), at=n) for n in numbers]
                    await story.add(running.log, moves)
                    n_given += 100
                    await until(lambda head=n_given: running.hub.position == head)
            await until(lambda: protocols[0].disconnected)
            with pytest.raises(ConnectionResetError):  # what was in the kernel is gone as well
                await read_to_its_end(there)


@pytest.mark.parametrize("is_compressed", [True, False])
async def test_a_watcher_is_told_the_same_with_and_without_compression(serve, listen, story, is_compressed):
    async with serve(story.events(story.confirmed())) as running:
        served = listen(running.app, ws_per_message_deflate=is_compressed)
        async with served as address, connect(f"ws://{address}/v1/sites/lot/live") as watcher, asyncio.timeout(10):
            state = json.loads(await watcher.recv())["state"]
            for number in range(2, 8):
                await story.add(running.log, [story.event(number, story.moved(x=number), at=number)])
                while state["position"] != str(number):
                    state = merge(state, json.loads(await watcher.recv()))
            assert bool(watcher.protocol.extensions) is is_compressed
            assert state["vehicles"][0]["position_m"] == [7.0, 3.0]
