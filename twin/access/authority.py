"""Which keys open what, as a running process knows it: read from the store at most a second ago."""

from __future__ import annotations

import asyncio
import logging

from twin.access.keys import Grant, KeyId, KeyRecord, grant_of, is_secret_of, parse_key
from twin.access.store import AccessStore
from twin.errors import Overloaded, TwinError
from twin.events.ids import Micros
from twin.log.clock import Clock

FRESH_US = 1_000_000
_NOTED_EVERY_US = 3_600_000_000  # of a key's last use: a write for each request would be one too many

_logger = logging.getLogger(__name__)


class Authority:
    """Asks the store for all standing keys, once a second while anybody comes: made and revoked keys count within that time in
    every process, and a stranger's guesses cost no look into the database."""

    def __init__(self, store: AccessStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._key_by_id: dict[KeyId, KeyRecord] = {}
        self._read_at: Micros | None = None
        self._failure: str | None = None  # why the last look failed
        self._reading = asyncio.Lock()
        self._noted_at: dict[KeyId, Micros] = {}

    async def by_text(self, text: str) -> Grant | None:
        """What a key gives; None for one that is wrong, revoked or expired. Raises Overloaded."""
        if (parts := parse_key(text)) is None:
            return None
        key, secret = parts
        record = await self._standing(key)
        return await self._granted(record) if is_secret_of(record, secret) else None

    async def by_id(self, key: KeyId) -> Grant | None:
        """The same for somebody who showed it before. Raises Overloaded."""
        return await self._granted(await self._standing(key))

    async def _standing(self, key: KeyId) -> KeyRecord | None:
        async with self._reading:
            now = self._clock()
            if self._read_at is None or abs(now - self._read_at) >= FRESH_US:
                await self._read(now)
            if self._failure is not None:
                raise Overloaded(self._failure)
            return self._key_by_id.get(key)

    async def _read(self, now: Micros) -> None:
        try:
            found = await asyncio.to_thread(self._store.standing_keys)
        except Overloaded as wrong:
            # Those that waited meanwhile are told the same at once: one after another they would wait for ever.
            self._failure, self._read_at = str(wrong), self._clock()
            return
        self._failure, self._read_at = None, now
        self._key_by_id = {one.id: one for one in found}
        self._noted_at = {one: at for one, at in self._noted_at.items() if one in self._key_by_id}

    async def _granted(self, record: KeyRecord | None) -> Grant | None:
        now = self._clock()
        if record is None or not record.is_valid(now):
            return None
        noted_at = self._noted_at.get(record.id, record.used_at)
        if noted_at is None or abs(now - noted_at) >= _NOTED_EVERY_US:
            self._noted_at[record.id] = now
            try:
                await asyncio.to_thread(self._store.note_used, record.id, now)
            except TwinError as wrong:
                _logger.warning("the use of key '%s' is not noted: %s", record.id, wrong)
        return grant_of(record)
