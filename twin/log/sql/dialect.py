"""What differs between SQLite and PostgreSQL: how to connect, and how to insert what may be there already.

SQLite before 3.51.3 can corrupt a WAL when two connections write or checkpoint at once. Here one connection a file
writes and checkpoints, a lock file keeps a second process from doing it, and all others are opened read-only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Dialect, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool, StaticPool

from twin.errors import BadInput, MissingExtra

N_READERS = 4
OLDEST_SQLITE = (3, 35, 0)
"""Of 2021. Debian 12 and Python 3.11's builds have 3.40, with which the proofs were run."""
_BUSY_TIMEOUT_S = 10
_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")


def locate(location: str | Path) -> URL:
    """A path of a SQLite file, or a ``sqlite:`` or ``postgresql:`` URL.

    Raises:
        BadInput: neither a path nor a URL of these.
        MissingExtra: a PostgreSQL URL without its driver installed.
    """
    text = str(location)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        raise BadInput("the database URL cannot be read; give sqlite:///PATH or postgresql://USER@HOST/NAME") from None
    name = url.get_backend_name()
    if name == "sqlite" and url.database not in (None, "", ":memory:"):
        return URL.create("sqlite", database=url.database)
    if name == "postgresql":
        return _with_driver(url)
    raise BadInput(f"the log cannot be kept at '{url}'; give a file's path or a sqlite: or postgresql: URL")


def writing_engine(url: URL) -> Engine:
    """An engine of exactly one connection, the only one that ever writes.

    Raises:
        BadInput: this Python's SQLite is older than what is relied on.
    """
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_size=1, max_overflow=0)
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise BadInput(f"this Python has SQLite {sqlite3.sqlite_version}; the log needs {oldest} or newer: use another Python")
    engine = create_engine("sqlite://", creator=lambda: _connect(url, "rwc"), poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        driver = connection.connection.driver_connection
        if not driver.in_transaction:  # see ``storing``
            driver.execute("BEGIN IMMEDIATE")  # SQLAlchemy's way takes ten times as long

    return engine


@contextmanager
def storing(connection: Connection) -> Iterator[None]:
    """A transaction that is committed at the end, and rolled back where something raises.

    On SQLite the driver begins and ends it. SQLAlchemy, whose way costs a single append a twentieth, knows of it only from when
    it executes something in it itself.
    """
    if connection.dialect.name != "sqlite":
        with connection.begin():
            yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        (connection if connection.in_transaction() else driver).commit()
    except BaseException:
        connection.rollback()
        driver.rollback()
        raise


def reading_engine(url: URL, n_readers: int = N_READERS) -> Engine:
    """An engine whose connections cannot write."""
    if url.get_backend_name() == "postgresql":
        engine = create_engine(url, pool_size=n_readers, max_overflow=0, pool_pre_ping=True)
        return engine.execution_options(postgresql_readonly=True)
    return create_engine(
        "sqlite://", creator=lambda: _connect(url, "ro"), poolclass=QueuePool, pool_size=n_readers, max_overflow=0
    )


def upsert(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that has ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


def is_busy(error: Exception) -> bool:
    """Whether SQLite could not begin because another process writes; then nothing was stored."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _connect(url: URL, mode: str) -> sqlite3.Connection:
    path = Path(url.database or "").absolute()
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions begin where the writer says so, not where the driver guesses
        check_same_thread=False,  # each connection is used by one thread at a time
    )
    return connection


def _with_driver(url: URL) -> URL:
    try:
        import psycopg as _  # noqa: F401
    except ImportError:
        raise MissingExtra("PostgreSQL needs its driver; pip install 'spatial-twin[postgres]'") from None
    return url.set(drivername="postgresql+psycopg")
