"""What outlives a crash: the logs, the keys and the subscriptions, in memory or in a SQLite file."""

from __future__ import annotations

import random
from pathlib import Path

from twin.log.clock import Clock
from twin.log.keys import KeyRing, MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import Log
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.subscriptions import MemorySubscriptions, SubscriptionStore


class Store:
    """Opened by each life of the service, closed at its end.

    In memory it is the reference adapter, whose calls are atomic: what a call did is on its disk. SQLite is written inline.
    """

    def __init__(self, file: Path | None, clock: Clock, draw: random.Random) -> None:
        self._file, self._clock, self._draw = file, clock, draw
        self._memory = MemoryLog(clock=clock)
        self._memory_keys = MemoryKeyRing(random=draw.randbytes)
        self._memory_subscriptions = MemorySubscriptions()
        self._sql: SqlLog | None = None

    def open(self) -> tuple[Log, KeyRing, SubscriptionStore]:
        """Log, keys and subscriptions."""
        if self._file is None:
            return self._memory, self._memory_keys, self._memory_subscriptions
        self._sql = SqlLog.open(self._file, clock=self._clock, inline=True)
        return self._sql, SqlKeyRing(self._sql, random=self._draw.randbytes), SqlSubscriptions(self._sql)

    async def close(self) -> None:
        """The life is over; a log in memory stays open, as a disk does."""
        if self._sql is not None:
            await self._sql.aclose()
            self._sql = None
