"""What retention cuts, in every adapter: what is gone is said to be gone, and nothing comes in twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from twin.errors import BadInput, Conflict, Cut, DamagedLog, NotFound
from twin.events.envelope import FactEvent
from twin.events.facts import VehicleMoved
from twin.feeds.subscriptions import Subscriptions
from twin.log.backup import make_backup, restore_backup
from twin.log.chain import exported, imported
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit, Heads, Outcome, Receipt
from twin.log.sql import SqlLog, cutting, transaction
from twin.log.sql.subscriptions import SqlSubscriptions
from twin.log.sql.verify import verify
from twin.log.subscriptions import Filter

MOVED, N = "vehicle.moved.v1", 40
EXPIRED = Receipt(outcome=Outcome.EXPIRED, position=0)


def moved(make, cause, *, supersedes=()):
    payload = VehicleMoved(
        vehicle="v1", level="g", position_m=(1.0, float(cause)), covariance_m2=(1.0, 0.0, 1.0), velocity_mps=(0.0, 0.0)
    )
    return FactEvent(
        site=make.site,
        fold_version="1",
        cause=cause,
        ordinal=0,
        occurred_at=cause,
        payload=payload,
        supersedes=tuple(supersedes),
    )


async def fill(log, make, clock, events=None):
    """40 observations, each with one fact, folded ten at a time: a movement, but every fifth one is a stall's."""
    events = make.observations(N) if events is None else events
    token = await log.acquire("lot", "w")
    for start in range(0, N, 10):
        clock.at += 1_000_000
        await log.append(events[start : start + 10])
        facts = tuple(make.fact(one, at=one) if one % 5 == 0 else moved(make, one) for one in range(start + 1, start + 11))
        await log.commit(FoldCommit(token=token, after=start, cursor=start + 10, facts=facts))
    return events


async def cut(log, until=25):
    return await log.cut_observations("lot", until=until, version="1:c", state=b"state")


async def test_observations_begin_after_the_anchor_and_asking_for_earlier_ones_is_refused(log, make, clock):
    events = await fill(log, make, clock)
    cuts = await cut(log)
    assert (cuts.observations, cuts.movement, cuts.number) == (25, 0, 1)
    assert (cuts.anchor.state, cuts.anchor.version, cuts.anchor.facts) == (b"state", "1:c", 25)
    assert [one.event for one in await log.observations("lot", after=25)] == events[25:]
    for after in (0, 24):
        with pytest.raises(Cut, match=f"observations {after + 1} to 25 of site 'lot' were cut"):
            await log.observations("lot", after=after)
    with pytest.raises(Cut):
        await anext(log.tail_observations("lot", after=3))
    assert await log.heads("lot") == Heads(observations=N, facts=N, cursor=N)
    assert await log.cuts("lot") == cuts


async def test_what_is_cut_of_a_device_is_refused_as_expired_and_the_rest_as_before(log, make, clock):
    events = await fill(log, make, clock)
    await cut(log)
    assert await log.append([events[0], events[24], make.observation(1, score=0.9)]) == [EXPIRED] * 3
    assert await log.append([events[25]]) == [Receipt(outcome=Outcome.DUPLICATE, position=26)]
    assert (await log.append([make.observation(26, score=0.9)]))[0].outcome is Outcome.REFUSED
    assert await log.append([make.observation(41)]) == [Receipt(outcome=Outcome.STORED, position=41)]
    assert (await log.append([make.observation(1, epoch=2)]))[0].outcome is Outcome.STORED
    assert (await log.append([make.observation(1, device="other")]))[0].outcome is Outcome.STORED


async def test_a_sequence_that_never_came_before_the_cut_may_still_come(log, make, clock):
    events = [make.observation(sequence) for sequence in [*range(1, 10), *range(11, N + 2)]]
    await fill(log, make, clock, events)
    await cut(log)
    assert (await log.append([make.observation(10)]))[0].outcome is Outcome.STORED
    assert (await log.append([make.observation(10)]))[0].outcome is Outcome.DUPLICATE


async def test_the_log_goes_on_after_everything_was_cut(log, make, clock):
    await fill(log, make, clock)
    await cut(log, N)
    assert await log.sites() == ["lot"]
    assert (await log.append([make.observation(N + 1)]))[0].position == N + 1
    token = await log.acquire("lot", "w")
    await log.commit(FoldCommit(token=token, after=N, cursor=N + 1, facts=(make.fact(N + 1),)))
    assert [one.position for one in await log.observations("lot", after=N)] == [N + 1]


async def test_what_is_not_folded_is_not_cut(log, make, clock):
    await fill(log, make, clock)
    await log.append([make.observation(N + 1)])
    with pytest.raises(BadInput, match="folded up to 40; 41 cannot be an anchor"):
        await cut(log, N + 1)


async def test_cutting_again_at_or_before_the_anchor_changes_nothing(log, make, clock):
    await fill(log, make, clock)
    cuts = await cut(log)
    assert await cut(log, 25) == cuts
    assert await cut(log, 3) == cuts
    assert (await cut(log, 30)).number == 2


async def test_movement_is_taken_and_every_other_fact_stays_at_its_position(log, make, clock):
    await fill(log, make, clock)
    await cut(log)
    cuts = await log.cut_facts("lot", until=20, from_at=20, left=[19])
    assert (cuts.movement, cuts.thinning.from_at, cuts.thinning.left) == (20, 20, (19,))
    kept = [5, 10, 15, 19, *range(20, N + 1)]
    assert [one.position for one in await log.facts("lot", thinned=True)] == kept
    assert [one.position for one in await log.facts("lot", types=["stall.changed.v1"])] == list(range(5, N + 1, 5))
    assert [one.position for one in await log.facts("lot", after=20)] == list(range(21, N + 1))
    for types in ((), (MOVED,)):
        with pytest.raises(Cut, match="movement facts 8 to 20"):
            await log.facts("lot", after=7, types=types)
    with pytest.raises(Cut, match="fact 7 of site 'lot' was a movement"):
        await log.facts_at("lot", [5, 7])
    with pytest.raises(NotFound):
        await log.facts_at("lot", [N + 1])
    assert [one.position for one in await log.facts_among("lot", [N + 1, 20, 19, 10, 7, 5])] == [5, 10, 19, 20]
    assert [one.position for one in await log.facts_among("lot", [21, 19, 10, 7], types=["stall.changed.v1"])] == [10]
    assert await log.heads("lot") == Heads(observations=N, facts=N, cursor=N)


async def test_movement_of_observations_that_are_kept_is_not_taken(log, make, clock):
    await fill(log, make, clock)
    with pytest.raises(BadInput, match="can be cut up to 0, not 20"):
        await log.cut_facts("lot", until=20, from_at=20, left=[])
    await cut(log, 15)
    with pytest.raises(BadInput, match="can be cut up to 15, not 20"):
        await log.cut_facts("lot", until=20, from_at=20, left=[])


async def test_a_later_cut_takes_what_an_earlier_one_left(log, make, clock):
    await fill(log, make, clock)
    await cut(log, 30)
    await log.cut_facts("lot", until=10, from_at=10, left=[8, 9])
    await log.cut_facts("lot", until=20, from_at=20, left=[9, 19])
    assert [one.position for one in await log.facts("lot", thinned=True, limit=7)] == [5, 9, 10, 15, 19, 20, 21]


async def test_every_adapter_has_the_same_chains_and_digest_of_cuts(log, make, clock):
    events = await fill(log, make, clock)
    await cut(log)
    await log.cut_facts("lot", until=20, from_at=20, left=[19])
    clock.at -= 4_000_000
    other = MemoryLog(clock=clock)
    await fill(other, make, clock, events)
    await cut(other)
    await other.cut_facts("lot", until=20, from_at=20, left=[19])
    assert await log.chain("lot") == await other.chain("lot")
    assert await log.cuts("lot") == await other.cuts("lot")


async def test_a_position_is_found_by_when_it_was_recorded(log, make, clock):
    begin = clock.at
    await fill(log, make, clock)
    assert [await log.observed_at("lot", begin + second * 1_000_000) for second in range(6)] == [0, 10, 20, 30, 40, 40]
    await cut(log)
    assert await log.observed_at("lot", begin) == 25
    assert await log.observed_at("lot", begin + 3_000_000) == 30
    assert await log.observed_at("nowhere", begin) == 0


# SQL only: the chain, subscriptions, kills.


@pytest.fixture
async def path(tmp_path, make, clock, monkeypatch):
    """A log with a mark after each tenth event, of which 25 observations and the movement up to 20 are cut."""
    monkeypatch.setattr(transaction, "MARK_EVERY", 10)
    log = SqlLog.open(tmp_path / "log.db", clock=clock)
    await fill(log, make, clock)
    (tmp_path / "before.json").write_bytes(encoded({"lot": await log.chain("lot")}))
    await cut(log)
    await log.cut_facts("lot", until=20, from_at=20, left=[19])
    (tmp_path / "after.json").write_bytes(encoded({"lot": await log.chain("lot")}))
    await log.aclose()
    return tmp_path / "log.db"


def encoded(heads):
    import msgspec

    return msgspec.json.encode(exported(heads))


def edit(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount >= 1


async def found(path, known=None):
    log = SqlLog.open(path, read_only=True)
    try:
        heads = imported((path.parent / known).read_bytes())["lot"] if known else None
        return [(one.log, one.first, one.last, one.what) for one in (await log.read(verify, "lot", heads)).faults]
    finally:
        await log.aclose()


async def test_a_trimmed_log_is_whole_also_against_heads_that_were_kept_before_and_after(path):
    assert await found(path) == []
    assert await found(path, "before.json") == []
    assert await found(path, "after.json") == []
    await SqlLog.open(path).aclose()


@pytest.mark.parametrize(
    ("statement", "log", "what"),
    [
        ("delete from observations where position = 27", "observations", "missing"),
        ("delete from facts where position = 10", "facts", "kept for good"),
        ("delete from facts where position = 22", "facts", "missing"),
        ("delete from facts where position = 19", "facts", "movement that the cut left"),
        ("update facts set occurred_at = 7 where position = 19", "facts", "movement that the cut left"),
        ("update facts set occurred_at = 7 where position = 5", "facts", "kept for good"),
        (
            "update facts set type = (select number from names where name = 'vehicle.moved.v1') where position = 5",
            "facts",
            "kept for good",
        ),
        ("update facts set position = 3 where position = 19", "facts", "was cut, and is there"),
        ("update observations set position = 3 where position = 40", "observations", "was cut, and is there"),
        ("update cuts set position = 26 where number = 1", "observations", "not what was declared"),
        ("update cuts set body = zeroblob(9) where number = 1", "observations", "what stands for what was cut"),
        ("update cuts set made_at = made_at - 1 where number = 1", "observations", "not what was declared"),
        ("delete from cuts", "observations", "the record of cuts says 0"),
        ("update heads set observations_cut = 30", "observations", "the record of cuts says 25"),
        ("update heads set facts_cut = 0", "facts", "the record of cuts says 20"),
    ],
)
async def test_tampering_after_a_cut_is_found(path, statement, log, what):
    edit(path, statement)
    assert any(one[0] == log and what in one[3] for one in await found(path)), await found(path)


async def test_whoever_takes_a_kept_fact_beside_a_cut_of_his_own_is_found_by_heads_from_before_it(path):
    # He lets the log cut as far as it goes, all digests right, and rewrites the chain over what is kept.
    log = SqlLog.open(path)
    await log.cut_observations("lot", until=N, version="1:c", state=b"forged")
    await log.cut_facts("lot", until=N, from_at=N, left=[])
    await log.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        last = connection.execute("select content, times from chain_marks where log = 'kept' and position = 20").fetchone()
        connection.execute("delete from facts where position > 20")
        connection.execute("delete from chain_marks where log = 'kept' and position >= 20")
        at = connection.execute("select recorded_at from facts where position = 20").fetchone()[0]
        connection.execute("update heads set kept = 20, kept_content = ?, kept_times = ?, kept_recorded_at = ?", (*last, at))
    assert await found(path) == []
    assert await found(path, "before.json") == [("facts", 21, N, "gone: the known head covered them")]


async def test_a_log_with_a_missing_fact_is_not_thinned(path):
    edit(path, "delete from facts where position = 22")
    log = SqlLog.open(path)
    with pytest.raises(DamagedLog, match="facts 22 of site 'lot' is missing"):
        await log.cut_facts("lot", until=25, from_at=25, left=[])
    await log.aclose()


async def test_a_cut_that_is_newer_than_the_known_heads_is_told(path):
    log = SqlLog.open(path)
    await cut(log, 30)
    verified = await log.read(verify, "lot", imported((path.parent / "after.json").read_bytes())["lot"])
    assert verified.faults == ()
    assert [(one.number, one.what, one.position) for one in verified.cuts] == [
        (1, "observations", 25),
        (2, "movement", 20),
        (3, "observations", 30),
    ]
    await log.aclose()


async def test_heads_that_cover_only_what_was_cut_are_refused_as_too_old(tmp_path, make, clock):
    log = SqlLog.open(tmp_path / "log.db", clock=clock)
    await log.append(make.observations(N)[:1])
    known = await log.chain("lot")
    await log.aclose()
    (tmp_path / "old.json").write_bytes(encoded({"lot": known}))
    log = SqlLog.open(tmp_path / "log.db", clock=clock)
    await log.append([make.observation(sequence) for sequence in range(2, N + 1)])
    token = await log.acquire("lot", "w")
    await log.commit(FoldCommit(token=token, after=0, cursor=N))
    await cut(log)
    await log.aclose()
    ((name, first, last, what),) = await found(tmp_path / "log.db", "old.json")
    assert (name, first, last) == ("observations", 1, 1)
    assert "use heads that were exported later" in what


_COLUMNS = {
    "observations": "recorded_at occurred_at type subject boot sequence content_hash payload",
    "facts": "recorded_at occurred_at type subject id_head fold_version cause ordinal supersedes payload",
    "heads": "observations facts observations_content facts_times kept kept_content kept_times kept_recorded_at facts_cut",
    "cuts": "log position made_at recorded_at at content times body_hash body digest",
    "names": "number name",
}
_KEYS = {"names": "number", "observations": "position", "facts": "position"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_edit_of_a_trimmed_log_is_missed(path, data):
    table = data.draw(st.sampled_from(sorted(_COLUMNS)))
    column = data.draw(st.sampled_from(_COLUMNS[table].split()))
    with closing(sqlite3.connect(path)) as connection:
        key = _KEYS.get(table, "rowid")
        rowids = [row for (row,) in connection.execute(f"select {key} from {table} order by 1")]
        rowid = data.draw(st.sampled_from(rowids))
        before = connection.execute(f"select {column} from {table} where {key} = ?", (rowid,)).fetchone()[0]
    after = _changed(before, data)
    try:
        edit(path, f"update {table} set {column} = ? where {key} = ?", after, rowid)
    except sqlite3.IntegrityError:
        reject()
    try:
        assert await found(path) != [], (table, column, rowid, before, after)
    finally:
        edit(path, f"update {table} set {column} = ? where {key} = ?", before, after if column == key else rowid)


def _changed(value, data):
    if value is None or value in ("", b""):
        return b"x" if value == b"" else "x"
    if isinstance(value, int):
        return value ^ (1 << data.draw(st.integers(0, 40)))
    at = data.draw(st.integers(0, len(value) - 1))
    if isinstance(value, str):
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    return value[:at] + bytes([value[at] ^ (1 << data.draw(st.integers(0, 7)))]) + value[at + 1 :]


async def test_a_damaged_log_is_not_cut(tmp_path, make, clock, monkeypatch):
    monkeypatch.setattr(transaction, "MARK_EVERY", 10)
    log = SqlLog.open(tmp_path / "log.db", clock=clock)
    await fill(log, make, clock)
    await log.aclose()
    edit(tmp_path / "log.db", "update observations set subject = 'x' where position = 4")
    log = SqlLog.open(tmp_path / "log.db", clock=clock)
    with pytest.raises(DamagedLog, match="up to 10 are not what was written; nothing is cut"):
        await cut(log)
    assert (await log.cuts("lot")).number == 0
    await log.aclose()


@pytest.mark.parametrize("open_log", ["sqlite", "postgresql"], indirect=True)
async def test_movement_that_a_subscription_has_not_acknowledged_stays(log, lot, make, clock):
    await fill(log, make, clock)
    await cut(log, N)
    subscriptions = Subscriptions(log, SqlSubscriptions(log), lot)
    await subscriptions.put("all", Filter(), after=0)
    await subscriptions.put("stalls", Filter(types=("stall.changed.v1",)), after=0)
    lease = await subscriptions.lease("all")
    await subscriptions.acknowledge("all", lease.number, range(1, 8))
    with pytest.raises(Conflict, match="subscription 'all' of site 'lot' is at position 7"):
        await log.cut_facts("lot", until=8, from_at=8, left=[])
    await log.cut_facts("lot", until=7, from_at=7, left=[])
    with pytest.raises(Cut):
        await subscriptions.replay("all", after=3)
    with pytest.raises(Cut):
        await subscriptions.put("late", Filter(), after=3)
    await subscriptions.put("late-stalls", Filter(types=("stall.changed.v1",)), after=3)
    assert await subscriptions.lag_s(await subscriptions.standing("late-stalls")) > 0
    assert await subscriptions.lag_s(await subscriptions.put("late-stalls", Filter())) is None  # what it takes now is cut
    handed = (await subscriptions.lease("stalls")).handed
    assert [one.fact.position for one in handed] == list(range(5, N + 1, 5))


async def test_a_fact_that_is_no_movement_stays_though_a_cut_was_told_to_leave_it_and_the_next_was_not(log, make, clock):
    await fill(log, make, clock)
    await cut(log, 26)
    await log.cut_facts("lot", until=20, from_at=20, left=[9, 10])
    await log.cut_facts("lot", until=26, from_at=26, left=[])
    stalls = await log.facts("lot", types=["stall.changed.v1"])
    assert [one.position for one in stalls] == list(range(5, N + 1, 5))


async def test_a_trimmed_log_is_backed_up_and_restored_with_its_anchor(path, make, tmp_path):
    make_backup(path, None, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "new" / "log.db", tmp_path / "new" / "crops")
    old, new = SqlLog.open(path, read_only=True), SqlLog.open(tmp_path / "new" / "log.db")
    assert await new.cuts("lot") == await old.cuts("lot")
    assert await new.append([make.observation(1)]) == [EXPIRED]
    assert (await new.read(verify, "lot")).faults == ()
    await old.aclose()
    await new.aclose()


CHILD = """
import asyncio, sys
from twin.log.sql import SqlLog, cutting
cutting.BATCH = 3

async def main():
    log = SqlLog.open(sys.argv[1])
    print("open", flush=True)
    until = int(sys.argv[2])
    await log.cut_observations("lot", until=until, version="1:c", state=b"s%d" % until)
    await log.cut_facts("lot", until=until, from_at=until, left=[until - 1])
    await log.aclose()

asyncio.run(main())
"""


def test_killed_at_any_moment_of_a_trim_the_log_is_whole_and_the_next_one_ends_it(tmp_path, make, clock, monkeypatch):
    path, draw = tmp_path / "log.db", random.Random(4)

    async def filled():
        log = SqlLog.open(path, clock=clock)
        events = await fill(log, make, clock)
        await log.aclose()
        return events

    async def checked(until):
        log = SqlLog.open(path, clock=clock)
        assert (await log.read(verify, "lot")).faults == ()
        made = (await log.cuts("lot")).observations
        assert made <= until
        assert [one.position for one in await log.observations("lot", after=made)] == list(range(made + 1, N + 1))
        assert {one.outcome for one in await log.append(events[:made])} <= {Outcome.EXPIRED}
        assert {one.outcome for one in await log.append(events[made:])} == {Outcome.DUPLICATE}
        stalls = [one.position for one in await log.facts("lot", types=["stall.changed.v1"])]
        assert stalls == list(range(5, N + 1, 5))
        await log.aclose()

    events, n_killed = asyncio.run(filled()), 0
    for until in range(8, 36, 3):
        words = [sys.executable, "-c", CHILD, str(path), str(until)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(draw.random() * 0.03)
            n_killed += child.poll() is None
            os.kill(child.pid, signal.SIGKILL)
        asyncio.run(checked(until))
    assert n_killed > 5

    async def ended():
        log = SqlLog.open(path, clock=clock)
        await cut(log, 36)
        await log.cut_facts("lot", until=36, from_at=36, left=[])
        assert await log.read(cutting.is_to_sweep, "lot") is False
        assert (await log.read(verify, "lot")).faults == ()
        await log.aclose()

    asyncio.run(ended())
