"""The one place of the log that asks the machine what time it is; everything else is given a ``Clock``."""

from __future__ import annotations

import time
from collections.abc import Callable

from twin.events.ids import Micros

Clock = Callable[[], Micros]


def system_clock() -> Micros:
    """Microseconds since the epoch, as the operating system has it."""
    return time.time_ns() // 1000
