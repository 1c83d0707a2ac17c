"""A whole database in one consistent moment, to a SQLite file and back, while others write."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, func, select, type_coerce
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from twin.errors import Conflict, DamagedLog
from twin.log.sql.dialect import locate, reading_engine, writing_engine
from twin.log.sql.migrate import require_current, upgrade, upgrade_file
from twin.log.sql.names import stored_insert, stored_type
from twin.log.sql.schema import metadata

_CHUNK = 2_000


def copy_out(url: URL, file: Path) -> None:
    """Write the database as it is at one moment to a new SQLite file, durably.

    On SQLite by ``VACUUM INTO``: a reader of a WAL, so writers go on, and unlike the backup interface it does not start
    again whenever they do. On PostgreSQL by reading every table in one repeatable-read transaction.

    Raises:
        Conflict: the database is not of this release's schema.
        DamagedLog: the database cannot be read whole.
    """
    file.touch(mode=0o600, exist_ok=False)  # it holds keys
    engine = reading_engine(url, 1)
    try:
        require_current(engine)
        if url.get_backend_name() == "sqlite":
            _vacuum(url, file)
        else:
            with engine.connect().execution_options(isolation_level="REPEATABLE READ") as source:
                _fill(source, file)
    except DBAPIError as wrong:
        raise DamagedLog(f"the database cannot be read whole: {wrong.orig}; see `twin log verify`") from None
    finally:
        engine.dispose()
    _sync(file)


def copy_in(file: Path, url: URL) -> None:
    """Put a copied database where there is none yet, and upgrade it where it is of an older release.

    Raises:
        Conflict: there is a log already, or the copy is of a newer release.
    """
    if url.get_backend_name() == "sqlite":
        _place(file, Path(url.database or ""))
        return
    source, target = reading_engine(locate(file), 1), writing_engine(url)
    try:
        upgrade(target)
        with source.connect() as reading, target.begin() as writing:
            _check_empty(writing)
            _copy_rows(reading, writing)
    finally:
        source.dispose()
        target.dispose()


def _vacuum(url: URL, file: Path) -> None:
    path = Path(url.database or "").absolute()
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=60)) as connection:
        try:
            connection.execute("vacuum into ?", (str(file),))
        except sqlite3.DatabaseError as wrong:
            raise DamagedLog(f"'{path}' cannot be copied: {wrong}; see `twin log verify`") from None


def _fill(source: Connection, file: Path) -> None:
    upgrade_file(file)
    engine = create_engine(URL.create("sqlite", database=str(file)))
    try:
        with engine.begin() as target:
            _copy_rows(source, target)
    finally:
        engine.dispose()


def _copy_rows(source: Connection, target: Connection) -> None:
    """Every row as it is stored: payloads stay packed as they were, and names keep their numbers."""
    for table in metadata.sorted_tables:
        columns = [type_coerce(column, stored_type(column)).label(column.name) for column in table.c]
        rows = source.execution_options(stream_results=True).execute(select(*columns))
        for chunk in rows.mappings().partitions(_CHUNK):
            target.execute(stored_insert(table), [dict(row) for row in chunk])


def _check_empty(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        if n_rows := connection.scalar(select(func.count()).select_from(table)):
            raise Conflict(f"the database holds a log already: {n_rows} rows in '{table.name}'; restore into an empty one")


def _place(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    shutil.copyfile(file, partial)
    _sync(partial)
    try:
        os.link(partial, target)  # unlike a rename, it never replaces a log
    except FileExistsError:
        raise Conflict(f"there is a log at '{target}' already; move it away, or restore into another folder") from None
    finally:
        partial.unlink()
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
