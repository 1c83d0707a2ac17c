"""What a serving process is made of: parts in the background, signals that end it, a socket, the HTTP server."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import uvicorn

from twin.errors import BadInput, Forbidden, TwinError

_logger = logging.getLogger(__name__)


class Background:
    """Long-running parts of the service; the first that fails is remembered, and ends the service."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failed = asyncio.Event()
        self.failure: BaseException | None = None

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run one part until ``aclose``."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._note)
        self._tasks[name] = task

    async def check(self) -> str | None:
        """For ``/healthz``: which parts have ended."""
        ended = sorted(name for name, task in self._tasks.items() if task.done())
        return f"not running: {', '.join(ended)}" if ended else None

    async def aclose(self) -> None:
        """Cancel what still runs and wait for it."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _note(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (failure := task.exception()) is None:
            return
        _logger.error("%s failed: %s", task.get_name(), failure, exc_info=None if isinstance(failure, TwinError) else failure)
        self.failure = self.failure or failure
        self.failed.set()


class Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process before the log is closed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.answers.set()


_COLLECTED_AFTER = (5_000, 2, 100)  # containers made and not freed, and collections of one generation before the next


def settle_memory() -> None:
    """Let the garbage collector pass over what is loaded by now, mostly modules: each full collection would stop everything
    for 20 to 70 ms to find nothing in it.

    What comes later it goes through in small parts, and seldom as a whole: a live connection is a hundred containers, so that
    clients who come in hundreds would soon make it do that, to find no garbage either.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def listen(host: str, port: int, *, has_keys: bool = False) -> socket.socket:
    """A listening socket, on a loopback address unless keys are asked for.

    Raises:
        Forbidden: another address without keys: everybody there could read and write.
        BadInput: the port is taken, or the host is no address.
    """
    if not is_loopback(host) and not has_keys:
        raise Forbidden(
            f"host {host} can be reached from other machines, and access is open: everybody there could read and write. Set"
            " TWIN_ACCESS=keys, make a key with `twin key create --site '*' --scope admin`, and put a proxy with TLS in front;"
            " or listen on 127.0.0.1"
        )
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
        # Only where the protocol is named does asyncio turn Nagle's algorithm off, which holds an answer's body up for 40 ms.
        return socket.socket(made.family, made.type, socket.IPPROTO_TCP, made.detach())
    except OSError as taken:
        raise BadInput(f"port {port} of {host} cannot be listened on: {taken.strerror}; give another --port") from None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine's alone; raises BadInput where it is no address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        raise BadInput(f"host '{host}' is not an IP address; give 127.0.0.1") from None


def proxies_of(text: str) -> str:
    """``TWIN_TRUSTED_PROXIES`` as uvicorn takes it, which says nothing of what it cannot read; raises BadInput for that.

    >>> proxies_of("127.0.0.1, 10.0.0.0/8")
    '127.0.0.1,10.0.0.0/8'
    """
    given = [one.strip() for one in text.split(",") if one.strip()]
    for one in given if given != ["*"] else ():
        try:
            _ = ip_network(one) if "/" in one else ip_address(one)
        except ValueError as wrong:
            raise BadInput(
                f"TWIN_TRUSTED_PROXIES has '{one[:80]}': {wrong}; give addresses or ranges such as 10.0.0.0/8, by commas, or *"
            ) from None
    return ",".join(given)
