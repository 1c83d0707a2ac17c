"""Requests to webhooks' endpoints: connections only to addresses that were checked, one request each, nothing followed.

The receiver's name is resolved once for a request, every address it has is checked, and the connection is made to one of
those: whatever the name says a moment later. TLS and the header ``host`` keep the name. Proxies of the environment, redirects
and cookies do not exist here, as ``httpcore2`` knows none of them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import cast

import httpcore2
from msgspec import Struct

from twin.errors import Forbidden
from twin.feeds.public_address import read_address
from twin.feeds.receiver_address import Allowed, Target, check_addresses, target_of

CONNECT_S = 5.0
TOTAL_S = 15.0
MOST_BODY_BYTES = 64 * 1024
_KEEP_ALIVE_S = 2.0  # servers close idle connections after 5 s and more: one that is about to be closed is not used again
_SECOND_US = 1_000_000
_BROKEN = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ConnectionNotAvailable,
    OSError,
    ssl.SSLError,
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Every address of a name, as text; raises OSError."""


class Answer(Struct, frozen=True, kw_only=True):
    """What became of one request.

    Attributes:
        status: None where no answer came; then ``error`` says why.
        retry_after: the header, as it was sent.
    """

    status: int | None
    error: str = ""
    retry_after: str | None = None
    duration_us: int = 0


async def resolve(host: str, port: int) -> list[str]:
    """As the operating system resolves names."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Receivers:
    """Opens endpoints; one for the process."""

    def __init__(
        self,
        allowed: Allowed,
        *,
        resolve: Resolve = resolve,
        network: httpcore2.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TOTAL_S,
    ) -> None:
        """
        Args:
            network: what makes connections, given addresses alone.
            tls: what receivers' certificates are checked by; None: what the machine trusts.
            timeout_s: from the beginning of a request to the end of its answer.
        """
        self._allowed = allowed
        self._resolve = resolve
        self._network = network or cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())
        self._tls = tls
        self._timeout_s = timeout_s

    async def check(self, target: Target) -> list[str]:
        """The addresses of a receiver, all of which may be reached.

        Raises:
            Forbidden: one of them may not, or there is none.
        """
        addresses = await self._addresses(target)
        check_addresses(target, addresses, self._allowed)
        return addresses

    def open(self, url: str, *, n_at_once: int) -> Receiver:
        """Requests to an endpoint, so many at once; raises BadInput. Loads what the machine trusts, once: milliseconds."""
        if self._tls is None:
            self._tls = httpcore2.default_ssl_context()
        return Receiver(target_of(url), self, self._network, self._tls, n_at_once=n_at_once, timeout_s=self._timeout_s)

    async def _addresses(self, target: Target) -> list[str]:
        if read_address(target.host) is not None:
            return [target.host]
        try:
            async with asyncio.timeout(CONNECT_S):
                return list(dict.fromkeys(await self._resolve(target.host, target.port)))
        except (OSError, UnicodeError, TimeoutError) as wrong:
            raise Forbidden(
                f"the name '{target.host}' could not be resolved: {wrong or 'no answer in time'}; mend it, or try later"
            ) from None


class Receiver:
    """One endpoint; end it with ``aclose``."""

    def __init__(
        self,
        target: Target,
        receivers: Receivers,
        network: httpcore2.AsyncNetworkBackend,
        tls: ssl.SSLContext,
        *,
        n_at_once: int,
        timeout_s: float,
    ) -> None:
        self._timeout_s = timeout_s
        self._target = target
        self._receivers = receivers
        self._pinned = _Pinned(network)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls, max_connections=n_at_once, keepalive_expiry=_KEEP_ALIVE_S, network_backend=self._pinned
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request and read its answer; never raises for what the receiver does."""
        loop = asyncio.get_running_loop()
        start_s, head, error = loop.time(), _Head(), ""
        try:
            async with asyncio.timeout(self._timeout_s):
                self._pinned.addresses = await self._receivers.check(self._target)
                await self._post(body, headers, head)
        except TimeoutError:
            error = f"no answer within {self._timeout_s:g} s"
        except Forbidden as refused:
            error = str(refused)
        except _BROKEN as broken:
            error = f"{type(broken).__name__}: {broken}".rstrip(": ")
        took_us = round((loop.time() - start_s) * _SECOND_US)
        error = error if head.status is None else ""  # once a status has come, it is all that counts
        return Answer(status=head.status, error=error, retry_after=head.retry_after, duration_us=took_us)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._pool.aclose()

    async def _post(self, body: bytes, headers: Mapping[str, str], head: _Head) -> None:
        one = self._target
        url = httpcore2.URL(scheme=one.scheme.encode(), host=one.host.encode(), port=one.port, target=one.path.encode())
        sent = {"host": one.authority, "content-length": str(len(body)), **headers}
        limits = {"timeout": {"connect": CONNECT_S, **dict.fromkeys(("read", "write", "pool"), self._timeout_s)}}
        async with self._pool.stream("POST", url, headers=list(sent.items()), content=body, extensions=limits) as answer:
            head.status = answer.status
            head.retry_after = next((v.decode("latin-1") for k, v in answer.headers if k.lower() == b"retry-after"), None)
            await _read(answer)


class _Head:
    """What has come of an answer."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after: str | None = None


async def _read(answer: httpcore2.Response) -> None:
    """Take in a body up to the most, so that its connection can be used again; a longer one is closed on."""
    n_bytes = 0
    async for part in answer.aiter_stream():
        n_bytes += len(part)
        if n_bytes > MOST_BODY_BYTES:
            return


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were checked, whatever host it is asked for.

    Attributes:
        addresses: of the last check; each set of them passed.
    """

    def __init__(self, network: httpcore2.AsyncNetworkBackend) -> None:
        self._network = network
        self.addresses: Sequence[str] = ()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first of the checked addresses that answers."""
        failure: Exception = httpcore2.ConnectError("no address was checked")
        for address in self.addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                failure = failed
        raise failure

    async def sleep(self, seconds: float) -> None:
        """As asyncio does."""
        await asyncio.sleep(seconds)
