"""A webhook's receiver on a socket of its own, that answers as it is told: also badly, late, or not at all."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import msgspec


class Request(NamedTuple):
    """What came; ``n`` counts requests with this id, this one included."""

    headers: Mapping[str, str]
    body: bytes
    n: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body)


class Reaction(NamedTuple):
    """An answer after ``after_s``; ``status`` None: the connection is cut without one.

    ``is_had``: whether the event had its effect; None: where the status says so.
    """

    status: int | None = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    after_s: float = 0.0
    is_had: bool | None = None


React = Callable[[Request], Reaction]


def is_signed(request: Request, secret: str) -> bool:
    """Whether one of a request's signatures is of this secret: an implementation of its own, from the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, wanted) for one in headers["webhook-signature"].split(" "))


class Receiver:
    """Every request in the order in which it came.

    Attributes:
        react: what the next request is answered with.
        had: those that had their effect, again and again where they came again.
        n_connections: how many were made.
    """

    def __init__(self, react: React = lambda request: Reaction()) -> None:
        self.react = react
        self.requests: list[Request] = []
        self.had: list[Request] = []
        self.n_connections = 0
        self.came = asyncio.Event()
        self._n_by_id: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", tls: Any = None) -> AsyncIterator[str]:
        """Its address, as ``host:port``."""
        server = await asyncio.start_server(self._accept, host, 0, ssl=tls)
        try:
            port = server.sockets[0].getsockname()[1]
            yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, count: int, *, timeout_s: float = 20.0) -> list[Request]:
        """All requests, once there are so many."""
        async with asyncio.timeout(timeout_s):
            while len(self.requests) < count:
                self.came.clear()
                await self.came.wait()
        return self.requests

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await self._read(reader)
        reaction = self.react(request)
        self.requests.append(request)
        if reaction.is_had or (reaction.is_had is None and reaction.status is not None and 200 <= reaction.status < 300):
            self.had.append(request)
        self.came.set()
        if reaction.after_s:
            await asyncio.sleep(reaction.after_s)
        if reaction.status is None:
            writer.transport.abort()
            return False
        headers = {"content-length": str(len(reaction.body)), **reaction.headers}
        lines = [f"HTTP/1.1 {reaction.status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + reaction.body)
        await writer.drain()
        return True

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        identity = headers.get("webhook-id", "")
        self._n_by_id[identity] = self._n_by_id.get(identity, 0) + 1
        return Request(headers, body, self._n_by_id[identity])
