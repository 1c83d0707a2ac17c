"""Which map of a site was in force when a fact was concluded, in the log's own database.

A read of the past needs the map of then: the present one has other stalls and zones. It is kept whole, since a folder of a site
may be changed or gone.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from twin.errors import DamagedLog
from twin.events.ids import SiteId
from twin.log.sql import schema
from twin.log.sql.log import SqlLog
from twin.log.sql.transaction import Transaction

_m = schema.site_maps.c


class KeptMap(NamedTuple):
    """A map that facts were concluded with.

    Attributes:
        after: fact position after which it was in force, until the next one's.
        body: as its writer encoded it.
    """

    after: int
    body: bytes


class SqlSiteMaps:
    """The maps of the sites of a log. The log's writer makes every change."""

    def __init__(self, log: SqlLog) -> None:
        self._log = log

    async def all(self, site: SiteId) -> list[KeptMap]:
        """Every map of a site, oldest first; raises DamagedLog where one cannot be read."""
        return await self._log.read(_all, site)

    async def begin(self, site: SiteId, body: bytes, *, after: int) -> None:
        """Have this map in force after a fact position, the head of now. One that is in force already is left.

        The first map of a site is taken for that of all facts before it: nobody can say what they were concluded with.
        """
        await self._log.write(lambda transaction: _begin(transaction, site, body, after), site)


def _all(connection: Connection, site: SiteId) -> list[KeptMap]:
    rows = connection.execute(select(_m.after_position, _m.body).where(_m.site == site).order_by(_m.after_position))
    try:
        return [KeptMap(row.after_position, zlib.decompress(row.body)) for row in rows]
    except zlib.error as wrong:
        raise DamagedLog(f"a map of site '{site}' in the log cannot be read: {wrong}; restore a backup") from None


def _begin(transaction: Transaction, site: SiteId, body: bytes, after: int) -> None:
    connection = transaction.connection
    known = _all(connection, site)
    if known and known[-1].body == body:
        return
    row = {"site": site, "after_position": after if known else 0, "body": zlib.compress(body, 9)}
    if known and known[-1].after >= after:  # nothing was concluded with that one
        here = (_m.site == site) & (_m.after_position == known[-1].after)
        connection.execute(update(schema.site_maps).where(here).values(body=row["body"]))
        return
    connection.execute(insert(schema.site_maps).values(row))
