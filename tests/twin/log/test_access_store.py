"""Keys in the database that processes share: in a schema of their own, beside the log."""

import os

import pytest
from sqlalchemy import create_engine, inspect

from twin.access.audit import Entry
from twin.access.keys import KeyRecord, new_key
from twin.access.store import SCHEMA, AccessStore
from twin.errors import Overloaded
from twin.log.sql.log import SqlLog
from twin.settings import Settings

NOON = 1_767_268_800_000_000


async def test_keys_are_beside_a_log_in_postgresql_whichever_was_first(postgresql_server, tmp_path):
    url = postgresql_server.database(f"a{abs(hash(tmp_path)) % 10**12}")
    place = Settings.from_environ({"TWIN_DATABASE_URL": url}).access_location
    assert place == url
    stores = [AccessStore.open(place), AccessStore.open(place)]
    await SqlLog.open(url).aclose()
    made = new_key(os.urandom)
    key = KeyRecord(id=made.id, name="n", sites=("*",), scopes=("read", "admin"), digest=made.digest, made_at=NOON)
    stores[0].add_key(key)
    assert stores[1].standing_keys() == [key]
    stores[1].revoke(key.id, NOON)
    assert stores[0].standing_keys() == []
    entry = Entry(at=NOON, site="lot", key="k", name="n", action="crop", subject="s", address="::1")
    stores[0].append_audit([entry, entry])
    assert [one.number for one in stores[1].audit_page("lot", after=0, limit=9)] == [1, 2]
    assert stores[1].trim_audit(NOON + 1) == 2
    for store in stores:
        store.close()
    await SqlLog.open(url).aclose()
    tables = inspect(engine := create_engine(url.replace("postgresql://", "postgresql+psycopg://")))
    assert set(tables.get_table_names(schema=SCHEMA)) == {"access_key", "access_audit"}
    assert not {"access_key", "access_audit"} & set(tables.get_table_names())
    engine.dispose()


def test_a_server_that_does_not_answer_is_told():
    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    with pytest.raises(Overloaded, match="the access database does not answer"):
        AccessStore.open("postgresql://twin@127.0.0.1:1/none")


def test_without_a_shared_database_keys_have_a_file_of_their_own(tmp_path):
    assert Settings(data_dir=tmp_path).access_location == tmp_path / "access.db"
    assert Settings(data_dir=tmp_path, database_url="sqlite:///log.db").access_location == tmp_path / "access.db"
