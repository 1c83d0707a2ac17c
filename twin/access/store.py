"""Where keys and the record of who looked are kept: a SQLite file of their own, or a schema of their own in PostgreSQL.

Not in the log's file: that has one writing process, and a key must be made and revoked beside a running service. SQLite keeps
a rollback journal here, not a WAL, so that any number of processes may write (see ``twin/log/sql/dialect.py`` on what several
writers can do to a WAL); what is written is small and rare.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError

from twin.access.audit import Entry, NumberedEntry
from twin.access.keys import KeyId, KeyRecord, Scope
from twin.errors import BadInput, Conflict, NotFound, Overloaded
from twin.events.ids import Micros, SiteId
from twin.log.sql.dialect import locate

SCHEMA = "twin_access"
_BUSY_TIMEOUT_S = 10
_ADVISORY_LOCK = 0x74776B79  # "twky": one process makes the tables at a time
_TABLES = MetaData()
_KEYS = Table(
    "access_key",
    _TABLES,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("sites", String, nullable=False),  # separated by commas, as are the scopes
    Column("scopes", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("used_at", BigInteger),
)
_AUDIT = Table(
    "access_audit",
    _TABLES,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("site", String, nullable=False),
    Column("key", String, nullable=False),
    Column("name", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("address", String, nullable=False),
    Column("n_results", Integer),
    Index("access_audit_site", "site", "number"),
    Index("access_audit_at", "at"),
    sqlite_autoincrement=True,  # no number twice, also after the oldest entries went
)


class AccessStore:
    """Keys and audit entries. Blocking; for any thread and any number of processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, place: str | Path) -> AccessStore:
        """A store at a path or a ``postgresql:`` URL; made where there is none.

        Raises:
            BadInput: the place cannot be used.
            Overloaded: the database does not answer.
        """
        url = locate(place)
        engine = _postgresql(url) if url.get_backend_name() == "postgresql" else _sqlite(Path(url.database or ""))
        store = cls(engine)
        try:
            with store._begun() as connection:
                _make_tables(connection)
        except BaseException:
            engine.dispose()
            raise
        return store

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def add_key(self, record: KeyRecord) -> None:
        """Keep a key; raises Conflict where there is one of this id."""
        row = {name: getattr(record, name) for name in KeyRecord.__struct_fields__}
        row |= {"sites": ",".join(record.sites), "scopes": ",".join(record.scopes)}
        try:
            with self._begun() as connection:
                connection.execute(insert(_KEYS).values(row))
        except IntegrityError:
            raise Conflict(f"there is a key '{record.id}' already; make another one") from None

    def all_keys(self) -> list[KeyRecord]:
        """All that were ever made, the oldest first."""
        return self._records(select(_KEYS).order_by(_KEYS.c.made_at, _KEYS.c.id))

    def standing_keys(self) -> list[KeyRecord]:
        """Those that nobody has revoked."""
        return self._records(select(_KEYS).where(_KEYS.c.revoked_at.is_(None)))

    def revoke(self, key: KeyId, at: Micros) -> None:
        """Close a key for good; one that is closed stays so since when it was. Raises NotFound."""
        with self._begun() as connection:
            if connection.execute(select(_KEYS.c.id).where(_KEYS.c.id == key)).first() is None:
                raise NotFound(f"there is no key '{key}'; `twin key list` shows the ids")
            connection.execute(update(_KEYS).where(_KEYS.c.id == key, _KEYS.c.revoked_at.is_(None)).values(revoked_at=at))

    def note_used(self, key: KeyId, at: Micros) -> None:
        """Note that a key is in use."""
        with self._begun() as connection:
            connection.execute(update(_KEYS).where(_KEYS.c.id == key).values(used_at=at))

    def append_audit(self, entries: Sequence[Entry]) -> None:
        """Record these, all or none; they are on disk when this returns."""
        with self._begun() as connection:
            connection.execute(
                insert(_AUDIT), [{name: getattr(one, name) for name in Entry.__struct_fields__} for one in entries]
            )

    def audit_page(self, site: SiteId, *, after: int, limit: int) -> list[NumberedEntry]:
        """A site's entries after a number, in the order in which they were made."""
        wanted = select(_AUDIT).where(_AUDIT.c.site == site, _AUDIT.c.number > after).order_by(_AUDIT.c.number).limit(limit)
        with self._begun() as connection:
            return [NumberedEntry(**row._mapping) for row in connection.execute(wanted)]

    def trim_audit(self, before: Micros) -> int:
        """Forget entries made before a time; returns how many there were."""
        with self._begun() as connection:
            return connection.execute(delete(_AUDIT).where(_AUDIT.c.at < before)).rowcount

    def _records(self, wanted: Any) -> list[KeyRecord]:
        with self._begun() as connection:
            return [_record(row) for row in connection.execute(wanted)]

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as wrong:
            told = " ".join(str(wrong.orig).split())
            raise Overloaded(f"the access database does not answer: {told}; free space or start it, then try again") from None


def _record(row: Row[Any]) -> KeyRecord:
    told = dict(row._mapping)
    scopes = cast("tuple[Scope, ...]", tuple(told.pop("scopes").split(",")))
    return KeyRecord(sites=tuple(told.pop("sites").split(",")), scopes=scopes, **told)


def _postgresql(url: URL) -> Engine:
    waits = {"connect_timeout": _BUSY_TIMEOUT_S, "options": f"-c statement_timeout={_BUSY_TIMEOUT_S}s"}
    engine = create_engine(url, pool_size=2, max_overflow=2, pool_pre_ping=True, connect_args=waits)
    return engine.execution_options(schema_translate_map={None: SCHEMA})


def _sqlite(file: Path) -> Engine:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # who may read it may not read more than hashes, but who looked
    except OSError as wrong:
        raise BadInput(f"'{file}' cannot be used: {wrong.strerror}; give --data-dir a folder that can be written") from None
    engine = create_engine(URL.create("sqlite", database=str(file)), connect_args={"timeout": _BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = TRUNCATE")  # a rollback journal that need not be made and deleted each time

    return engine


def _make_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(text(f"create schema if not exists {SCHEMA}"))
    else:
        connection.execute(text("BEGIN IMMEDIATE"))  # the driver begins nothing before a CREATE
    _TABLES.create_all(connection)
