"""Raw ``sqlite3``: rows at positions that it counts itself, and nothing else.

The same table and keys as ours, the same bytes, statements, journal and synchronous mode, one transaction a batch. ``append``
binds rows that were packed, compressed, hashed and numbered before the watch started. What a log is given is events, so this is
a bound that no log can reach, by as much as those bytes cost to make. ``append_made`` makes them while the watch runs, by our
own functions: what is left is what our log does beyond storing them. Nothing is given away in the other direction: ours has no
index, key, sync or byte less than raw, and no statement that raw has not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from twin.log.sql import schema
from twin.log.sql.prepared import WideInsert

from .stopwatch import Stopwatch
from .workload import batches, rows, stored

_PRAGMAS = "pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on"
_INSERT = WideInsert(schema.observations, sqlite.dialect())


def append(path: Path, n_rows: int, size: int) -> Stopwatch:
    """Insert batches of rows."""
    watch = Stopwatch()
    with table(path) as connection:
        insert(connection, n_rows, size, 0, watch)
    return watch


def append_made(path: Path, n_rows: int, size: int) -> Stopwatch:
    """Make rows of batches of events, and insert them."""
    watch, after = Stopwatch(), 0
    with table(path) as connection:
        for batch in batches(n_rows, size):
            with watch.running():
                store(connection, stored(batch, after))
            after += len(batch)
    return watch


def insert(connection: sqlite3.Connection, n_rows: int, size: int, after: int, watch: Stopwatch) -> None:
    """Insert more after those that are there."""
    for batch in rows(n_rows, size, after):
        with watch.running():
            store(connection, batch)


def store(connection: sqlite3.Connection, batch: list[tuple[Any, ...]]) -> None:
    """One transaction."""
    connection.execute("begin immediate")
    _INSERT.by(connection.cursor(), batch)
    connection.execute("commit")


@contextmanager
def table(path: Path) -> Iterator[sqlite3.Connection]:
    """A new file with the table, and its one connection."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_PRAGMAS)
        connection.execute(str(CreateTable(schema.observations).compile(dialect=sqlite.dialect())))
        yield connection
