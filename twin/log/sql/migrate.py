"""Bringing a database to this release's schema, with the Alembic revisions in the package ``migrations``."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import URL

from twin.errors import Conflict

_ADVISORY_LOCK = 0x7477696E  # "twin": one process migrates at a time


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Run every revision up to this one that the database lacks, in one transaction; an empty database gets them all."""
    with as_file(files("migrations")) as folder, engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            _lock_tables(connection)
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _lock_tables(connection: Connection) -> None:
    """Take every table before any is changed: autovacuum, which may hold one and wait for what this writes, gives way now."""
    quoted = connection.dialect.identifier_preparer.quote
    if names := sorted(inspect(connection).get_table_names()):
        connection.execute(text(f"lock table {', '.join(map(quoted, names))} in access exclusive mode"))


def ensure_current(engine: Engine, *, may_upgrade: bool) -> None:
    """Create the schema of an empty database; demand or run the upgrade of an older one.

    Raises:
        Conflict: the schema is older and ``may_upgrade`` is false, or it is of a newer release.
    """
    with engine.connect() as connection:
        is_empty = _revision(connection) is None and not inspect(connection).get_table_names()
    if not is_empty and not may_upgrade:
        require_current(engine)
        return
    if is_empty or not _is_current(engine):
        upgrade(engine)


def upgrade_file(file: Path) -> None:
    """Bring a SQLite file that nobody else uses to this release's schema, no larger than it must be; raises Conflict."""
    engine = create_engine(URL.create("sqlite", database=str(file)))
    try:
        with engine.connect() as connection:
            before = _revision(connection)
        ensure_current(engine, may_upgrade=True)
        if before not in (None, newest_revision()):
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("vacuum"))
    finally:
        engine.dispose()


def require_current(engine: Engine) -> None:
    """Raises Conflict where the schema is not this release's."""
    if not _is_current(engine):
        with engine.connect() as connection:
            revision = _revision(connection)
        if revision is None:
            raise Conflict(
                "the database holds no log: it is empty, or another program's. Name another --data-dir or TWIN_DATABASE_URL; "
                "`twin serve` makes a log where there is none, `twin db upgrade` also beside the tables of others"
            )
        raise Conflict(
            f"the database is at schema revision '{revision}', this release needs '{newest_revision()}'."
            " Back it up, by `twin backup` of the release that wrote it or by a copy while nothing runs, then run"
            " `twin db upgrade`."
        )


def _is_current(engine: Engine) -> bool:
    """False for an older schema; raises Conflict for one of a newer release."""
    with engine.connect() as connection:
        revision = _revision(connection)
    if revision is not None and revision not in _known_revisions():
        raise Conflict(f"the database is at schema revision '{revision}', unknown here; it needs a newer release")
    return revision == newest_revision()


@cache  # reading the revisions takes longer than opening a log
def newest_revision() -> str:
    """The revision that this release writes."""
    return str(_scripts().get_current_head())


@cache
def _known_revisions() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


def _scripts() -> ScriptDirectory:
    with as_file(files("migrations")) as folder:
        return ScriptDirectory(str(folder))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
