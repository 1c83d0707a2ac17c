"""The service's own code on virtual time, with faults at every call: what must hold is checked after every event.

A run is a small site for a minute: two devices that send what they saw over a network that loses, doubles, delays and
reorders requests; lives of the service that end in crashes at any call of its log, with one fold worker or two at once; slow
disks, full queues, clocks that are set; a subscriber that crashes too. Then all faults end, and all must come to rest. Control:
a log that forgets device keys when it is busy.
"""

from __future__ import annotations

from typing import Any

from .outcome import Outcome, tried
from .sim.world import run

RUNS, FULL_RUNS = 10, 5_000


def prove(runs: int, seed: int) -> Outcome:
    """Every third seed is on SQLite."""
    failures = tried(range(seed, seed + runs), lambda one: run(one).wrong)
    control = _forgetful(seed)
    return Outcome(runs, failures, "a log that forgets the device keys of every tenth append", control)


def _forgetful(seed: int) -> int:
    """1 once one of a few runs notices it, as one is enough and each takes seconds; else 0."""
    from twin.log.memory import MemoryLog

    append: Any = MemoryLog._append
    n_calls = 0

    def forgetting(log: Any, event: Any, content: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        site = log._sites.get(event.site)
        if site is not None and n_calls % 10 == 0:
            site.position_by_key.pop(event.key, None)
        return append(log, event, content)

    memory: Any = MemoryLog
    memory._append = forgetting
    try:
        return int(any(run(one).wrong is not None for one in range(seed, seed + 6)))
    finally:
        memory._append = append
