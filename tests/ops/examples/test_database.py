"""A consumer waits for its database where that helps, and only there."""

import asyncio
import logging

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from ops.examples import database


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'kept.db'}", connect_args={"timeout": 0.0})
    with engine.begin() as connection:
        connection.execute(text("create table kept (n integer)"))
    yield engine
    engine.dispose()


def put(engine, column="n"):
    with engine.begin() as connection:
        connection.execute(text(f"insert into kept ({column}) values (1)"))


async def test_what_sqlite_will_never_do_ends_it(engine):
    with pytest.raises(OperationalError, match="no column named other"):
        async with asyncio.timeout(5):
            await database.until_there(lambda: put(engine, "other"))


async def test_a_file_that_another_process_holds_is_waited_for_and_that_is_said_again(engine, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(database, "_AGAIN_S", 0.01)
    monkeypatch.setattr(database, "_SAY_AGAIN_S", 0.0)
    n_tries = 0

    def tried():
        nonlocal n_tries
        n_tries += 1
        if n_tries == 3:
            holder.rollback()
        put(engine)

    with engine.connect() as holder:
        holder.execute(text("insert into kept values (0)"))
        async with asyncio.timeout(10):
            await database.until_there(tried)
    assert [one.message.split(":")[0] for one in caplog.records] == ["the database is away, trying again"] * 2
