"""Lives of the service: each has a worker, sometimes a second one beside it, takes requests, and ends in a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast

from twin.api.ingest import read_events
from twin.errors import CursorConflict, Cut, Deposed, LogClosed, Overloaded, TwinError
from twin.events.ids import SECOND, Micros
from twin.feeds.subscriptions import Subscriptions
from twin.log.clock import Clock
from twin.log.port import Log, Receipt
from twin.log.sealing import SealingLog
from twin.log.subscriptions import SubscriptionStore
from twin.retention import Retention
from twin.rules.fold import Fold
from twin.service import FusionWorker

from ..failing_log import FailingLog
from .faults import Crash, Faults
from .store import Store
from .watch import Watch, Watched

T = TypeVar("T")


_REQUEST = "request"
_YOUNGEST_CUT, _OLDEST_CUT = 5 * SECOND, 30 * SECOND
_MARGIN = 5 * SECOND  # a minute would leave nothing to cut of a run


class Down(Exception):
    """The service does not answer, or no longer."""


class Service:
    """Starts again a while after each crash; ``stop`` ends its last life."""

    def __init__(self, fold: Fold, store: Store, faults: Faults, watch: Watch, clock: Clock) -> None:
        self._fold, self._store, self._faults, self._watch, self._clock = fold, store, faults, watch, clock
        self._crashed = asyncio.Event()
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in the order in which they began: a set's order is an accident
        self._n_workers = 0
        self._front: Log | None = None  # of this life, None between lives
        self.subscriptions: Subscriptions | None = None
        self.n_lives = 0

    async def run(self) -> None:
        """Live, crash, wait, and live again, until cancelled."""
        while True:
            await self._life()
            await asyncio.sleep(self._faults.draw.uniform(0.1, 2.0))

    async def _life(self) -> None:
        self.n_lives += 1
        self._crashed = asyncio.Event()
        log, keys, subscriptions = self._store.open()
        watched = cast(Log, Watched(log, self._watch))
        failing = cast(Log, FailingLog(watched, self._moment()))
        self._front = SealingLog(failing, keys)
        self.subscriptions = Subscriptions(failing, subscriptions, self._fold.site, clock=self._clock)
        try:
            self._start(self._workers(self._front, keys), "workers")
            retention = Retention(self._front, keys, self._fold, subscriptions, clock=self._clock, margin=_MARGIN)
            self._start(self._trims(log, retention, subscriptions), "trims")
            await self._crashed.wait()
        finally:
            self._front = self.subscriptions = None
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            await self._store.close()

    def _moment(self) -> Any:
        is_before = True

        async def moment(call: str) -> None:
            nonlocal is_before
            try:
                await (self._faults.before(call) if is_before else self._faults.after())
            except Crash:
                self._crashed.set()
                raise
            is_before = not is_before

        return moment

    async def _workers(self, log: Log, keys: Any) -> None:
        """One after the other; a second one at times takes over from one that does not know it yet."""
        running: set[asyncio.Task[None]] = set()
        while True:
            self._n_workers += 1
            draw = self._faults.draw
            worker = FusionWorker(
                log,
                keys,
                self._fold,
                worker_id=f"w{self._n_workers}",
                clock=self._clock,
                batch_size=draw.choice((1, 5, 100)),
                snapshot_every=draw.choice((20, 100)),
                tick_interval_s=0.5,
                clock_ticks=self._faults.has_ticks,
            )
            running.add(self._start(worker.run(), f"worker {self._n_workers}"))
            while running:
                done, running = await asyncio.wait(running, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    _expected_end(task)
                if self._faults.happens(self._faults.takeover):
                    break

    async def _trims(self, log: Log, retention: Retention, subscriptions: SubscriptionStore) -> None:
        """Cut observations at random ages, and movement of them too; what is cut was seen before."""
        while True:
            await asyncio.sleep(1.0)
            if not self._faults.is_to_trim():
                continue
            await self._watch.look(log)
            age = self._faults.trim_draw.randint(_YOUNGEST_CUT, _OLDEST_CUT)
            movement_before = await self._movement_before(subscriptions)
            with suppress(Overloaded, CursorConflict):
                trimmed = await retention.trim(before=self._clock() - age, movement_before=movement_before)
                self._watch.cut = max(self._watch.cut, trimmed.observations)
                self._watch.thinned = max(self._watch.thinned, trimmed.movement)

    async def _movement_before(self, subscriptions: SubscriptionStore) -> Micros | None:
        """None where movement is not cut now: a subscriber that comes after a cut does not get what is cut."""
        if not self._faults.is_to_thin() or not await subscriptions.names(self._fold.site.name):
            return None
        return self._clock() - self._faults.thin_draw.randint(_YOUNGEST_CUT, _OLDEST_CUT)

    def _start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            return
        wrong = task.exception()
        if isinstance(wrong, Crash):
            self._crashed.set()
        elif wrong is not None and not isinstance(wrong, TwinError if task.get_name() == _REQUEST else _ENDS):
            self._watch.wrong = self._watch.wrong or _told(wrong)
            self._crashed.set()

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Answer a request; raises Down where the process ends before it can."""
        task, caller = self._start(work, _REQUEST), asyncio.current_task()
        assert caller is not None
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not caller.cancelling():  # whoever is to end itself would else ask again for ever
                raise Down from None
            raise
        except (Crash, LogClosed):
            raise Down from None

    async def ingest(self, body: bytes) -> list[Receipt]:
        """What POST /observations does; raises Down, or what it answers."""
        if self._front is None:
            raise Down
        events = read_events(body, self._fold.site, most=10_000, reserved=frozenset({"twin-worker"}))
        return await self.call(self._front.append(events))


_ENDS = (Deposed, CursorConflict, Overloaded, LogClosed, Cut)  # Cut: a worker that was deposed long ago


def _expected_end(task: asyncio.Task[None]) -> None:
    """A worker that was deposed has ended rightly; what else there is, ``_ended`` sees."""
    if not task.cancelled():
        task.exception()


def _told(wrong: BaseException) -> Exception:
    return wrong if isinstance(wrong, Exception) else RuntimeError(repr(wrong))
