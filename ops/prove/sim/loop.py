"""An event loop whose time is virtual: it jumps to the next timer when nothing else is to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


MOST_AT_ONCE = 200_000
"""Turns of the loop in which time does not go on; a run takes some hundred at once."""


class Deadlock(Exception):
    """Nothing is ready, and no timer will make anything ready."""


class Livelock(Exception):
    """Something is ready for ever, so that no timer ever comes."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Executors run inline, after ``disk_s()`` virtual seconds: a slow disk."""

    def __init__(self, disk_s: Callable[[], float] = lambda: 0.0) -> None:
        self.now_s = 0.0
        self._disk_s = disk_s
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self.now_s

    def run_in_executor(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run ``func`` in this loop."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as wrong:
                future.set_exception(wrong)

        self.call_later(self._disk_s(), run)
        return future


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._n_at_once = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._n_at_once = 0 if timeout else self._n_at_once + 1
        if self._n_at_once > MOST_AT_ONCE:
            self._n_at_once = 0
            running = sorted(task.get_name() for task in asyncio.all_tasks(self._loop))
            raise Livelock(f"after {self._loop.now_s} s time stands still; one of these goes round: {', '.join(running)}")
        if ready := super().select(0):
            return ready
        if timeout is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self._loop))
            raise Deadlock(f"nothing can happen any more; these wait: {', '.join(waiting)}")
        self._loop.now_s += timeout
        return []


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]], disk_s: Callable[[], float] = lambda: 0.0) -> T:
    """Run ``main`` on a loop of its own; its tasks are cancelled at the end."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(disk_s)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))
