"""The writer's hot statements: SQLAlchemy Core writes them once for a dialect, and the driver's cursor takes them as they are.

Going through SQLAlchemy on every statement would cost as much as ten rows do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, bindparam, func, select, update
from sqlalchemy.sql.expression import ClauseElement

from twin.log.sql import schema
from twin.log.sql.names import stored_insert, stored_type

_COPIED_FROM = 8  # fewer rows go by an insert, which takes a round trip less
_AT_ONCE = (50, 10)  # rows; as many as 999 values allow, the most of an older SQLite, and a size for small groups

_h, _o, _b = schema.heads.c, schema.observations.c, schema.boots.c

HEAD_COLUMNS = (
    _h.site, _h.observations, _h.facts, _h.cursor, _h.token, _h.worker, _h.observations_recorded_at, _h.facts_recorded_at,
    _h.observations_content, _h.observations_times, _h.facts_content, _h.facts_times,
    _h.kept, _h.kept_recorded_at, _h.kept_content, _h.kept_times, _h.observations_cut, _h.facts_cut,
)  # fmt: skip

_FIND_HEAD = select(*HEAD_COLUMNS).where(_h.site == bindparam("site")).with_for_update()
_SAVE_HEAD = (
    update(schema.heads)
    .where(_h.site == bindparam("of"))
    .values({column.name: bindparam(column.name) for column in HEAD_COLUMNS if column.name != "site"})
)
_BOOT = select(_b.number).where(_b.device == bindparam("device"), _b.boot_epoch == bindparam("boot_epoch"))
_OF_DEVICE = (_o.site == bindparam("site"), _o.boot == _BOOT.scalar_subquery())
_FIND_RUN = select(_o.sequence, _o.position, _o.content_hash).where(
    *_OF_DEVICE, _o.sequence.between(bindparam("low"), bindparam("high"))
)
_FIND_NEWEST = select(func.max(_o.sequence)).where(*_OF_DEVICE)


class Prepared:
    """One statement with positions for its values, as a driver takes it."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        names = compiled.positiontup
        self._in_order = itemgetter(*names) if len(names) > 1 else lambda values: (values[names[0]],)

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        cursor = _cursor(connection)
        try:
            cursor.execute(self._text, self._in_order(values))
            return cursor.fetchall()
        finally:
            cursor.close()

    def one(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Execute with one set of values."""
        cursor = _cursor(connection)
        try:
            cursor.execute(self._text, self._in_order(values))
        finally:
            cursor.close()

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute for every row."""
        self.values(connection, [self._in_order(row) for row in rows])

    def values(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """As ``many``, of rows in the statement's own order: that of the table's columns, for an insert."""
        with closing(_cursor(connection)) as cursor:
            cursor.executemany(self._text, rows)


class CopiedInsert(Prepared):
    """An insert into a table of PostgreSQL, by ``COPY`` where there are many rows."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        super().__init__(stored_insert(table), dialect)
        names = ", ".join(f'"{column.name}"' for column in table.c)
        self._copy = f"copy {table.name} ({names}) from stdin with (format binary)"
        self._types = [stored_type(column).compile(dialect).partition("(")[0].lower() for column in table.c]

    def values(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """As ``Prepared.values``."""
        if len(rows) < _COPIED_FROM:
            super().values(connection, rows)
            return
        with closing(_cursor(connection)) as cursor, cursor.copy(self._copy) as copy:
            copy.set_types(self._types)
            for row in rows:
                copy.write_row(row)


class WideInsert(Prepared):
    """An insert into a table of SQLite, of many rows a statement where there are many: that takes a quarter less."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        super().__init__(stored_insert(table), dialect)
        self._wide = [(n_rows, at_once(self._text, n_rows)) for n_rows in _AT_ONCE]

    def values(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """As ``Prepared.values``."""
        with closing(_cursor(connection)) as cursor:
            self.by(cursor, rows)

    def by(self, cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        """As ``values``, by a cursor of the driver's."""
        start = 0
        for n_rows, text in self._wide:
            while len(rows) - start >= n_rows:
                cursor.execute(text, tuple(chain.from_iterable(rows[start : start + n_rows])))
                start += n_rows
        cursor.executemany(self._text, rows[start:])


def at_once(insert: str, n_rows: int) -> str:
    """An insert of one row's values, as one of so many rows'.

    >>> at_once("INSERT INTO t (a, b) VALUES (?, ?)", 2)
    'INSERT INTO t (a, b) VALUES (?, ?), (?, ?)'
    """
    into, values, row = insert.rpartition(" VALUES ")
    return into + values + ", ".join([row] * n_rows)


class Statements:
    """The hot statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        dialect = drivers(dialect)
        self.find_head = Prepared(_FIND_HEAD, dialect)
        self.save_head = Prepared(_SAVE_HEAD, dialect)
        self.find_run = Prepared(_FIND_RUN, dialect)
        self.find_newest = Prepared(_FIND_NEWEST, dialect)
        self.insert = {
            name: _insert(schema.metadata.tables[name], dialect)
            for name in ("observations", "facts", "supersessions", "chain_marks", "fact_batches")
        }


def _insert(table: Table, dialect: Dialect) -> Prepared:
    if dialect.name == "sqlite":
        return WideInsert(table, dialect)
    return CopiedInsert(table, dialect) if table is schema.observations else Prepared(stored_insert(table), dialect)


def drivers(dialect: Dialect) -> Dialect:
    """The dialect with the positions for values that its driver takes."""
    return dialect if dialect.positional else type(dialect)(paramstyle="format")  # pyright: ignore[reportCallIssue]


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """What is executed inside takes one round trip, where there are any; ``COPY`` may not be inside."""
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    with driver.pipeline():
        yield


def _cursor(connection: Connection) -> Any:
    return connection.connection.cursor()
