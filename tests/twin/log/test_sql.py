"""What only the SQL log has: one writing process, group commit, stopping after errors, surviving a kill."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError

from twin.errors import (
    BadInput,
    Conflict,
    CursorConflict,
    DamagedLog,
    Deposed,
    Forbidden,
    LogClosed,
    NotFound,
    Overloaded,
    TooLarge,
)
from twin.evaluation.proofs import part
from twin.log.port import FoldCommit, Heads, Outcome, Snapshot
from twin.log.sql import SqlLog, reader, schema
from twin.log.sql.lock import WriterLock
from twin.log.sql.places import Newest, runs
from twin.log.sql.prepared import WideInsert
from twin.log.sql.verify import verify
from twin.log.tail import tail


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.db"


async def test_a_log_opened_again_goes_on_where_it_ended(path, make, clock):
    log = SqlLog.open(path, clock=clock)
    await log.append(make.observations(3))
    token = await log.acquire("lot", "w")
    await log.commit(FoldCommit(token=token, after=0, cursor=2, facts=(make.fact(1),)))
    await log.aclose()
    clock.at -= 5_000_000
    log = SqlLog.open(path, clock=clock)
    assert await log.heads("lot") == Heads(observations=3, facts=1, cursor=2)
    assert (await log.append(make.observations(1)))[0].position == 4
    times = [one.recorded_at for one in await log.observations("lot")]
    assert times == sorted(times)
    assert (await log.acquire("lot", "w")).number == token.number + 1
    await log.aclose()


@pytest.mark.parametrize("n_rows", [0, 1, 9, 10, 50, 59, 117])
def test_rows_that_go_many_a_statement_are_all_there_once(n_rows):
    insert = WideInsert(schema.chain_marks, sqlite.dialect())
    rows = [("lot", "facts", position, b"c", b"t") for position in range(n_rows)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table chain_marks (site, log, position, content, times)")
        insert.by(connection.cursor(), rows)
        assert connection.execute("select * from chain_marks").fetchall() == rows


async def test_a_log_whose_newest_events_are_gone_is_not_written_to(path, make):
    # Its head says what was there; positions are never given out twice.
    log = SqlLog.open(path)
    await log.append(make.observations(3))
    await log.aclose()
    with sqlite3.connect(path) as connection:
        connection.execute("delete from observations where position > 1")
    connection.close()
    with pytest.raises(DamagedLog, match="observations 2 to 3 of site 'lot': missing"):
        SqlLog.open(path)
    reader = SqlLog.open(path, read_only=True)
    assert await reader.heads("lot") == Heads(observations=3)
    await reader.aclose()


async def test_every_connection_is_durable_and_readers_cannot_write(path, make):
    log = SqlLog.open(path)
    pragmas = await log.write(
        lambda transaction: [
            transaction.connection.exec_driver_sql(f"pragma {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    )
    assert pragmas == ["wal", 2, 1]
    with pytest.raises(OperationalError, match="readonly"):
        await log.read(lambda connection: connection.exec_driver_sql("delete from heads"))
    await log.aclose()


def test_a_lock_whose_folder_was_moved_away_before_it_was_taken_is_none(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    flock = fcntl.flock

    def moved_first(descriptor, how):
        folder.rename(tmp_path / "data-1")
        flock(descriptor, how)

    monkeypatch.setattr("twin.log.sql.lock.fcntl.flock", moved_first)
    with pytest.raises(Conflict, match="moved the folder"):
        WriterLock(folder / "log.db")


async def test_a_second_writer_of_a_file_is_refused_and_a_reader_is_not(path, make):
    log = SqlLog.open(path)
    with pytest.raises(Conflict, match="another process writes"):
        SqlLog.open(path)
    reader = SqlLog.open(path, read_only=True)
    tail = reader.tail_observations("lot", after=0)
    first = asyncio.ensure_future(anext(tail))
    await log.append(make.observations(2))
    assert [one.position for one in await asyncio.wait_for(first, 20)] == [1, 2]
    with pytest.raises(Forbidden):
        await reader.append(make.observations(1))
    await tail.aclose()
    await reader.aclose()
    await log.aclose()
    await SqlLog.open(path).aclose()


async def test_only_the_owner_can_read_the_files(path, make):
    log = SqlLog.open(path)
    await log.append(make.observations(1))
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    await log.aclose()


async def test_a_closed_file_can_be_read_only_read(path, make):
    log = SqlLog.open(path)
    await log.append(make.observations(2))
    await log.aclose()
    reader = SqlLog.open(path, read_only=True)
    assert len(await reader.observations("lot")) == 2
    await reader.aclose()


@pytest.mark.parametrize("location", ["mysql://h/d", "sqlite://", "postgres ql://", "://"])
def test_a_location_that_no_adapter_fits_is_refused(location):
    with pytest.raises(BadInput):
        SqlLog.open(location)


async def test_a_sqlite_that_is_too_old_is_refused_by_its_version_and_locks_nothing(path, monkeypatch):
    with monkeypatch.context() as changed:
        changed.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
        changed.setattr(sqlite3, "sqlite_version", "3.31.1")
        with pytest.raises(BadInput, match=r"3\.31\.1.*3\.35"):
            SqlLog.open(path)
    assert not path.exists()
    await SqlLog.open(path).aclose()


def test_reading_a_file_that_is_not_there_is_refused(path):
    with pytest.raises(NotFound):
        SqlLog.open(path, read_only=True)
    assert not path.exists()


async def held(log):
    """Keep the writer busy until the event that comes back is set."""
    entered, release = threading.Event(), threading.Event()

    def hold(_):
        entered.set()
        release.wait(20)

    task = asyncio.create_task(log.write(hold))
    await asyncio.to_thread(entered.wait, 20)
    return task, release


async def test_what_waits_for_the_writer_is_stored_in_one_transaction(path, make):
    log = SqlLog.open(path)
    task, release = await held(log)
    waiting = [asyncio.create_task(log.append(make.observations(1))) for _ in range(50)]
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(task, *waiting)
    n_commits = len({one.recorded_at for one in await log.observations("lot", limit=100)})
    assert n_commits == 1  # the system clock is read once a transaction
    await log.aclose()


async def test_a_full_queue_refuses_and_stores_nothing_of_what_it_refused(path, make):
    log = SqlLog.open(path, n_queued_events=10)
    task, release = await held(log)
    kept = asyncio.create_task(log.append(make.observations(9)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await log.append(make.observations(2))
    with pytest.raises(TooLarge):
        await log.append(make.observations(11))
    release.set()
    await asyncio.gather(task, kept)
    assert await log.heads("lot") == Heads(observations=9)
    await log.append(make.observations(10))  # the room is free again
    await log.aclose()


async def test_one_refused_request_leaves_the_others_of_its_group(path, make):
    log = SqlLog.open(path)
    token = await log.acquire("lot", "w")
    task, release = await held(log)
    group = [
        asyncio.create_task(one)
        for one in (
            log.append(make.observations(2)),
            log.commit(FoldCommit(token=token, after=7, cursor=8, facts=(make.fact(8),))),
            log.commit(FoldCommit(token=token, after=0, cursor=2, facts=(make.fact(1),))),
        )
    ]
    await asyncio.sleep(0)
    release.set()
    await task
    answers = await asyncio.gather(*group, return_exceptions=True)
    assert isinstance(answers[1], CursorConflict)
    assert await log.heads("lot") == Heads(observations=2, facts=1, cursor=2)
    await log.aclose()


async def test_an_append_that_its_caller_gave_up_is_whole_or_absent_and_the_log_goes_on(path, make):
    log = SqlLog.open(path)
    task, release = await held(log)
    given_up = asyncio.create_task(log.append(make.observations(3)))
    await asyncio.sleep(0)
    given_up.cancel()
    release.set()
    await task
    (receipt,) = await log.append(make.observations(1))
    assert receipt.position == 4
    await log.aclose()


async def test_after_a_disk_error_the_log_stops_for_good_and_a_reopened_one_is_whole(path, make):
    log = SqlLog.open(path)
    await log.append(make.observations(2))

    def fail(_):
        raise OperationalError("commit", {}, sqlite3.OperationalError("disk I/O error"))

    task, release = await held(log)
    beside = [asyncio.create_task(one) for one in (log.write(fail), log.append(make.observations(1)))]
    await asyncio.sleep(0)
    release.set()
    await task
    for answer in await asyncio.gather(*beside, return_exceptions=True):
        assert isinstance(answer, LogClosed)
    with pytest.raises(LogClosed, match="disk I/O error"):
        await log.append(make.observations(1))
    assert await log.heads("lot") == Heads(observations=2)
    await log.aclose()
    log = SqlLog.open(path)
    assert (await log.append(make.observations(1)))[0].position == 3
    await log.aclose()


async def test_after_a_failed_fsync_nothing_more_is_written_and_the_reopened_log_is_whole(path, make):
    disk = part("disk").Recorder()
    try:
        with disk.recording():
            log = SqlLog.open(path)
            await log.append(make.observations(2))
            disk.is_failing = True
            with pytest.raises(LogClosed, match="disk I/O error"):
                await log.append(make.observations(1))
            disk.is_failing, n_steps = False, len(disk.steps)
            with pytest.raises(LogClosed, match="open the log again"):  # a second fsync could lie
                await log.append(make.observations(1))
            assert len(disk.steps) == n_steps
            await log.aclose()
    except OSError as built_in:
        pytest.skip(str(built_in))
    log = SqlLog.open(path)
    stored = (await log.heads("lot")).observations
    assert stored in (2, 3)  # what was not acknowledged may be stored
    assert (await log.read(verify, "lot")).faults == ()
    assert (await log.append(make.observations(1)))[0].position == stored + 1
    await log.aclose()


FULL_DISK = """
import asyncio, resource, signal, sys
from twin.errors import LogClosed
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import ClockTicked
from twin.log.sql import SqlLog, schema

def event(number):
    key = DeviceKey(device="d", boot_epoch=1, sequence=number)
    return ObservationEvent(site="lot", key=key, occurred_at=number, payload=ClockTicked(worker="w" * 200))

async def main():
    log = SqlLog.open(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    number = 0
    while True:
        try:
            await log.append([event(number + 1), event(number + 2)])
        except LogClosed as stopped:
            print("stopped", stopped, flush=True)
            break
        number += 2
        print(number, flush=True)
    try:
        await log.append([event(10**6)])
    except LogClosed:
        print("refused", flush=True)
    print("head", (await log.heads("lot")).observations, flush=True)
    await log.aclose()

asyncio.run(main())
"""


async def test_a_log_on_a_full_disk_stops_and_says_so_and_holds_what_it_acknowledged(path, make):
    words = [sys.executable, "-c", FULL_DISK, str(path)]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    lines = (await process.communicate())[0].decode().splitlines()
    assert process.returncode == 0
    *acknowledged, stopped, refused, head = lines
    assert stopped.startswith("stopped the log stopped after OperationalError")
    assert "open the log again, and send it again" in stopped
    assert refused == "refused"
    last = int(acknowledged[-1])
    assert last > 100
    assert int(head.split()[1]) == last
    log = SqlLog.open(path)  # there is room again
    assert (await log.read(verify, "lot")).faults == ()
    stored = [one.event.key.sequence for one in await log.observations("lot", limit=10**6)]
    assert stored == list(range(1, last + 1)) or stored == list(range(1, last + 3))  # what was not acknowledged may be stored
    assert (await log.append(make.observations(1)))[0].position == len(stored) + 1
    await log.aclose()


async def test_a_foreign_write_lock_makes_appends_wait_and_then_refuses_them(path, make, monkeypatch):
    monkeypatch.setattr("twin.log.sql.dialect._BUSY_TIMEOUT_S", 0.05)
    log = SqlLog.open(path)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("begin immediate")
    with pytest.raises(Overloaded):
        await log.append(make.observations(1))
    foreign.execute("rollback")
    foreign.close()
    assert (await log.append(make.observations(1)))[0].position == 1
    await log.aclose()


@pytest.mark.parametrize("by_sqlalchemy", [True, False])
async def test_a_group_that_meets_a_foreign_lock_halfway_leaves_nothing_and_the_next_one_is_stored(path, make, by_sqlalchemy):
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    key = insert(schema.keys).values(site="lot", key_id="k", key=b"k", made_at=0)

    def meet(transaction):
        if by_sqlalchemy:
            transaction.connection.execute(key)
        else:
            driver = transaction.connection.connection.driver_connection
            driver.execute("insert into keys (site, key_id, key, made_at) values ('lot', 'k', x'00', 0)")
        raise busy

    log = SqlLog.open(path)
    await log.append(make.observations(1))  # a site's first row is SQLAlchemy's
    with pytest.raises(Overloaded):
        await log.write(meet, "lot")
    assert (await log.append(make.observations(1)))[0].position == 2
    assert await log.read(reader.keys, "lot", ["k"]) == {}
    await log.write(lambda transaction: transaction.connection.execute(key), "lot")
    assert await log.read(reader.keys, "lot", ["k"]) == {"k": b"k"}
    await log.aclose()


async def test_closing_finishes_what_is_queued(path, make):
    log = SqlLog.open(path)
    task, release = await held(log)
    queued = asyncio.create_task(log.append(make.observations(4)))
    await asyncio.sleep(0)
    closing = asyncio.create_task(log.aclose())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(task, queued, closing)
    await log.aclose()
    log = SqlLog.open(path, read_only=True)
    assert await log.heads("lot") == Heads(observations=4)
    await log.aclose()


@pytest.mark.parametrize("open_log", ["postgresql"], indirect=True)
async def test_processes_that_append_to_one_postgresql_share_dense_positions(open_log, make):
    logs = [open_log() for _ in range(3)]
    tail = logs[0].tail_observations("lot", after=0)
    batches = [make.observations(1 + number % 4, device=f"cam-{number % 5}") for number in range(45)]
    total = sum(map(len, batches))
    answers = await asyncio.gather(*(logs[number % 3].append(batch) for number, batch in enumerate(batches)))
    resent = await logs[1].append(batches[0])
    seen = {}
    async for some in tail:  # two of the three processes can only be noticed by looking again
        seen.update((one.position, one.event) for one in some)
        if len(seen) == total:
            break
    await tail.aclose()
    assert sorted(seen) == list(range(1, total + 1))
    for batch, receipts in zip(batches, answers, strict=True):
        assert [seen[receipt.position] for receipt in receipts] == batch
    assert [receipt.position for receipt in resent] == [receipt.position for receipt in answers[0]]
    old, _ = await logs[0].acquire("lot", "w0"), await logs[1].acquire("lot", "w1")
    with pytest.raises(Deposed):
        await logs[0].commit(FoldCommit(token=old, after=0, cursor=1))
    for log in logs:
        await log.aclose()


@pytest.mark.parametrize("open_log", ["postgresql"], indirect=True)
async def test_what_another_process_stored_since_is_a_resend_here(open_log, make):
    here, there = open_log(), open_log()
    await here.append(make.observations(3))
    later = make.observations(2)
    await there.append(later)
    assert [receipt.outcome for receipt in await here.append(later)] == [Outcome.DUPLICATE] * 2
    for log in (here, there):
        await log.aclose()


@pytest.mark.parametrize("open_log", ["postgresql"], indirect=True)
async def test_a_large_batch_of_postgresql_is_stored_as_it_was_given(log, make):
    batch = [make.observation(device="câm, \\ '1'", score=number / 64) for number in range(64)]
    await log.append(batch)
    assert [one.event for one in await log.observations("lot")] == batch


async def test_late_sequences_are_stored_and_resends_known_however_they_come(path, make):
    log = SqlLog.open(path)
    first, late, last = make.observations(3, epoch=7)
    stored = [(await log.append([one]))[0] for one in (last, first, late)]
    assert [(one.outcome, one.position) for one in stored] == [(Outcome.STORED, position) for position in (1, 2, 3)]
    again = await log.append([first, late, last])
    assert [(one.outcome, one.position) for one in again] == [(Outcome.DUPLICATE, position) for position in (2, 3, 1)]
    await log.aclose()
    log = SqlLog.open(path)
    assert await log.append([late, last]) == again[1:]
    await log.aclose()


def test_what_is_remembered_of_a_site_holds_only_at_its_head():
    newest = Newest()
    newest.committed("lot", 12, {("cam-1", 1): 9})
    assert newest.of("lot", 12) == {("cam-1", 1): 9}
    assert newest.of("lot", 13) == {}  # somebody else has appended
    assert newest.of("yard", 12) == {}


@pytest.mark.parametrize("open_log", ["sqlite", "postgresql"], indirect=True)
async def test_what_no_driver_can_bind_is_refused_and_the_log_goes_on(log, make):
    await log.append(make.observations(1))
    fact = make.fact(1)
    token = await log.acquire("lot", "w")
    for wrong in (
        log.heads("a\x00"),
        log.observations("\ud800"),
        log.observations("lot", after=10**30),
        log.facts("lot", types=["\x00"]),
        log.acquire("lot", "w\x00"),
        log.save_snapshot(Snapshot(site="lot", kind="k", version="v" * 300, position=1, at=0, body=b"")),
        *(
            log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(replace(fact, **change),)))
            for change in ({"supersedes": ("a,b",)}, {"ordinal": 2**31}, {"cause": 2**63}, {"fold_version": "v" * 256})
        ),
    ):
        with pytest.raises(BadInput):
            await wrong
    assert await log.commit(FoldCommit(token=token, after=0, cursor=1, facts=(fact,))) == 1


def test_runs_cover_every_number_and_bridge_only_small_gaps():
    assert runs([]) == []
    assert runs([5, 5, 6]) == [(5, 6)]
    assert runs([1, 3, 10, 100], gap=1) == [(1, 3), (10, 10), (100, 100)]
    assert runs([1, 10**15]) == [(1, 1), (10**15, 10**15)]


CHILD = """
import asyncio, sys
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.observations import ClockTicked
from twin.log.sql import SqlLog, schema

async def appender(log, device, epoch):
    sequence = 0
    while True:
        batch = []
        for _ in range(1 + sequence % 3):
            sequence += 1
            key = DeviceKey(device=device, boot_epoch=epoch, sequence=sequence)
            batch.append(ObservationEvent(site="lot", key=key, occurred_at=sequence, payload=ClockTicked(worker=device)))
        receipts = await log.append(batch)
        for event, receipt in zip(batch, receipts):
            print(device, event.key.sequence, receipt.position, flush=True)

async def main():
    log = SqlLog.open(sys.argv[1])
    await asyncio.gather(*(appender(log, f"d{n}", int(sys.argv[2])) for n in range(4)))

asyncio.run(main())
"""


async def everything_in(path):
    """The head, and (device, boot epoch, sequence) by position."""
    log = SqlLog.open(path)
    head = (await log.heads("lot")).observations
    keys = {one.position: one.event.key for one in await log.observations("lot", limit=10**6)}
    await log.aclose()
    return head, {position: (key.device, key.boot_epoch, key.sequence) for position, key in keys.items()}


@pytest.mark.parametrize("n_rounds", [4])
def test_a_killed_process_loses_nothing_that_it_acknowledged(path, n_rounds):
    acknowledged = {}
    for epoch in range(1, n_rounds + 1):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(epoch)], stdout=subprocess.PIPE) as child:
            for count, line in enumerate(child.stdout):
                if not line.endswith(b"\n"):
                    break
                device, sequence, position = line.decode().split()
                acknowledged[int(position)] = (device, epoch, int(sequence))
                if count == 40 * epoch:
                    os.kill(child.pid, signal.SIGKILL)
    head, stored = asyncio.run(everything_in(path))
    assert sorted(stored) == list(range(1, head + 1))
    assert len(acknowledged) > 40 * n_rounds
    assert acknowledged.items() <= stored.items()
    by_device = {}
    for _, (device, epoch, sequence) in sorted(stored.items()):
        by_device.setdefault((device, epoch), []).append(sequence)
    assert all(sequences == list(range(1, len(sequences) + 1)) for sequences in by_device.values())
    # A batch is whole or absent: batches hold 1 + sequence % 3 events, so their ends are 1, 3, 4, 6, 7, …
    ends = {1}
    while max(ends) < head + 3:
        ends.add(max(ends) + 1 + max(ends) % 3)
    assert all(len(sequences) in ends for sequences in by_device.values())


@pytest.fixture
def postgresql_url(postgresql_server, tmp_path):
    return postgresql_server.database(f"n{abs(hash(tmp_path)) % 10**12}")


@pytest.fixture
async def writer_and_reader(postgresql_url, monkeypatch):
    """Two logs of one database. Followers look by themselves only after an hour: what they see, they were told."""
    monkeypatch.setattr("twin.log.sql.log.tail", partial(tail, poll_s=3600.0))
    writer, reader = SqlLog.open(postgresql_url), SqlLog.open(postgresql_url, read_only=True)
    yield writer, reader
    await reader.aclose()
    await writer.aclose()


def listeners(url, n, besides=()):
    """Process ids of so many listening connections, none of them among others; waits for them."""
    import psycopg

    query = "select pid from pg_stat_activity where datname = current_database() and query = 'listen twin_log'"
    deadline = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while len(found := {pid for (pid,) in connection.execute(query).fetchall()} - set(besides)) < n:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
    return found


async def test_a_commit_wakes_followers_in_another_process(postgresql_url, writer_and_reader, make):
    writer, reader = writer_and_reader
    await asyncio.to_thread(listeners, postgresql_url, 2)
    following = reader.tail_observations("lot", after=0)
    first = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.1)
    await writer.append(make.observations(2))
    assert [one.position for one in await asyncio.wait_for(first, 20)] == [1, 2]
    await following.aclose()


async def test_followers_are_told_again_after_their_connection_broke(postgresql_url, writer_and_reader, make):
    import psycopg

    writer, reader = writer_and_reader
    before = await asyncio.to_thread(listeners, postgresql_url, 2)
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as pid", [list(before)])
    await asyncio.to_thread(listeners, postgresql_url, 2, before)
    following = reader.tail_observations("lot", after=0)
    first = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.1)
    await writer.append(make.observations(1))
    assert [one.position for one in await asyncio.wait_for(first, 20)] == [1]
    await following.aclose()
