"""Rendering in several processes at once: one engine each, one core each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from threading import Thread
from typing import TypeVar

Result = TypeVar("Result")


def in_processes(work: Callable[..., Result], arguments: Sequence[tuple[object, ...]], n: int) -> list[Result]:
    """``work(*one)`` for each, in at most ``n`` fresh processes; results in order; the first error is raised.

    ``work`` must be a function of a module. With one process the work is done here.
    """
    if n <= 1 or len(arguments) <= 1:
        return [work(*one) for one in arguments]
    spawn = multiprocessing.get_context("spawn")  # the engine does not survive a fork
    with ProcessPoolExecutor(min(n, len(arguments)), mp_context=spawn, initializer=_begin, max_tasks_per_child=1) as pool:
        return [future.result() for future in [pool.submit(work, *one) for one in arguments]]


def _begin() -> None:
    os.environ["LP_NUM_THREADS"] = "1"  # llvmpipe would take every core
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Whoever kills the command means its processes too, which would render on for minutes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
