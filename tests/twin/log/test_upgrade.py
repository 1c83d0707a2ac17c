"""A log of an older release, upgraded: the same events under the same links, and it goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    text,
    type_coerce,
)

from twin.errors import Conflict, DamagedLog
from twin.events.envelope import ObservationEvent
from twin.events.observations import ClockTicked
from twin.log.port import FoldCommit, Outcome
from twin.log.sql import SqlKeyRing, SqlLog, schema, upgrade
from twin.log.sql.dialect import locate, writing_engine
from twin.log.sql.migrate import upgrade_file
from twin.log.sql.names import stored_type
from twin.log.sql.packing import packed
from twin.log.sql.rows import as_found, written
from twin.log.sql.verify import verify

FIRST_RELEASE, BEFORE_NUMBERS, BEFORE_BOOTS = "0001", "0007", "0008"


@pytest.fixture(params=["sqlite", "postgresql"])
def old_place(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path / "old.db"
    return request.getfixturevalue("postgresql_server").database(f"u{abs(hash(tmp_path)) % 10**12}")


def ticked(make, sequence):
    event = make.observation(sequence, device="clock")
    return ObservationEvent(site="lot", key=event.key, occurred_at=event.occurred_at, payload=ClockTicked(worker="w"))


async def filled(path, make, clock):
    """Observations of two devices and sites, whose subjects are a device's name or not, and facts that correct others."""
    log = SqlLog.open(path, clock=clock)
    for second in range(4):
        clock.at += 1_000_000
        await log.append([*make.observations(6, device="north"), *make.observations(5), ticked(make, second + 1)])
    await log.append(make.observations(3, site="yard"))
    token = await log.acquire("lot", "w")
    first, second = make.fact(1), make.fact(2, stall="north")  # a stall of a device's name: one number for both
    third = make.fact(7, supersedes=[second.id, first.id, "0" * 32])
    await log.commit(FoldCommit(token=token, after=0, cursor=5, facts=(first, second)))
    await log.commit(
        FoldCommit(token=token, after=5, cursor=9, facts=(third, make.left(8), make.fact(9, supersedes=[third.id])))
    )
    await SqlKeyRing(log).encrypt("lot", "t1", b"plate", ())
    return log


async def told(log):
    """All that readers get of a log."""
    return [
        await log.observations("lot"),
        await log.observations("yard"),
        await log.facts("lot"),
        await log.facts("lot", types=["vehicle.left.v1"]),
        await log.facts_between("lot", after_at=0, until_at=2**62, until_position=3),
        await log.facts_between("lot", after_at=0, until_at=2**62, until_position=5, subject="a1"),
        await log.facts_disturbing("lot", at=2**62, after=4, until=5),
        await log.heads("lot"),
        await log.chain("lot"),
        await log.chain("yard"),
    ]


def _table(name):
    """As it was before names were numbers."""
    was = {
        "site": String,
        "type": String,
        "subject": String,
        "fold_version": String,
        "supersedes": Text,
        "payload": LargeBinary,
    }
    gone = ("id_head", "boot")
    columns = [Column(one.name, was.get(one.name, one.type)) for one in schema.metadata.tables[name].c if one.name not in gone]
    more = {"facts": {"id": String}, "observations": {"device": String, "boot_epoch": BigInteger}}
    return Table(name, MetaData(), *columns, *[Column(one, kind) for one, kind in more[name].items()])


def _as_it_was(table, rows, is_packed):
    kept = [{name: row[name] for name in table.c.keys()} for row in rows]  # noqa: SIM118
    if is_packed:
        for number, row in enumerate(kept):
            row["payload"] = packed(table.name, [row["payload"]])[0] if number % 2 else row["payload"]
    return kept


async def make_old(log, place, revision):
    """A database of an older release with the same events: its logs and heads, and since there are some its corrections."""
    engine = writing_engine(locate(place))
    upgrade(engine, revision)

    def rows(connection, table):
        return written(connection, select(*as_found(table)))

    with engine.begin() as old:
        for name in ("observations", "facts"):
            table = _table(name)
            events = await log.read(rows, schema.metadata.tables[name])
            old.execute(insert(table), _as_it_was(table, events, revision == BEFORE_NUMBERS))
        for name in ("heads", "keys", *(("chain_marks", "fact_batches") if revision == BEFORE_NUMBERS else ())):
            there = {column["name"] for column in inspect(old).get_columns(name)}
            columns = [Column(one.name, one.type) for one in schema.metadata.tables[name].c if one.name in there]
            table = Table(name, MetaData(), *columns)
            kept = await log.read(lambda connection, of=table: connection.execute(select(of)).mappings().all())
            if kept:
                old.execute(insert(table), [dict(row) for row in kept])
        for position, names in old.execute(text("select position, supersedes from facts where supersedes <> ''")).all():
            for one in names.split(","):
                values = {"site": "lot", "fact_id": one, "by_position": position}
                old.execute(text("insert into supersessions values (:site, :fact_id, :by_position)"), values)
    engine.dispose()


async def make_without_boots(log, place):
    """A database of revision 0008 with the same events: every table as it is, but for the device and boot epoch in each row."""
    engine = writing_engine(locate(place))
    upgrade(engine, BEFORE_BOOTS)
    device, epoch = (text(f"(select {one} from boots where number = boot) as {one}") for one in ("device", "boot_epoch"))
    with engine.begin() as old:
        for name, table in schema.metadata.tables.items():
            if name == "boots":
                continue
            kinds = {one.name: stored_type(one) for one in table.c if one.name != "boot"}
            read = [type_coerce(table.c[one], kind).label(one) for one, kind in kinds.items()]
            if name == "observations":
                kinds, read = {**kinds, "device": Integer(), "boot_epoch": BigInteger()}, [*read, device, epoch]
            query = select(*read).select_from(table)
            rows = await log.read(lambda connection, of=query: connection.execute(of).mappings().all())
            if rows:
                target = Table(name, MetaData(), *[Column(one, kind) for one, kind in kinds.items()])
                old.execute(insert(target), [dict(row) for row in rows])
    engine.dispose()


@pytest.mark.parametrize("revision", [FIRST_RELEASE, BEFORE_NUMBERS, BEFORE_BOOTS])
async def test_an_upgraded_log_is_the_one_that_it_was_and_goes_on(old_place, revision, make, clock, tmp_path):
    log = await filled(tmp_path / "new.db", make, clock)
    before = await told(log)
    resent = [one.event for one in before[0]]
    await (make_without_boots(log, old_place) if revision == BEFORE_BOOTS else make_old(log, old_place, revision))
    await log.aclose()
    with pytest.raises(Conflict, match="twin db upgrade"):
        SqlLog.open(old_place)
    log = SqlLog.open(old_place, clock=clock, upgrade=True)
    assert await told(log) == before
    assert (await log.read(verify, "lot")).faults == ()
    assert {one.outcome for one in await log.append(resent)} == {Outcome.DUPLICATE}
    await log.append(make.observations(2))
    token = await log.acquire("lot", "w")
    later = make.fact(10, supersedes=[before[2][0].event.id])
    await log.commit(FoldCommit(token=token, after=9, cursor=10, facts=(later,)))
    with pytest.raises(Conflict, match="stored already"):
        await log.commit(FoldCommit(token=token, after=10, cursor=10, facts=(before[2][1].event,)))
    assert (await log.read(verify, "lot")).faults == ()
    await log.aclose()


async def test_a_log_whose_facts_have_other_ids_than_their_causes_give_is_left_as_it_is(make, clock, tmp_path):
    log = await filled(tmp_path / "new.db", make, clock)
    await make_old(log, tmp_path / "old.db", BEFORE_NUMBERS)
    await log.aclose()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection, connection:
        connection.execute("update facts set cause = 6 where position = 3")
    with pytest.raises(DamagedLog, match=r"fact 3 of site 'lot' has id .* is left as it is"):
        SqlLog.open(tmp_path / "old.db", upgrade=True)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(BEFORE_NUMBERS,)]
        assert connection.execute("select count(*) from facts").fetchall() == [(5,)]


async def test_a_copy_that_is_upgraded_to_be_restored_has_no_room_left_over(make, clock, tmp_path):
    log = await filled(tmp_path / "new.db", make, clock)
    await make_old(log, tmp_path / "old.db", BEFORE_NUMBERS)
    await log.aclose()
    upgrade_file(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        assert connection.execute("pragma freelist_count").fetchone() == (0,)
    log = SqlLog.open(tmp_path / "old.db")
    assert (await log.read(verify, "lot")).faults == ()
    await log.aclose()


async def test_an_upgraded_file_holds_no_key_outside_of_its_row(make, clock, tmp_path):
    # A key that is destroyed later would otherwise be left in the pages of the table as it was.
    log = await filled(tmp_path / "new.db", make, clock)
    await make_old(log, tmp_path / "old.db", BEFORE_NUMBERS)
    await log.aclose()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        (key,) = connection.execute("select key from keys").fetchone()
    assert (tmp_path / "old.db").read_bytes().count(key) == 1
    log = SqlLog.open(tmp_path / "old.db", upgrade=True)
    await SqlKeyRing(log).destroy("lot", "t1")
    await log.aclose()
    assert key not in (tmp_path / "old.db").read_bytes()
