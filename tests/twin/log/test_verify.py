"""A damaged log is told from a whole one, and where it is damaged."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from sqlalchemy import event as database_event

from twin.errors import DamagedLog
from twin.log.content import observation_hash
from twin.log.port import FoldCommit
from twin.log.sql import SqlLog, reader, schema, transaction
from twin.log.sql import verify as verifying
from twin.log.sql.packing import unpacked
from twin.log.sql.verify import verify

N_OBSERVATIONS, N_FACTS, MARK_EVERY = 47, 23, 10


@pytest.fixture
async def path(tmp_path, make, clock, monkeypatch):
    """A log of 47 observations and 23 facts, with a mark after each tenth."""
    monkeypatch.setattr(transaction, "MARK_EVERY", MARK_EVERY)
    log = SqlLog.open(tmp_path / "log.db", clock=clock)
    for event in make.observations(N_OBSERVATIONS):
        clock.at += 1_000
        await log.append([event])
    token = await log.acquire("lot", "w")
    facts = [make.fact(cause) for cause in range(1, N_FACTS)]
    facts.append(make.fact(N_FACTS, supersedes=[facts[4].id]))
    for cursor, fact in enumerate(facts, start=1):
        await log.commit(FoldCommit(token=token, after=cursor - 1, cursor=cursor, facts=(fact,)))
    await log.aclose()
    return tmp_path / "log.db"


def edit(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


async def found(path, known=None):
    log = SqlLog.open(path, read_only=True)
    try:
        return [(fault.log, fault.first, fault.last) for fault in (await log.read(verify, "lot", known)).faults]
    finally:
        await log.aclose()


async def heads(path):
    log = SqlLog.open(path, read_only=True)
    try:
        return await log.chain("lot")
    finally:
        await log.aclose()


async def test_a_log_as_it_was_written_has_no_faults(path):
    assert await found(path) == []
    assert await found(path, await heads(path)) == []


async def test_it_tells_how_far_it_has_read(path, monkeypatch):
    monkeypatch.setattr(verifying, "_CHUNK", 10)
    log, told = SqlLog.open(path, read_only=True), []
    await log.verified("lot", None, lambda n_read, n_all: told.append((n_read, n_all)))
    await log.aclose()
    assert told == [(n, N_FACTS + N_OBSERVATIONS) for n in (10, 20, 23, 33, 43, 53, 63, 70)]


async def test_an_index_that_lacks_a_row_is_told_though_every_link_fits(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        (page,) = connection.execute("select rootpage from sqlite_master where name = 'facts_by_subject'").fetchone()
        (size,) = connection.execute("pragma page_size").fetchone()
    log = SqlLog.open(path, read_only=True)
    assert await log.file_faults() == []
    await log.aclose()
    with path.open("r+b") as file:
        file.seek((page - 1) * size + 3)
        n_cells = int.from_bytes(file.read(2), "big")
        file.seek((page - 1) * size + 3)
        file.write((n_cells - 1).to_bytes(2, "big"))
    assert await found(path) == []
    log = SqlLog.open(path, read_only=True)
    told = await log.file_faults()
    await log.aclose()
    assert any("facts_by_subject" in line for line in told)


async def test_an_edited_payload_is_found_at_its_position(path):
    edit(path, "update observations set payload = zeroblob(9) where position = 34")
    assert await found(path) == [("observations", 34, 34)]


async def test_a_payload_edited_with_its_hash_is_found_between_its_marks(path):
    edit(path, "update observations set payload = zeroblob(9) where position = 34")
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("select * from observations where position = 34").fetchone())
        row |= {"site": "lot", "type": "frame.observed.v1", "device": "cam-1", "boot_epoch": 1}  # which the row has as numbers
    edit(path, "update observations set content_hash = ? where position = 34", observation_hash(row))
    assert await found(path) == [("observations", 31, 40)]


async def test_damage_in_two_places_is_told_apart(path):
    edit(path, "update facts set occurred_at = occurred_at + 1 where position = 2")
    edit(path, "update facts set type = type + 1 where position = 15")
    assert await found(path) == [("facts", 1, 10), ("facts", 11, 20)]


async def test_an_event_that_cannot_be_read_is_found_and_the_rest_is_still_checked(path):
    edit(path, "update facts set payload = cast(x'83ff' as text) where position = 3")
    edit(path, "update facts set payload = zeroblob(9) where position = 12")
    assert await found(path) == [("facts", 1, 10), ("facts", 3, 3), ("facts", 11, 20)]


async def test_a_missing_event_is_named(path):
    edit(path, "delete from observations where position = 17")
    assert ("observations", 17, 17) in await found(path)


async def test_many_missing_events_are_one_fault(path, monkeypatch):
    monkeypatch.setattr("twin.log.sql.verify._CHUNK", 5)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("delete from observations where position between 11 and 30")
    assert await found(path) == [("observations", 11, 30), ("observations", 11, 40)]


async def test_events_beyond_the_head_are_found(path):
    edit(path, "update heads set observations = 40")
    assert ("observations", 41, 47) in await found(path)


async def test_a_correction_that_was_taken_away_is_found(path):
    edit(path, "delete from supersessions")
    assert await found(path) == [("facts", N_FACTS, N_FACTS)]


async def test_a_log_cut_short_with_a_fitting_head_is_found_by_a_head_that_was_kept_elsewhere(path, tmp_path, make, clock):
    known = await heads(path)
    log = SqlLog.open(tmp_path / "other.db", clock=clock)
    await log.append(make.observations(40))
    await log.aclose()
    assert await found(tmp_path / "other.db") == []
    assert await found(tmp_path / "other.db", known) == [("observations", 41, 47), ("facts", 1, 23)]


async def test_a_log_written_anew_is_found_by_a_head_that_was_kept_elsewhere(path, tmp_path, make, clock):
    known = await heads(path)
    log = SqlLog.open(tmp_path / "other.db", clock=clock)
    await log.append(make.observations(60, device="forged"))
    await log.aclose()
    assert ("observations", 1, 47) in await found(tmp_path / "other.db", known)


async def test_a_log_that_went_on_still_covers_a_known_head(path, make):
    known = await heads(path)
    log = SqlLog.open(path)
    await log.append(make.observations(3))
    await log.aclose()
    assert await found(path, known) == []


_COLUMNS = {
    "observations": "recorded_at occurred_at type subject boot sequence content_hash payload",
    "facts": "recorded_at occurred_at type subject id_head fold_version cause ordinal supersedes payload",
    "heads": "observations facts observations_content observations_times facts_content facts_times",
    "names": "number name",
    "boots": "number device boot_epoch",
    "supersessions": "position by_position",
}
_KEYS = {"names": "number", "boots": "number", "observations": "position", "facts": "position", "supersessions": "position"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_edit_of_one_byte_is_missed(path, data):
    table = data.draw(st.sampled_from(sorted(_COLUMNS)))
    column = data.draw(st.sampled_from(_COLUMNS[table].split()))
    with closing(sqlite3.connect(path)) as connection:
        key = _KEYS.get(table, "rowid")
        rowids = [row for (row,) in connection.execute(f"select {key} from {table} order by 1")]
        rowid = data.draw(st.sampled_from(rowids))
        before = connection.execute(f"select {column} from {table} where {key} = ?", (rowid,)).fetchone()[0]
    after = _changed(before, data)
    if column == "payload" and _is_same(before, after):
        reject()  # a bit of the packing that means nothing: the event is what it was
    try:
        edit(path, f"update {table} set {column} = ? where {key} = ?", after, rowid)
    except sqlite3.IntegrityError:
        reject()  # the database itself refuses a key that is there already
    try:
        assert await found(path) != [], (table, column, rowid, before, after)
    finally:
        edit(path, f"update {table} set {column} = ? where {key} = ?", before, after if column == key else rowid)


def _is_same(before, after):
    with suppress(DamagedLog):
        return unpacked(before) == unpacked(after)
    return False


def _changed(value, data):
    """One byte of it changed, or one put in where it is empty."""
    if value is None or value in ("", b""):
        return b"x" if value == b"" else "x"
    if isinstance(value, int):
        return value ^ (1 << data.draw(st.integers(0, 40)))
    at = data.draw(st.integers(0, len(value) - 1))
    if isinstance(value, str):
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    return value[:at] + bytes([value[at] ^ (1 << data.draw(st.integers(0, 7)))]) + value[at + 1 :]


async def test_a_log_whose_newest_events_are_damaged_is_not_opened_for_writing(path):
    edit(path, "update facts set payload = zeroblob(9) where position = 22")
    with pytest.raises(DamagedLog, match=r"facts 21 to 23 of site 'lot'.*twin log verify"):
        SqlLog.open(path)


async def test_older_damage_does_not_keep_a_log_from_opening(path):
    # Reading all of a large log at every start would take minutes; `twin log verify` does.
    edit(path, "update facts set payload = zeroblob(9) where position = 2")
    await SqlLog.open(path).aclose()
    assert await found(path) == [("facts", 1, 10)]


async def test_a_batch_of_facts_that_names_other_observations_is_told(path):
    edit(path, "update fact_batches set digest = zeroblob(32) where cursor = 7")
    assert await found(path) == [("observations", 7, 7)]


@pytest.mark.parametrize("open_log", ["sqlite", "postgresql"], indirect=True)
async def test_a_log_that_is_written_while_it_is_verified_has_no_faults(log, make, clock, monkeypatch):
    monkeypatch.setattr(transaction, "MARK_EVERY", MARK_EVERY)
    monkeypatch.setattr("twin.log.sql.verify._CHUNK", 5)
    monkeypatch.setattr("twin.log.sql.verify_cuts._CHUNK", 5)
    token, facts, loop = await log.acquire("lot", "w"), [], asyncio.get_running_loop()

    async def write():
        clock.at += 1_000
        await log.append(make.observations(1))
        cause = len(facts) + 1
        facts.append(make.fact(cause, supersedes=[one.id for one in facts[-1:]]))
        await log.commit(FoldCommit(token=token, after=cause - 1, cursor=cause, facts=(facts[-1],)))

    for _ in range(23):
        await write()
    before = await log.chain("lot")

    def write_between(*_):  # bounded: who reads on to whatever the end is would never come to it
        if len(facts) < 60:
            asyncio.run_coroutine_threadsafe(write(), loop).result(timeout=30)

    database_event.listen(log._engine, "after_cursor_execute", write_between)
    try:
        verified = await log.verified("lot", before)
    finally:
        database_event.remove(log._engine, "after_cursor_execute", write_between)
    assert verified.faults == ()
    assert (await log.heads("lot")).facts > verified.heads.facts.position


async def test_the_heads_of_a_site_are_read_in_one_statement(path):
    # Two would see the log at two moments: a cut beside heads that do not know it.
    def told(connection):
        statements = []
        database_event.listen(connection, "before_cursor_execute", lambda *given: statements.append(given[2]))
        reader.chain(connection, "lot")
        return statements

    log = SqlLog.open(path, read_only=True)
    assert len(await log.read(told)) == 1
    await log.aclose()


_UNREADABLE = """
create or replace function unreadable() returns bytea language plpgsql stable
  as $$ begin raise 'invalid page in block 7'; end $$;
alter table {table} rename to {table}_kept;
create view {table} as select {columns}, case when position = 7 then unreadable() else payload end as payload from {table}_kept
"""


async def test_a_row_that_postgresql_cannot_read_is_found_and_the_rest_is_still_checked(postgresql_server, make, tmp_path):
    # It ends a transaction in which a statement failed, and all that is asked in it afterwards.
    url = postgresql_server.database(f"v{abs(hash(tmp_path)) % 10**12}")
    log = SqlLog.open(url)
    await log.append(make.observations(12))
    token = await log.acquire("lot", "w")
    facts = tuple(make.fact(cause) for cause in range(1, 12))
    await log.commit(FoldCommit(token=token, after=0, cursor=12, facts=facts))
    await log.aclose()
    with pytest.importorskip("psycopg").connect(url) as connection:
        for table in ("observations", "facts"):
            columns = ", ".join(f'"{one.name}"' for one in schema.metadata.tables[table].c if one.name != "payload")
            connection.execute(_UNREADABLE.format(table=table, columns=columns))
    log = SqlLog.open(url, read_only=True)
    found = [(fault.log, fault.first, fault.last) for fault in (await log.verified("lot")).faults]
    assert found == [("observations", 1, 12), ("observations", 7, 7), ("facts", 1, 11), ("facts", 7, 7)]
    await log.aclose()
