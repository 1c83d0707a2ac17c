"""Being the only one, of all processes on a database, that does something for a site."""

from __future__ import annotations

import hashlib
import threading
from contextlib import suppress

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from twin.errors import Overloaded

Doing = tuple[str, str]
"""A site, and what is done for it."""


class Sole:
    """Who does what alone. PostgreSQL knows it by advisory locks of one connection, and forgets it when that ends.

    One process at a time opens a SQLite file to write (``WriterLock``), so that what is done in this one is all there is.
    """

    def __init__(self, url: URL) -> None:
        self._engine: Engine | None = None
        if url.get_backend_name() == "postgresql":
            self._engine = create_engine(url, poolclass=StaticPool, isolation_level="AUTOCOMMIT")
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._taken = set[Doing]()

    def take(self, doing: Doing) -> bool:
        """Become the only one; False where there is one. Blocks for a round trip.

        Raises:
            Overloaded: the server could not be asked, nor over a new connection.
        """
        with self._lock:
            if doing in self._taken:
                return False
            if self._engine is not None and not self._is_let(self._engine, doing):
                return False
            self._taken.add(doing)
            return True

    def release(self, doing: Doing) -> None:
        """Let another one."""
        with self._lock:
            self._taken.discard(doing)
            if self._engine is None or self._connection is None:
                return  # the connection ended, and with it all locks
            try:
                self._told(self._engine, "select pg_advisory_unlock(:key)", doing)
            except DBAPIError:
                self._end()

    def close(self) -> None:
        """Release everything."""
        with self._lock:
            self._end()
            if self._engine is not None:
                self._engine.dispose()

    def _is_let(self, engine: Engine, doing: Doing) -> bool:
        query = "select pg_try_advisory_lock(:key)"
        with suppress(DBAPIError):  # a connection that was idle for long may be gone, and only asking tells
            return self._told(engine, query, doing)
        try:
            return self._told(engine, query, doing)
        except DBAPIError as error:
            raise Overloaded(
                f"whether another process does '{doing[1]}' for site '{doing[0]}' could not be asked: {error.orig}; try again"
            ) from error

    def _told(self, engine: Engine, query: str, doing: Doing) -> bool:
        try:
            if self._connection is None:
                self._connection = engine.connect()
            return bool(self._connection.execute(text(query), {"key": _key(doing)}).scalar())
        except DBAPIError:
            self._end()
            raise

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _key(doing: Doing) -> int:
    digest = hashlib.blake2b("\0".join(doing).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
