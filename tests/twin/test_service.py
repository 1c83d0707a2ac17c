"""The fusion worker, with a small fold whose facts change if any observation is skipped, doubled or reordered."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from site_models.schema import Datum, Level, Site
from twin.errors import Deposed, FoldMismatch, Overloaded
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, Recorded
from twin.events.facts import GateDecided, VehicleLeft
from twin.events.observations import ClockTicked, FrameObserved, LoopTripped, Personal, TrackletEmbedded
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.service import TICKER, FusionWorker, check, parts

SITE = Site(name="lot", datum=Datum(latitude=0.0, longitude=0.0, bearing_deg=0.0), levels=(Level(id="L0", elevation_m=0.0),))
NOON = 1_767_268_800_000_000


class ChainFold:
    """Its state is a hash over all it has seen; every second observation triggers two facts that name it."""

    site = SITE
    config_hash = "c"

    def __init__(self, version="1"):
        self.version = version
        self.n_steps = 0

    def initial(self):
        return b"start"

    def step(self, state, recorded, personal):
        self.n_steps += 1
        seen = recorded.event.id.encode() + (personal.embedding if personal else b"")
        state = hashlib.sha256(state + seen).digest()
        facts = (
            FactEvent(
                site="lot",
                fold_version=self.version,
                cause=recorded.position,
                ordinal=ordinal,
                occurred_at=recorded.event.occurred_at,
                payload=VehicleLeft(vehicle=state.hex(), portal="exit"),
            )
            for ordinal in range(2)
        )
        return state, tuple(facts) if recorded.position % 2 == 0 else ()

    def pack(self, state):
        return state

    def unpack(self, body):
        return body


def frames(first, last, *, device="c1"):
    return [
        ObservationEvent(
            site="lot",
            key=DeviceKey(device=device, boot_epoch=1, sequence=sequence),
            occurred_at=NOON + sequence,
            payload=FrameObserved(camera="c1", frame_px=(1, 1), detector="d", clock="ntp"),
        )
        for sequence in range(first, last + 1)
    ]


async def facts_of(log):
    return [to_json(one.event) for one in await log.facts("lot", limit=10**6)]


async def folded_at_once(log):
    fold, facts = ChainFold(), []
    state = fold.initial()
    for recorded in await log.observations("lot", limit=10**6):
        state, some = fold.step(state, recorded, None)
        facts += some
    return [to_json(fact) for fact in facts]


def worker_of(log, *, keys=None, fold=None, worker_id="w", **given):
    given = {"clock": lambda: NOON, "clock_ticks": False, "batch_size": 4, "snapshot_every": 10, **given}
    return FusionWorker(log, keys or MemoryKeyRing(), fold or ChainFold(), worker_id=worker_id, **given)


@asynccontextmanager
async def running(worker):
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await asyncio.wait([task], timeout=20)
    assert task.done(), "the worker did not stop"
    task.result()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a counter has no event to wait for
            await asyncio.sleep(0.001)


async def test_a_worker_folds_what_is_there_and_what_comes():
    log = MemoryLog()
    await log.append(frames(1, 9))
    worker = worker_of(log)
    async with running(worker):
        await until(lambda: worker.cursor == 9)
        await log.append(frames(10, 21))
        await until(lambda: worker.cursor == 21)
    assert await facts_of(log) == await folded_at_once(log)
    assert (worker.counters.observations, worker.counters.facts, worker.counters.lag) == (21, 20, 0)


async def test_a_resumed_worker_starts_from_its_snapshot_and_not_from_the_beginning():
    log = MemoryLog()
    await log.append(frames(1, 40))
    first = worker_of(log)
    async with running(first):
        await until(lambda: first.cursor == 40 and first.counters.snapshots == 1)
    await log.append(frames(41, 43))
    fold = ChainFold()
    second = worker_of(log, fold=fold)
    async with running(second):
        await until(lambda: second.cursor == 43)
    assert fold.n_steps == 3
    assert await facts_of(log) == await folded_at_once(log)


async def test_a_snapshot_of_another_version_or_configuration_is_not_used(caplog):
    log = MemoryLog()
    await log.append(frames(1, 40))
    first = worker_of(log)
    async with running(first):
        await until(lambda: first.counters.snapshots == 1)
    assert not caplog.records
    fold = ChainFold(version="2")
    second = worker_of(log, fold=fold)
    async with running(second):
        await until(lambda: second.cursor == 40)
    assert fold.n_steps == 40
    assert "facts up to 40 were made by fold version 1, this is 2" in caplog.text


async def test_old_snapshots_are_dropped():
    log = MemoryLog()
    worker = worker_of(log, snapshot_every=5)
    async with running(worker):
        for first in range(1, 100, 5):
            await log.append(frames(first, first + 4))
            await until(lambda last=first + 4: worker.cursor == last and worker.counters.snapshots == last // 5)
    kept = await log.load_snapshots("lot", "fusion", "1:c", until_position=10**6, limit=100)
    assert [one.position for one in kept] == [100, 95, 90, 85]


class Crash(Exception):
    """The process dies here."""


class CrashingLog(MemoryLog):
    """Dies at given calls that write, before or after they took effect."""

    def __init__(self):
        super().__init__()
        self.crash_in = None  # (number of writes to go, whether it has taken effect)

    async def _write(self, write):
        if self.crash_in is None:
            return await write
        n_left, has_effect = self.crash_in
        self.crash_in = (n_left - 1, has_effect)
        if n_left == 0 and not has_effect:
            write.close()
            raise Crash
        answer = await write
        if n_left == 0:
            raise Crash
        return answer

    async def acquire(self, site, worker):
        return await self._write(super().acquire(site, worker))

    async def commit(self, commit):
        return await self._write(super().commit(commit))

    async def save_snapshot(self, snapshot):
        # A crash in this task does not end the worker; what matters is whether the snapshot is there.
        await self._write(super().save_snapshot(snapshot))


crashes = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=5)


@settings(max_examples=40, deadline=None)
@given(crashes=crashes, batch_size=st.integers(1, 7), snapshot_every=st.integers(1, 20))
async def test_killed_at_any_write_and_resumed_the_fact_log_is_the_same(crashes, batch_size, snapshot_every):
    log = CrashingLog()
    await log.append(frames(1, 30))
    for number, crash in enumerate([*crashes, None]):
        log.crash_in = crash
        worker = worker_of(log, batch_size=batch_size, snapshot_every=snapshot_every, worker_id=f"w{number}")
        task = asyncio.create_task(worker.run())
        await until(lambda worker=worker, task=task: worker.cursor == 30 or task.done())
        worker.stop()
        await asyncio.wait([task])
        assert task.exception() is None or isinstance(task.exception(), Crash)
    assert (await log.heads("lot")).cursor == 30
    assert await facts_of(log) == await folded_at_once(log)


async def test_a_deposed_worker_ends_with_that_error_and_writes_nothing_more():
    log = MemoryLog()
    old, new = worker_of(log, worker_id="old"), worker_of(log, worker_id="new")
    old_task = asyncio.create_task(old.run())
    await log.append(frames(1, 2))
    await until(lambda: old.cursor == 2)
    async with running(new):
        await until(lambda: new.cursor == 2)
        await log.append(frames(3, 12))
        await until(lambda: new.cursor == 12)
    with pytest.raises(Deposed, match="'old'"):
        await asyncio.wait_for(old_task, 20)
    assert await facts_of(log) == await folded_at_once(log)


async def test_two_workers_that_take_turns_leave_one_fact_log(tmp_path):
    log = SqlLog.open(tmp_path / "log.db")
    workers = []
    for turn in range(6):
        workers.append(asyncio.create_task(worker_of(log, worker_id=f"w{turn}").run()))
        await log.append(frames(1 + turn * 10, 10 + turn * 10))
        await asyncio.sleep(0.002 * turn)
    last = worker_of(log, worker_id="last")
    async with running(last):
        await until(lambda: last.cursor == 60)
    assert await facts_of(log) == await folded_at_once(log)
    await log.aclose()
    for outcome in await asyncio.gather(*workers, return_exceptions=True):
        assert outcome is None or isinstance(outcome, Deposed)


async def test_a_worker_ends_when_the_log_closes():
    log = MemoryLog()
    task = asyncio.create_task(worker_of(log).run())
    await asyncio.sleep(0.01)
    await log.aclose()
    await asyncio.wait_for(task, 20)


async def test_the_workers_clock_is_in_the_log_under_its_fencing_token():
    log, times = MemoryLog(), iter([NOON, NOON - 9, NOON + 5, *range(NOON + 6, NOON + 10**6)])
    worker = worker_of(log, clock=lambda: next(times), clock_ticks=True, tick_interval_s=0.001)
    await log.acquire("lot", "earlier")
    async with running(worker):
        await until(lambda: worker.counters.ticks >= 4)
    events = [one.event for one in await log.observations("lot")][:4]
    assert [event.payload for event in events] == [ClockTicked(worker="w")] * 4
    assert [event.key for event in events] == [DeviceKey(device=TICKER, boot_epoch=2, sequence=n) for n in (1, 2, 3, 4)]
    assert [event.occurred_at - NOON for event in events] == [0, 0, 5, 6]


async def test_a_worker_that_lags_skips_ticks_until_it_has_caught_up():
    class SlowLog(MemoryLog):
        gate = asyncio.Event()

        async def commit(self, commit):
            await self.gate.wait()
            return await super().commit(commit)

    log = SlowLog()
    worker = worker_of(log, clock_ticks=True, tick_interval_s=0.001, batch_size=3)
    async with running(worker):
        await until(lambda: worker.counters.skipped_ticks >= 5)
        assert (await log.heads("lot")).observations == 4  # the one that made the lag larger than a batch
        log.gate.set()
        await until(lambda: worker.counters.ticks > 8)


async def test_a_full_writer_is_tried_again_and_nothing_is_lost():
    class FullLog(MemoryLog):
        n_refusals = 2

        async def commit(self, commit: FoldCommit):
            if self.n_refusals:
                self.n_refusals -= 1
                raise Overloaded("full")
            return await super().commit(commit)

    log = FullLog()
    await log.append(frames(1, 6))
    worker = worker_of(log)
    async with running(worker):
        await until(lambda: worker.cursor == 6)
    assert await facts_of(log) == await folded_at_once(log)


async def test_personal_fields_reach_the_fold_until_they_are_erased():
    class Looks(ChainFold):
        def __init__(self):
            super().__init__()
            self.seen = []

        def step(self, state, recorded, personal):
            self.seen.append(personal)
            return super().step(state, recorded, personal)

    keys, personal = MemoryKeyRing(), Personal(embedding=b"look")
    log = SealingLog(MemoryLog(), keys)
    payload = TrackletEmbedded(
        camera="c", tracklet="t1", kind="car", embedder="e", box_px=(0, 0, 1, 1), quality=1.0, personal=personal
    )
    await log.append([frames(1, 1)[0], replace(frames(2, 2)[0], payload=payload)])
    seen = []
    for _ in range(2):
        fold = Looks()
        worker = worker_of(log, keys=keys, fold=fold)
        async with running(worker):
            await until(lambda worker=worker: worker.cursor == 2)
        seen.append(fold.seen)
        await keys.destroy("lot", "t1")
    assert seen == [[None, personal], [None, None]]


async def test_check_accepts_what_the_same_fold_wrote():
    log = MemoryLog()
    await log.append(frames(1, 9))
    worker = worker_of(log)
    async with running(worker):
        await until(lambda: worker.cursor == 9)
    await log.append(frames(10, 12))  # not folded yet: no fact is missing
    told = []
    report = await check(log, MemoryKeyRing(), ChainFold(), lambda n_folded, n_all: told.append((n_folded, n_all)))
    assert (report.observations, report.facts) == (9, 8)
    assert told == [(n, 9) for n in range(1, 10)]


@pytest.mark.parametrize(
    ("change", "position"),
    [
        (lambda facts: facts[:-1], 4),
        (lambda facts: [*facts, replace(facts[-1], ordinal=7)], 5),
        (lambda facts: [facts[0], replace(facts[1], payload=VehicleLeft(vehicle="v", portal="exit")), *facts[2:]], 2),
        (lambda facts: [replace(facts[0], occurred_at=1), *facts[1:]], 1),
        (lambda facts: [facts[1], facts[0], *facts[2:]], 1),
        (lambda facts: [replace(fact, fold_version="0") for fact in facts], 1),
    ],
)
async def test_check_names_the_first_fact_that_differs(change, position):
    log, fold, facts = MemoryLog(), ChainFold(), []
    await log.append(frames(1, 4))
    state = fold.initial()
    for recorded in await log.observations("lot"):
        state, some = fold.step(state, recorded, None)
        facts += some
    token = await log.acquire("lot", "w")
    await log.commit(FoldCommit(token=token, after=0, cursor=4, facts=tuple(change(facts))))
    with pytest.raises(FoldMismatch, match=f"^fact {position} "):
        await check(log, MemoryKeyRing(), ChainFold())


class GateFold(ChainFold):
    """Answers questions at gates, and nothing else."""

    def step(self, state, recorded, personal):
        if not isinstance(recorded.event.payload, LoopTripped):
            return state, ()
        decided = GateDecided(
            decision="d",
            portal="exit",
            answer="ask",
            reasons=("stale",),
            confidence=1.0,
            expires_at=NOON,
            as_of_at=None,
            asked=recorded.event.id,
        )
        made = {"site": "lot", "fold_version": "1", "cause": recorded.position, "ordinal": 0, "occurred_at": NOON}
        return state, (FactEvent(**made, payload=decided),)


async def test_an_answer_at_a_gate_is_timed_from_its_questions_commit():
    now, took = NOON, []
    log = MemoryLog(clock=lambda: now)
    question = replace(frames(2, 2)[0], payload=LoopTripped(portal="exit"))
    await log.append([*frames(1, 1), question, *frames(3, 4)])
    now += 250_000  # nobody folded meanwhile
    worker = worker_of(log, fold=GateFold(), clock=lambda: now, gate_answered=took.append)
    async with running(worker):
        await until(lambda: worker.cursor == 4)
    assert took == [0.25]


@given(st.lists(st.booleans()), st.integers(1, 7))
def test_a_transaction_ends_with_a_question_at_a_gate_and_all_are_the_whole(asks, most):
    frame, loop = frames(1, 1)[0], LoopTripped(portal="exit")
    events = [replace(frame, payload=loop) if is_asked else frame for is_asked in asks]
    batch = [Recorded(position=n, recorded_at=n, event=event) for n, event in enumerate(events, 1)]
    made = list(parts(batch, most))
    assert [one for part in made for one in part] == batch
    assert all(0 < len(part) <= most for part in made)
    assert not any(isinstance(one.event.payload, LoopTripped) for part in made for one in part[:-1])
