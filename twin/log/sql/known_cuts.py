"""The cuts of each site, read again only when another one was made: every read of the past asks for them."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Connection, Dialect, bindparam, func, select

from twin.events.ids import SiteId
from twin.log.cuts import Cuts
from twin.log.sql import reader, schema
from twin.log.sql.prepared import Prepared, drivers

_c = schema.cuts.c
_LAST = select(func.max(_c.number)).where(_c.site == bindparam("site"))
_NEWEST = select(_c.number, _c.digest).where(_c.site == bindparam("site"), _c.number == _LAST.scalar_subquery())


class KnownCuts:
    """What was read of them, with an anchor's state and devices, which may be large."""

    def __init__(self) -> None:
        self._known: dict[SiteId, Cuts] = {}

    def of(self, connection: Connection, site: SiteId) -> Cuts:
        """See ``twin.log.port.Log.cuts``. A cut is never changed, so its number and digest tell whether it is the one known."""
        newest = _newest(connection.dialect).all(connection, {"site": site})
        if not newest:
            return Cuts()
        known = self._known.get(site)
        if known is None or (known.number, known.digest) != (newest[0][0], bytes(newest[0][1])):
            known = self._known[site] = reader.cuts(connection, site)
        return known


@lru_cache(maxsize=8)
def _newest(dialect: Dialect) -> Prepared:
    return Prepared(_NEWEST, drivers(dialect))
