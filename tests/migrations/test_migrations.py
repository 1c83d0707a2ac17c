"""The revisions: an empty database becomes the schema that the code expects."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

import migrations
from twin.errors import Conflict
from twin.log.sql import SqlLog, upgrade
from twin.log.sql.dialect import locate, writing_engine
from twin.log.sql.migrate import newest_revision
from twin.log.sql.schema import metadata


@pytest.fixture
def engine(tmp_path):
    engine = writing_engine(locate(tmp_path / "log.db"))
    yield engine
    engine.dispose()


def test_migrating_an_empty_database_gives_the_schema_of_the_code(engine):
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == newest_revision()


def test_a_table_that_the_migrations_lack_would_be_found(engine):
    # The control of the test above.
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("drop table supersessions"))
        assert compare_metadata(MigrationContext.configure(connection), metadata) != []


def test_migrating_twice_changes_nothing(engine):
    upgrade(engine)
    upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from alembic_version")) == 1


def test_a_failed_migration_leaves_the_database_as_it_was(engine):
    with engine.begin() as connection:
        connection.execute(text("create table keys (site text)"))  # the first revision's last table
    with pytest.raises(Exception, match="already exists"):
        upgrade(engine)
    with engine.connect() as connection:
        assert list(connection.scalars(text("select name from sqlite_master where type = 'table'"))) == ["keys"]


async def test_an_older_schema_is_upgraded_only_when_asked(engine, tmp_path):
    with engine.begin() as connection:
        connection.execute(text("create table alembic_version (version_num varchar(32) primary key)"))
    engine.dispose()
    with pytest.raises(Conflict, match="twin db upgrade"):
        SqlLog.open(tmp_path / "log.db")
    log = SqlLog.open(tmp_path / "log.db", upgrade=True)
    assert await log.sites() == []
    await log.aclose()


def test_a_schema_of_a_newer_release_is_left_alone(engine, tmp_path):
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    for may_upgrade in (False, True):
        with pytest.raises(Conflict, match="newer release"):
            SqlLog.open(tmp_path / "log.db", upgrade=may_upgrade)


def test_every_folder_of_revisions_is_a_package_that_a_wheel_carries():
    folder = Path(migrations.__file__).parent
    for file in (*folder.rglob("*.py"), *folder.rglob("*.mako")):
        assert (file.parent / "__init__.py").exists(), file
