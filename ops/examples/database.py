"""A consumer's own database: made by the consumer itself, one writer at a time, safe from a kill at any moment."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import ArgumentError

from twin.errors import BadInput

_WAIT_S = 30.0  # for another process that writes


def opened(url: str, metadata: MetaData) -> Engine:
    """An engine on a database that has these tables.

    Raises:
        BadInput: the address is none.
    """
    try:
        engine = create_engine(url)
    except ArgumentError as wrong:
        raise BadInput(f"'{url}' is no database: {wrong}; give for instance sqlite:///bills.db") from None
    if engine.dialect.name == "sqlite":
        _serialize(engine)
    with engine.begin() as connection:
        metadata.create_all(connection)
    return engine


def _serialize(engine: Engine) -> None:
    """SQLite's transactions take the write lock when they begin: what they read stays so until they commit."""

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # sqlite3 would begin by itself, and later
        connection.execute(f"pragma busy_timeout = {int(_WAIT_S * 1000)}")
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("begin immediate")
