"""The key ring whose keys are rows beside the log, written by the log's one writer."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from sqlalchemy import select, update

from twin.events.ids import SiteId
from twin.log.content import check_name
from twin.log.keys import N_CACHED, KeyRing, Random
from twin.log.sql import reader, schema
from twin.log.sql.dialect import upsert
from twin.log.sql.log import SqlLog
from twin.log.sql.transaction import Transaction


class SqlKeyRing(KeyRing):
    """Keys in the table ``keys``; a destroyed one is overwritten and its row stays, so that it never comes back."""

    def __init__(self, log: SqlLog, *, random: Random = os.urandom, n_cached: int = N_CACHED) -> None:
        super().__init__(random=random, n_cached=n_cached)
        self._log = log

    async def _find(self, site: SiteId, key_id: str) -> bytes | None:
        _check(site, key_id)
        return await self._log.read(reader.key, site, key_id)

    async def _find_all(self, site: SiteId, key_ids: Collection[str]) -> Mapping[str, bytes]:
        for key_id in key_ids:
            _check(site, key_id)
        return await self._log.read(reader.keys, site, tuple(key_ids))

    async def _keep(self, site: SiteId, key_id: str, fresh: bytes) -> bytes | None:
        _check(site, key_id)

        def keep(transaction: Transaction) -> bytes | None:
            connection, table = transaction.connection, schema.keys
            row = {"site": site, "key_id": key_id, "key": fresh, "made_at": transaction.now}
            connection.execute(upsert(connection.dialect, table).values(row).on_conflict_do_nothing())
            held = select(table.c.key).where(table.c.site == site, table.c.key_id == key_id)
            return connection.execute(held).scalar_one()

        return await self._log.write(keep, site)

    async def _forget(self, site: SiteId, key_id: str) -> None:
        _check(site, key_id)

        def forget(transaction: Transaction) -> None:
            connection, table = transaction.connection, schema.keys
            row = {"site": site, "key_id": key_id, "key": None, "made_at": transaction.now, "destroyed_at": transaction.now}
            connection.execute(upsert(connection.dialect, table).values(row).on_conflict_do_nothing())
            held = (table.c.site == site) & (table.c.key_id == key_id) & table.c.key.is_not(None)
            connection.execute(update(table).where(held).values(key=None, destroyed_at=transaction.now))

        await self._log.write(forget, site)


def _check(site: SiteId, key_id: str) -> None:
    check_name("site", site)
    check_name("key", key_id)
