"""The parts of a serving process, and what is said of one that ends."""

import asyncio
import socket

import pytest

from twin.errors import LogClosed
from twin.process import Background, listen


@pytest.mark.parametrize(
    ("failure", "has_traceback"),
    [(LogClosed("the log stopped: the disk is full"), False), (KeyError("a fault"), True)],
)
async def test_a_part_that_fails_is_told_and_only_a_fault_with_where_it_was(failure, has_traceback, caplog):
    async def part():
        raise failure

    background = Background()
    background.start("fusion of lot", part())
    async with asyncio.timeout(5):
        await background.failed.wait()
    assert background.failure is failure
    assert await background.check() == "not running: fusion of lot"
    (record,) = caplog.records
    assert record.getMessage() == f"fusion of lot failed: {failure}"
    assert (record.exc_info is not None) == has_traceback
    await background.aclose()


async def test_a_connection_sends_what_is_written_at_once():
    """Nagle's algorithm would hold the second write of an answer, its body, until the first is acknowledged: 40 ms."""
    accepted = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport):
            accepted.set_result(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    listener = listen("127.0.0.1", 0)
    async with await asyncio.get_running_loop().create_server(Accepting, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await asyncio.wait_for(accepted, 5) != 0
        writer.close()
