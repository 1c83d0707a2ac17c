"""One webhook that is to reach what it may not, and a socket that must see no connection.

The service's own code registers it, sends to it and tests it. Whatever it connects to that is not public ends at the trap,
which listens on loopback; public addresses answer nobody. Proxies of the environment lead to the trap as well.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Any, cast

import httpcore2

from twin.errors import TwinError
from twin.events.ids import SECOND
from twin.feeds.receiver_address import Allowed, Target
from twin.feeds.receivers import Receivers, Resolve
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhook_sender import WebhookSender
from twin.feeds.webhooks import Webhooks
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.log.subscriptions import Filter, MemorySubscriptions
from twin.log.webhooks import MemoryWebhooks, Webhook

from .effects import PLACE
from .overlapping_stays import first_stay
from .ssrf_cases import PUBLIC, Case
from .workload import SITE, observation

Guard = Callable[[Resolve, httpcore2.AsyncNetworkBackend], Receivers]
_NAME = "x"
_NOW = 1_767_225_600 * SECOND
_TESTS = 3
_TIMEOUT_S = 2.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Trap(httpcore2.AsyncNetworkBackend):
    """Connects to nothing but itself.

    Attributes:
        dialled: addresses that are not public, and were asked for.
        n_connections: how many the socket saw.
    """

    def __init__(self) -> None:
        self.port = 0
        self.dialled: list[str] = []
        self.n_connections = 0
        self._network = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """While the block runs."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
            await asyncio.sleep(0)
        finally:
            server.close()
            await server.wait_closed()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """To the trap, unless the address is public."""
        if host in PUBLIC:
            raise httpcore2.ConnectError("nobody is there")
        self.dialled.append(host)
        return await self._network.connect_tcp("127.0.0.1", self.port, timeout, local_address, socket_options)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        writer.transport.abort()


def guarded(resolve: Resolve, network: httpcore2.AsyncNetworkBackend) -> Receivers:
    """As the service has it."""
    return Receivers(Allowed(), resolve=resolve, network=network, timeout_s=_TIMEOUT_S, tls=_tls())


def unguarded(resolve: Resolve, network: httpcore2.AsyncNetworkBackend) -> Receivers:
    """A client that looks at no address."""
    return _Unguarded(Allowed(), resolve=resolve, network=network, timeout_s=_TIMEOUT_S, tls=_tls())


def resolving_again(resolve: Resolve, network: httpcore2.AsyncNetworkBackend) -> Receivers:
    """A client that checks every address of a name, and connects by the name."""
    return _ByName(Allowed(), resolve=resolve, network=_Resolving(resolve, network), timeout_s=_TIMEOUT_S, tls=_tls())


@cache
def _tls() -> ssl.SSLContext:
    """Read once: hundreds of runs would each read all certificates of the machine."""
    return ssl.create_default_context()


class _Unguarded(Receivers):
    async def check(self, target: Target) -> list[str]:
        return await self._addresses(target)


class _ByName(Receivers):
    async def check(self, target: Target) -> list[str]:
        await super().check(target)
        return [target.host]


class _Resolving(httpcore2.AsyncNetworkBackend):
    def __init__(self, resolve: Resolve, network: httpcore2.AsyncNetworkBackend) -> None:
        self._resolve = resolve
        self._network = network

    async def connect_tcp(self, host: str, port: int, *given: Any, **named: Any) -> httpcore2.AsyncNetworkStream:
        return await self._network.connect_tcp((await self._resolve(host, port))[0], port, *given, **named)


def refuted(make_case: Callable[[int], Case], guard: Guard = guarded) -> str | None:
    """What reached the trap of a case, made for the trap's port; None: nothing did."""
    return asyncio.run(_refuted(make_case, guard))


async def _refuted(make_case: Callable[[int], Case], guard: Guard) -> str | None:
    trap = Trap()
    async with trap.listening():
        case = make_case(trap.port)
        with _proxies(f"http://127.0.0.1:{trap.port}"):
            await _send(case, guard(_resolver(case), trap))
    if trap.n_connections or trap.dialled:
        return f"{case.what}: {case.url!r} with answers {case.answers} reached {trap.dialled or 'the trap'}"
    return None


def _resolver(case: Case) -> Resolve:
    answers = list(case.answers or ())

    async def resolve(host: str, port: int) -> list[str]:
        if not answers:
            return _by_libc(host)
        return list(answers.pop(0) if len(answers) > 1 else answers[0])

    return resolve


def _by_libc(host: str) -> list[str]:
    """Numbers as the C library reads them, whose forms are many; nothing else has an address here."""
    if host.rstrip(".").lower() == "localhost":
        return ["127.0.0.1", "::1"]
    return [socket.inet_ntoa(socket.inet_aton(host))]


@contextmanager
def _proxies(url: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _PROXIES}
    os.environ.update(dict.fromkeys(_PROXIES, url))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


async def _send(case: Case, receivers: Receivers) -> None:
    """Register it, or leave it as a service without a guard had it; then send one fact to it, and some tests."""
    log, store = MemoryLog(clock=lambda: _NOW), MemoryWebhooks()
    subscriptions = Subscriptions(log, MemorySubscriptions(), PLACE, clock=lambda: _NOW)
    secrets = WebhookSecrets(MemoryKeyRing(), SITE, lambda n: bytes(range(n)))
    webhooks = Webhooks(subscriptions, store, secrets, receivers, SITE, clock=lambda: _NOW)
    await log.append([observation(1, 1)])
    token = await log.acquire(SITE, "proof")
    await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(first_stay(),)))
    try:
        await webhooks.put(_NAME, case.url, Filter(), after=0)
    except TwinError:
        await subscriptions.put(f"webhook.{_NAME}", Filter(), after=0)
        made, _ = await secrets.make(_NAME)
        left = Webhook(site=SITE, name=_NAME, url=case.url, created_at=_NOW, secrets=(made,))
        await store.change(SITE, _NAME, lambda _: (left, None))
    sender = WebhookSender(webhooks, subscriptions, receivers, SITE, consumer="here", clock=lambda: _NOW)
    running = asyncio.create_task(sender.run())
    async with asyncio.timeout(30):
        while not await store.attempts(SITE, _NAME, limit=1):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    for _ in range(_TESTS):
        with suppress(TwinError):
            await webhooks.test(_NAME)
    await log.aclose()
