"""A consumer's own database: made by the consumer itself, one writer at a time, safe from a kill at any moment."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from twin.errors import BadInput

_WAIT_S = 30.0  # for another process that writes
_AGAIN_S = 0.5
_SAY_AGAIN_S = 60.0
_PRIMARY = 0xFF  # SQLite's extended codes have the kind of error in the low byte

_logger = logging.getLogger(__name__)

T = TypeVar("T")


def opened(url: str, metadata: MetaData) -> Engine:
    """An engine on a database that has these tables; a server that is starting is waited for.

    Raises:
        BadInput: the address is none, or nobody is there.
    """
    try:
        kind = make_url(url)
        is_file = kind.get_backend_name() == "sqlite"
        # What a transaction reads stays so until it commits; a server's connections are looked at before they are used again.
        engine = create_engine(kind) if is_file else create_engine(kind, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    except ArgumentError as wrong:
        raise BadInput(f"'{url}' is no database: {wrong}; give for instance sqlite:///bills.db") from None
    if is_file:
        _serialize(engine)
    until_s = time.monotonic() + _WAIT_S
    while True:
        try:
            with engine.begin() as connection:
                metadata.create_all(connection)
            return engine
        except DBAPIError as wrong:
            if not is_away(wrong) or is_file or time.monotonic() > until_s:
                engine.dispose()
                raise BadInput(f"database '{kind}' cannot be used: {wrong.orig}; start it, or correct --database") from None
        time.sleep(_AGAIN_S)


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


def is_away(wrong: DBAPIError) -> bool:
    """Whether the database may do the same another time: it is being restarted, or others were in the way."""
    if isinstance(wrong.orig, sqlite3.Error):  # its OperationalError is also a full disk, or a column that is not there
        return getattr(wrong.orig, "sqlite_errorcode", 0) & _PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return wrong.connection_invalidated or isinstance(wrong, OperationalError | InterfaceError)


async def until_there(work: Callable[[], T | Awaitable[T]]) -> T:
    """What the work gives, which is done again for as long as the database is away, which is said once a minute.

    It must be one that may be done twice.
    """
    said_at_s = -math.inf
    while True:
        try:
            done = work()
            return cast(T, await done if isinstance(done, Awaitable) else done)
        except DBAPIError as wrong:
            if not is_away(wrong):
                raise
            if time.monotonic() - said_at_s >= _SAY_AGAIN_S:
                _logger.warning("the database is away, trying again: %s", wrong.orig)
                said_at_s = time.monotonic()
        await asyncio.sleep(_AGAIN_S)
