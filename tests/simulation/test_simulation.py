"""The simulation itself: time that jumps, faults from a seed, checks that see what is wrong."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from twin.evaluation.proofs import part
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.facts import (
    IdentitiesMerged,
    PortalCrossed,
    SessionClosed,
    SessionOpened,
    StallChanged,
    VehicleConfirmed,
    VehicleLeft,
    VehicleMoved,
)
from twin.events.observations import ClockTicked
from twin.log.memory import MemoryLog
from twin.projections.naive import net_of

ROOT = Path(__file__).parents[2]
loop, invariants, world = part("sim.loop"), part("sim.invariants"), part("sim.world")
standing = part("sim.net_facts").standing


def test_an_hour_passes_at_once():
    async def main(running):
        await asyncio.gather(asyncio.sleep(3_600), asyncio.sleep(10))
        return running.time()

    assert loop.run(main) == pytest.approx(3_600)


def test_a_thread_s_work_is_done_in_the_loop_after_the_disk_s_time():
    async def main(running):
        done = await asyncio.to_thread(running.time)
        return done, running.time()

    assert loop.run(main, lambda: 0.25) == (pytest.approx(0.25), pytest.approx(0.25))


def test_what_waits_for_nothing_is_named():
    async def main(running):
        running.create_task(asyncio.Event().wait(), name="the one that waits")
        await asyncio.Event().wait()

    with pytest.raises(loop.Deadlock, match="the one that waits"):
        loop.run(main)


def test_what_goes_round_at_one_moment_for_ever_is_named(monkeypatch):
    async def round_and_round():
        for _ in itertools.count():  # as a sweep that deletes nothing and is never done
            await asyncio.sleep(0)

    async def main(running):
        running.create_task(round_and_round(), name="the one that goes round")
        await asyncio.sleep(10)

    monkeypatch.setattr(loop, "MOST_AT_ONCE", 2_000)
    with pytest.raises(loop.Livelock, match=r"after 0.0 s time stands still.*the one that goes round"):
        loop.run(main)


async def endless_sweep(log, site):
    for _ in itertools.count():
        await asyncio.sleep(0)


def test_a_run_whose_retention_never_ends_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(loop, "MOST_AT_ONCE", 5_000)
    monkeypatch.setattr(MemoryLog, "sweep", endless_sweep)
    assert "Livelock" in world.run(33).wrong


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_gives_the_same_run_in_any_process(seed):
    code = "import sys; from twin.evaluation.proofs import part; print(part('sim.world').run(int(sys.argv[1])).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(seed)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            timeout=100,
        ).stdout
        for hash_seed in ("0", "77")
    }
    assert digests == {world.run(seed).digest + "\n"}


def test_runs_differ_and_have_crashes_and_facts():
    ended = [world.run(seed) for seed in range(3, 6)]
    assert [one.wrong for one in ended] == [None] * 3
    assert len({one.digest for one in ended}) == 3
    assert sum(one.n_lives for one in ended) > 3
    assert all(one.n_facts > 20 for one in ended)
    assert any(one.n_cut > 0 for one in ended)
    assert any(one.n_thinned > 0 for one in ended), "one that is on SQLite"


def test_a_run_in_memory_whose_movement_is_cut_breaks_nothing():
    ended = world.run(33)
    assert ended.wrong is None
    assert ended.n_thinned > 0


def key(sequence):
    return DeviceKey(device="cam", boot_epoch=1, sequence=sequence)


def seen(position, sequence, *, recorded_at=5):
    event = ObservationEvent(site="s", key=key(sequence), occurred_at=sequence, payload=ClockTicked(worker="w"))
    return RecordedObservation(position=position, recorded_at=recorded_at, event=event)


@pytest.mark.parametrize(
    ("log", "what"),
    [
        ([seen(1, 1), seen(3, 2)], "observation 3 follows 1"),
        ([seen(1, 1), seen(2, 1)], "stored at 1 and 2"),
        ([seen(1, 1), seen(2, 2, recorded_at=4)], "recorded before the one before it"),
        ([seen(1, 9)], "not what"),
    ],
)
def test_an_observation_log_that_breaks_a_promise_is_seen(log, what):
    produced = {key(9): ObservationEvent(site="s", key=key(9), occurred_at=8, payload=ClockTicked(worker="w"))}
    *before, last = log
    checks = invariants.Observations(produced)
    for one in before:
        checks.check(one)
    with pytest.raises(invariants.Violation, match=what):
        checks.check(last)


def confirmed(vehicle="v"):
    return VehicleConfirmed(vehicle=vehicle, kind="car", level="g", position_m=(0.0, 0.0), covariance_m2=(1.0, 0.0, 1.0))


def moved(vehicle="v"):
    return VehicleMoved(
        vehicle=vehicle, level="g", position_m=(0.0, 0.0), covariance_m2=(1.0, 0.0, 1.0), velocity_mps=(0.0, 0.0)
    )


def parked(stall):
    return StallChanged(stall=stall, state="occupied", vehicle="v")


def crossed(direction="in", vehicle="v"):
    return PortalCrossed(vehicle=vehicle, portal="gate", direction=direction, position_m=(0.0, 0.0), speed_mps=1.0)


def opened(evidence, at, vehicle="v", session="s1"):
    given = {"portal": "gate", "entry_at": at, "confidence": 1.0, "evidence": (evidence,)}
    return SessionOpened(session=session, vehicle=vehicle, **given)


def closed(evidence, entry_at, exit_at, vehicle="v"):
    given = {"portal": "gate", "entry_at": entry_at, "exit_at": exit_at, "confidence": 1.0, "evidence": (evidence,)}
    return SessionClosed(session="s1", vehicle=vehicle, **given)


def fact_id(cause, ordinal):
    return FactEvent(site="s", fold_version="1", cause=cause, ordinal=ordinal, occurred_at=0, payload=moved()).id


def facts(*causes, skip=0):
    """Facts of causes 1, 2, …, each a tuple of payloads; all of a cause occur at its number."""
    log, position = [], skip
    for cause, payloads in enumerate(causes, 1):
        for ordinal, payload in enumerate(payloads):
            position += 1
            event = FactEvent(site="s", fold_version="1", cause=cause, ordinal=ordinal, occurred_at=cause, payload=payload)
            log.append(RecordedFact(position=position, recorded_at=0, event=event))
    return log


ENTRY = (crossed(), opened(fact_id(2, 0), 2))


@pytest.mark.parametrize(
    "log",
    [
        facts((confirmed(),), ENTRY, (crossed("out"), closed(fact_id(3, 0), 2, 3), VehicleLeft(vehicle="v", portal="gate"))),
        facts((confirmed(),), ENTRY, (crossed(),)),
        facts(
            (confirmed(),), (StallChanged(stall="a", state="occupied", vehicle="v"),), (StallChanged(stall="a", state="free"),)
        ),
    ],
)
def test_facts_as_they_should_be_pass(log):
    checks = invariants.Facts(frozenset({"gate"}))
    for fact in log:
        checks.check(fact, 9)
    checks.end_of_cause()


def found_out(by):
    """Two vehicles of which the second is found to be the first, and what confirmed it is superseded by a fact of that."""
    log = facts((confirmed(),), (confirmed("w"), moved("w")), (by, moved()))
    merge = replace(log[3], event=replace(log[3].event, supersedes=(log[1].event.id,)))
    return [*log[:3], merge, log[4]]


def test_a_name_that_is_found_to_be_another_s_takes_back_what_confirmed_it():
    checks = invariants.Facts(frozenset({"gate"}))
    log = found_out(IdentitiesMerged(vehicle="v", merged="w"))
    for fact in log:
        checks.check(fact, 9)
    checks.end_of_cause()
    assert standing(net_of(log)).gone == {"w"}


@pytest.mark.parametrize("by", [moved(), IdentitiesMerged(vehicle="v", merged="w", decision="d" * 32)])
def test_nothing_else_takes_a_confirmation_back(by):
    checks = invariants.Facts(frozenset({"gate"}))
    for fact in found_out(by):
        checks.check(fact, 9)
    with pytest.raises(invariants.Violation, match="nothing late was to be fused"):
        checks.end_of_cause()


@pytest.mark.parametrize(
    ("log", "what"),
    [
        (facts((confirmed(),), skip=1), "fact 2 follows 0"),
        (facts((moved(),)), "never confirmed"),
        (facts((confirmed(), confirmed())), "confirms v again"),
        (facts((confirmed(),), (VehicleLeft(vehicle="v", portal="gate"),), (moved(),)), "which had left"),
        (facts((confirmed(),), (crossed(),), (moved(),)), "did nothing to any stay"),
        (facts((confirmed(),), (opened("x" * 32, 2),)), "rests on 0 crossings"),
        (facts((confirmed(),), (crossed(), opened(fact_id(2, 0), 1))), "opened at 2 says 1"),
        (facts((confirmed(), confirmed("w")), (crossed(), opened(fact_id(2, 0), 2, vehicle="w"))), "its crossing of another"),
        (facts((confirmed(),), (crossed("out"), closed(fact_id(2, 0), 1, 2))), "which has none"),
        (facts((confirmed(),), ENTRY, (crossed("out"), closed(fact_id(3, 0), 1, 3))), "another entry time"),
        (facts((confirmed(),), ENTRY, (crossed("out"), closed(fact_id(3, 0), 2, 9))), "nothing says so"),
        (facts((confirmed(),), ENTRY, (crossed("out"), closed(fact_id(3, 0), 2, 1))), "a stay of -1 us"),
        (
            facts(
                (confirmed(),), tuple(StallChanged(stall=stall, state="occupied", vehicle="v") for stall in "ab"), (moved(),)
            ),
            "in two stalls",
        ),
        (facts((confirmed(),), (StallChanged(stall="a", state="free", vehicle="v"),)), "in a stall that is free"),
    ],
)
def test_a_fact_log_that_breaks_a_promise_is_seen(log, what):
    *before, last = log
    checks = invariants.Facts(frozenset({"gate"}))
    for fact in before:
        checks.check(fact, 9)
    with pytest.raises(invariants.Violation, match=what):
        checks.check(last, 9)
