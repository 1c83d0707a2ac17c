"""Names as numbers: what rows repeat, such as a site, a type or a vehicle, is text once, and an integer in every row.

A number is given to a name when a row needs it first, in the row's own transaction, and is kept for good. Hashes and links
cover the names themselves. A column of type ``Named`` reads and compares as text; whoever writes rows gives numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    ScalarSelect,
    String,
    Table,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import TypeDecorator

_ADVISORY_LOCK = 0x6E616D65  # "name": one process gives numbers at a time
_NOBODY = literal_column("-1")  # an unknown name's number: unlike NULL, it is not like whatever it is compared with
_CHUNK = 500
_MOST_COMPARED = 50  # there are not as many types; SQLite takes a thousand
_N_KNOWN = 50_000

K = TypeVar("K", bound=Hashable)

_names = Table("names", MetaData(), Column("number", Integer), Column("name", String(255)))


class Named(TypeDecorator[str]):
    """A column of names, kept as numbers of the table ``names``."""

    impl = Integer
    cache_ok = True

    def bind_expression(self, bindparam: BindParameter[str]) -> ColumnElement[str]:
        """The number of a name that something is compared with."""
        number = select(_names.c.number).where(_names.c.name == type_coerce(bindparam, String)).scalar_subquery()
        return func.coalesce(number, _NOBODY)

    def column_expression(self, column: ColumnElement[str]) -> ColumnElement[str]:
        """See ``name_of``."""
        return name_of(column)


def name_of(column: ColumnElement[str]) -> ScalarSelect[str]:
    """The name in a column of numbers, for use within an expression; NULL where a number is no name's."""
    return select(_names.c.name).where(_names.c.number == type_coerce(column, Integer)).scalar_subquery()


def is_among(column: ColumnElement[str], names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column of numbers has one of these names; with ``~``, none of them."""
    if len(names) > _MOST_COMPARED:
        return type_coerce(column, Integer).in_(select(_names.c.number).where(_names.c.name.in_(names)))
    return or_(*(column == name for name in names))  # a sub-select in `in` leads SQLite past the index of times


def stored_insert(table: Table) -> Insert:
    """An insert of rows as they are stored: names as numbers, payloads packed."""
    return insert(table).values({column.name: bindparam(column.name, type_=stored_type(column)) for column in table.c})


def stored_type(column: Column[Any]) -> Any:
    """What a database keeps in a column."""
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


class Numbers(Generic[K]):
    """The numbers that one writer knows, from one transaction to the next.

    Args:
        give: gives those of what it does not know.
    """

    def __init__(self, give: Callable[[Connection, set[K]], dict[K, int]]) -> None:
        self._give = give
        self._known: dict[K, int] = {}
        self._unsure: set[K] = set()

    def begin(self) -> None:
        """Forget what the transaction before learned, unless it was committed."""
        for name in self._unsure:
            del self._known[name]
        self._unsure.clear()
        if len(self._known) > _N_KNOWN:
            self._known.clear()

    def committed(self) -> None:
        """What the transaction learned holds for good."""
        self._unsure.clear()

    def of(self, connection: Connection, wanted: set[K]) -> Mapping[K, int]:
        """The number of each of these, given now where there is none; more may be in the answer."""
        if missing := wanted - self._known.keys():
            self._known |= self._give(connection, missing)
            self._unsure |= missing
        return self._known


def numbered(connection: Connection, names: set[str]) -> dict[str, int]:
    """Numbers of names, given now where there is none.

    On PostgreSQL one transaction at a time gives numbers. It waits for no other lock afterwards that another one could hold, as
    the heads of its sites are locked before: nobody waits in a circle.
    """
    found = _stored(connection, sorted(names))
    if len(found) == len(names):
        return found
    if give_numbers_alone(connection):
        found = _stored(connection, sorted(names))  # another one may have given some meanwhile
    last = connection.scalar(select(func.max(_names.c.number))) or 0
    fresh = {name: number for number, name in enumerate(sorted(names - found.keys()), last + 1)}
    if fresh:
        connection.execute(insert(_names), [{"number": number, "name": name} for name, number in fresh.items()])
    return found | fresh


def give_numbers_alone(connection: Connection) -> bool:
    """Wait until no other transaction gives numbers, where there can be one; gives whether there can."""
    if connection.dialect.name != "postgresql":
        return False
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    return True


def _stored(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(names), _CHUNK):
        query = select(_names.c.name, _names.c.number).where(_names.c.name.in_(names[start : start + _CHUNK]))
        found |= {row.name: row.number for row in connection.execute(query)}
    return found
