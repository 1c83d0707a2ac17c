"""The writer's hot statements, compiled once for a dialect and then given to the driver as they are.

SQLAlchemy Core writes them; going through it on every row would cost more than the row itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, bindparam, select, update
from sqlalchemy.sql.expression import ClauseElement

from twin.log.sql import schema

_h, _o = schema.heads.c, schema.observations.c

_FIND_HEAD = select(schema.heads).where(_h.site == bindparam("site")).with_for_update()
_SAVE_HEAD = (
    update(schema.heads)
    .where(_h.site == bindparam("of"))
    .values({column.name: bindparam(column.name) for column in _h if column.name != "site"})
)
_FIND_RUN = select(_o.sequence, _o.position, _o.content_hash).where(
    _o.site == bindparam("site"),
    _o.device == bindparam("device"),
    _o.boot_epoch == bindparam("boot_epoch"),
    _o.sequence.between(bindparam("low"), bindparam("high")),
)


class Prepared:
    """One statement as a driver takes it: with positions, or with names."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text = str(compiled)
        self._in_order = itemgetter(*compiled.positiontup) if compiled.positional else None

    def one(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[*tuple[Any, ...]]:
        """Execute with one set of values."""
        return connection.exec_driver_sql(self._text, self._bound(values))

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute for every row."""
        connection.exec_driver_sql(self._text, [self._bound(row) for row in rows])

    def _bound(self, values: Mapping[str, Any]) -> Any:
        if self._in_order is None:
            return dict(values)
        bound = self._in_order(values)
        return bound if isinstance(bound, tuple) else (bound,)  # of one name, ``itemgetter`` gives the value alone


class Statements:
    """The hot statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.find_head = Prepared(_FIND_HEAD, dialect)
        self.save_head = Prepared(_SAVE_HEAD, dialect)
        self.find_run = Prepared(_FIND_RUN, dialect)
        self.insert = {
            name: Prepared(schema.metadata.tables[name].insert(), dialect)
            for name in ("observations", "facts", "supersessions", "chain_marks", "fact_batches")
        }
