"""The one writer: a thread that takes what is queued, stores it in one transaction, then answers all at once."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine

from twin.errors import LogClosed, Overloaded, TooLarge, TwinError
from twin.events.envelope import ObservationEvent
from twin.events.ids import SiteId
from twin.log.clock import Clock
from twin.log.sql.dialect import is_busy, storing
from twin.log.sql.prepared import Statements
from twin.log.sql.transaction import Remembered, Transaction
from twin.log.tail import Wakeups

N_QUEUED_EVENTS = 20_000
N_QUEUED_REQUESTS = 10_000
_GROUP_EVENTS = 5_000

T = TypeVar("T")


class _Request(NamedTuple):
    work: Callable[[Transaction], Any]
    sites: Sequence[SiteId]
    events: Sequence[ObservationEvent]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


class Writer:
    """Owns the engine that writes.

    With ``inline`` there is no thread: the caller's event loop stores what is queued, in its next turn. It blocks meanwhile,
    so this is for simulations, where nothing may happen beside the loop.

    An error that is not a request's own, such as a failed fsync, stops it for good: what the disk holds is then
    unknown until the log is opened again.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        wakeups: Wakeups,
        *,
        n_queued_events: int = N_QUEUED_EVENTS,
        inline: bool = False,
    ) -> None:
        self._engine = engine
        self._statements = Statements(engine.dialect)
        self._clock = clock
        self._remembered = Remembered()
        self._wakeups = wakeups
        self._capacity = n_queued_events
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards the four below
        self._n_events = 0
        self._n_requests = 0
        self._reason: str | None = None  # why no more requests are taken
        self._thread = None if inline else threading.Thread(target=self._run, name="log-writer", daemon=True)
        if self._thread is not None:
            self._thread.start()

    async def submit(
        self, work: Callable[[Transaction], T], sites: Sequence[SiteId], events: Sequence[ObservationEvent] = ()
    ) -> T:
        """Run ``work``, which may append ``events``, in the next group; returns when its transaction is durable.

        Raises:
            Overloaded: the queue is full; nothing was stored.
            TooLarge: more events than the queue can ever hold.
            LogClosed: the writer stopped.
        """
        loop = asyncio.get_running_loop()
        request = _Request(work=work, sites=sites, events=events, loop=loop, answer=loop.create_future())
        self._enqueue(request)
        if self._thread is None:
            loop.call_soon(self._run_queued)
        return await request.answer

    def close(self) -> None:
        """Finish what is queued, then end the thread and release the engine. Blocks; twice is no error."""
        with self._lock:
            if self._reason is None:
                self._reason = "the log is closed; open it again"
                self._requests.put(None)
        if self._thread is not None:
            self._thread.join()
            return
        self._run_queued()
        self._engine.dispose()

    def _enqueue(self, request: _Request) -> None:
        n_events = len(request.events)
        if n_events > self._capacity:
            raise TooLarge(f"{n_events} events in one append; send at most {self._capacity} at once")
        with self._lock:
            if self._reason is not None:
                raise LogClosed(self._reason)
            if self._n_requests >= N_QUEUED_REQUESTS or self._n_events + n_events > self._capacity:
                raise Overloaded(f"{self._n_events} events wait for the log's writer, which holds {self._capacity}; try again")
            self._n_events += n_events
            self._n_requests += 1
            self._requests.put(request)

    def _run(self) -> None:
        try:
            with self._engine.connect() as connection:
                while group := self._take():
                    self._store(connection, group)
        except Exception as error:  # the thread's outermost loop: nobody else could report it
            self._stop(error)
        finally:
            self._engine.dispose()

    def _run_queued(self) -> None:
        """Store what is queued, if anything is."""
        if self._requests.empty() or not (group := self._take()):
            return
        try:
            with self._engine.connect() as connection:
                self._store(connection, group)
        except Exception as error:  # as in ``_run``
            self._stop(error)

    def _take(self) -> list[_Request]:
        """Wait for a request, then take what else is queued, up to a bound; empty when the log closes."""
        group: list[_Request] = []
        n_events = 0
        while not group or (n_events < _GROUP_EVENTS and not self._requests.empty()):
            request = self._requests.get()
            if request is None:
                self._requests.put(None)  # for the next call, when this group is stored
                break
            group.append(request)
            n_events += len(request.events)
        return group

    def _store(self, connection: Connection, group: list[_Request]) -> None:
        sites = [site for request in group for site in request.sites]
        try:
            with storing(connection):
                transaction = Transaction(connection, self._statements, self._remembered, self._clock, sites)
                transaction.find_places([event for request in group for event in request.events])
                answers = [_attempt(request, transaction) for request in group]
                transaction.flush()
        except Exception as error:
            if is_busy(error):
                busy = Overloaded("another process holds the database's write lock; nothing was stored, try again")
                self._answer(group, [busy] * len(group))
                return
            self._answer(group, [self._stop(error)] * len(group))
            raise
        transaction.committed()
        self._answer(group, answers)
        self._wakeups.wake(transaction.topics)

    def _answer(self, group: list[_Request], answers: Sequence[Any]) -> None:
        with self._lock:
            self._n_requests -= len(group)
            self._n_events -= sum(len(request.events) for request in group)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for request, answer in zip(group, answers, strict=True):
            by_loop.setdefault(request.loop, []).append((request.answer, answer))
        for loop, resolved in by_loop.items():
            with suppress(RuntimeError):  # its loop has ended: nobody waits for the answer
                loop.call_soon_threadsafe(_resolve, resolved)

    def _stop(self, error: Exception) -> LogClosed:
        """Take no more requests, and fail those that are queued."""
        with self._lock:
            if self._reason is None:
                what = str(error).partition("\n")[0]
                self._reason = (
                    f"the log stopped after {type(error).__name__}: {what}. What was not acknowledged may or may not be"
                    " stored; repair the cause, open the log again, and send it again."
                )
            closed = LogClosed(self._reason)
        waiting: list[_Request] = []
        while not self._requests.empty():
            if (request := self._requests.get()) is not None:
                waiting.append(request)
        self._answer(waiting, [closed] * len(waiting))
        return closed


def _attempt(request: _Request, transaction: Transaction) -> Any:
    """A request's own refusal is its answer; any other error is the group's."""
    try:
        return request.work(transaction)
    except TwinError as refused:
        return refused


def _resolve(answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in answers:
        if future.done():  # the caller was cancelled meanwhile
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
