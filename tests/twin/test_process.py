"""The parts of a serving process, and what is said of one that ends."""

import asyncio
import socket

import pytest

from twin.errors import BadInput, Forbidden, LogClosed
from twin.process import Background, listen, proxies_of


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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_can_reach_is_listened_on_with_keys_alone_and_a_refusal_says_how_to_make_one(host):
    with pytest.raises(Forbidden, match=r"TWIN_ACCESS=keys, make a key with `twin key create"):
        listen(host, 0)


def test_with_keys_any_address_is_listened_on_and_loopback_also_without():
    for host, has_keys in (("0.0.0.0", True), ("127.0.0.1", False), ("127.0.0.1", True)):
        with listen(host, 0, has_keys=has_keys) as listener:
            assert listener.getsockname()[0] == host
    with pytest.raises(BadInput, match="is not an IP address"):
        listen("example.org", 0, has_keys=True)


@pytest.mark.parametrize("text", ["", "127.0.0.1,::1", "10.0.0.0/8, 2001:db8::/32", "*"])
def test_trusted_proxies_are_addresses_and_ranges(text):
    assert proxies_of(text) == text.replace(" ", "")


@pytest.mark.parametrize("text", ["foo bar", "127.0.0.1,proxy.internal", "127.0.0.1,*", "10.0.0.1/8", "127.0.0.1:80"])
def test_a_trusted_proxy_that_would_never_be_recognized_is_refused(text):
    with pytest.raises(BadInput, match="TWIN_TRUSTED_PROXIES has"):
        proxies_of(text)


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
