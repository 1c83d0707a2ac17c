"""Seconds of the clock and of the processor, without what the benchmark does between two batches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up what happens inside of ``running``.

    Attributes:
        wall_s, cpu_s: of the clock, and of all of this process's threads.
        laps_s: each stretch by the clock.
    """

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0
        self.laps_s: list[float] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure what is inside."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        yield
        self.laps_s.append(time.perf_counter() - wall_s)
        self.cpu_s += time.process_time() - cpu_s
        self.wall_s += self.laps_s[-1]
