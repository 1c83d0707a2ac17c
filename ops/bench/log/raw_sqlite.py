"""Raw ``sqlite3``: rows that were packed and hashed before, at positions that it counts itself, and nothing else.

The same table and keys as ours, the same journal and synchronous mode, one transaction a batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from twin.log.sql import schema
from twin.log.sql.names import stored_insert

from .stopwatch import Stopwatch
from .workload import rows

_PRAGMAS = "pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on"
_INSERT = str(stored_insert(schema.observations).compile(dialect=sqlite.dialect()))


def append(path: Path, n_rows: int, size: int) -> Stopwatch:
    """Insert batches of rows."""
    watch = Stopwatch()
    with table(path) as connection:
        insert(connection, n_rows, size, 0, watch)
    return watch


def insert(connection: sqlite3.Connection, n_rows: int, size: int, after: int, watch: Stopwatch) -> None:
    """Insert more after those that are there."""
    for batch in rows(n_rows, size, after):
        with watch.running():
            connection.execute("begin immediate")
            connection.executemany(_INSERT, batch)
            connection.execute("commit")


@contextmanager
def table(path: Path) -> Iterator[sqlite3.Connection]:
    """A new file with the table, and its one connection."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_PRAGMAS)
        connection.execute(str(CreateTable(schema.observations).compile(dialect=sqlite.dialect())))
        yield connection
