"""From the commit of a question at a gate to the commit of its answer, while twenty cameras deliver (W20) and are fused.

Cameras' frames are simulated before, with default noise, and appended when they would arrive, each by itself; the worker that
the service runs folds them, with its own clock, on SQLite with every commit synced. Questions come at boundaries in turn, as
loops would ask, once the fold has seen some seconds. The reference does all of it but the fold: it answers each question in the
same words, whatever was seen. Sides take turns. How old the newest picture is, from its capture to the commit of the answer
that rests on it, is told apart: it has the cameras' delay and the fold's hold in it.

A machine that is busy with other things is measured with it. So it is told too how long questions would wait for the fold, and
for what comes before them in it, on a core that it has for itself: everything comes when it is due, and takes the processor's
time that its step took.

BENCH_GATE_SECONDS is how long is asked in a repeat (60: the past is first fused again after 15 s, for 15 s), BENCH_GATE_RATE
how often a second (10), BENCH_GATE_STALLS the size of the site (200).
"""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from perception.synthetic.profiles import DEFAULT
from perception.synthetic.simulate import Simulation
from site_models.generate import generate
from site_models.schema import Site, Tariff, TariffId
from twin.errors import BadInput
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent, RecordedObservation
from twin.events.facts import GateDecided
from twin.events.ids import SECOND, DecisionId, DeviceId, EventId, Micros
from twin.events.observations import ClockTicked, LoopTripped, Personal
from twin.log.passing import PassingLog
from twin.log.port import FoldCommit, Log, Receipt
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing
from twin.process import settle_memory
from twin.rules.fold import Fold
from twin.service import FusionWorker

GOAL_MS = 100.0
REPEATS = 5
WARM_UP_S = 5
N_CAMERAS = 20
_START_AT: Micros = (1_767_571_200 + 8 * 3600) * SECOND  # a Monday's rush hour
_WAIT_S = 120.0  # for the last answers
_SAVED_EVERY = 5_000  # observations, by the worker
_TARIFF = Tariff(id=TariffId("t"), version=1, currency="EUR", step_minutes=15, price_minor=60)

_Arrival = tuple[Micros, ObservationEvent]


class Times(NamedTuple):
    """Of one repeat and side, milliseconds: commit to commit; from the newest picture to the answer's commit; and from when a
    question is due until it is folded, on a core of the fold's own."""

    answered_ms: list[float]
    picture_ms: list[float]
    own_core_ms: list[float]


class EchoFold:
    """Answers every question alike, and looks at nothing."""

    version, config_hash = "echo", "echo"

    def __init__(self, site: Site) -> None:
        self.site = site

    def initial(self) -> int:
        """It remembers nothing."""
        return 0

    def step(self, state: int, recorded: RecordedObservation, personal: Personal | None) -> tuple[int, tuple[FactEvent, ...]]:
        """A question's answer; nothing of anything else."""
        event = recorded.event
        if not isinstance(event.payload, LoopTripped):
            return state, ()
        decided = GateDecided(
            decision=DecisionId(event.id),
            portal=event.payload.portal,
            answer="ask",
            reasons=("no_vehicle",),
            confidence=0.0,
            expires_at=event.occurred_at,
            as_of_at=event.occurred_at,
            asked=EventId(event.id),
        )
        fact = FactEvent(
            site=self.site.name,
            fold_version=self.version,
            cause=recorded.position,
            ordinal=0,
            occurred_at=event.occurred_at,
            payload=decided,
        )
        return state, (fact,)

    def pack(self, state: int) -> bytes:
        """No state."""
        return b""

    def unpack(self, body: bytes) -> int:
        """No state."""
        return 0


class TimedLog(PassingLog):
    """Notes when questions and answers were committed."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.asked: dict[EventId, float] = {}
        self.answered: dict[EventId, tuple[float, Micros | None]] = {}

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``."""
        receipts = await super().append(events)
        now = time.perf_counter()
        self.asked |= {event.id: now for event in events if isinstance(event.payload, LoopTripped)}
        return receipts

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        position = await super().commit(commit)
        now = time.perf_counter()
        decided = (fact.payload for fact in commit.facts if isinstance(fact.payload, GateDecided))
        self.answered |= {one.asked: (now, one.as_of_at) for one in decided}
        return position


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; milliseconds of all answers together, and of each repeat's the median."""
    seconds, rate, n_stalls = (_asked(*one) for one in (("SECONDS", 60), ("RATE", 10), ("STALLS", 200)))
    made = generate(n_cameras=N_CAMERAS, n_stalls=n_stalls, n_levels=1, overlap=0.2, seed=1)
    site = replace(made, tariffs=(_TARIFF,))
    found: dict[str, list[Times]] = {"ours": [], "reference": []}
    for number in range(repeats):
        arrivals = _arrivals(site, number + 1, WARM_UP_S + seconds)
        settle_memory()  # as the service does; what was made before is not its
        for side, fold in (("ours", Fold(site)), ("reference", EchoFold(site))):
            found[side].append(_measured(site, fold, arrivals, seconds, rate))
    ours, reference = (_told(found[side]) for side in ("ours", "reference"))
    return {
        "schema": "twin.bench/1",
        "workload": f"W20: {N_CAMERAS} cameras x 10 fps, {n_stalls} stalls; {rate} questions/s; goal p99 {GOAL_MS:g} ms",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, SQLite {sqlite3.sqlite_version}",
        "ours": ours,
        "reference": reference,
        "ratio": {name: round(ours[name] / reference[name], 3) for name in ("p50_ms", "p99_ms")},
        "repeats": repeats,
    }


def _arrivals(site: Site, seed: int, seconds: int) -> list[_Arrival]:
    end_at = _START_AT + seconds * SECOND
    arrivals = Simulation(site, seed, DEFAULT, _START_AT, ticks=False).events(end_at)
    return [one for one in arrivals if one[0] < end_at]


def _measured(site: Site, fold: Any, arrivals: Sequence[_Arrival], seconds: int, rate: int) -> Times:
    own_core_ms = _on_its_own_core(fold, [*arrivals, *_questions(site, seconds * rate, rate)])
    with tempfile.TemporaryDirectory(prefix="bench-gate-") as folder:
        times = asyncio.run(_played(site, fold, arrivals, seconds * rate, rate, Path(folder) / "log.db"))
    return times._replace(own_core_ms=own_core_ms)


def _on_its_own_core(fold: Any, due: Sequence[_Arrival]) -> list[float]:
    """First come, first served, with the worker's clock and its saved states; commits are left out."""
    ordered = sorted([*due, *_clock(fold.site, due)], key=lambda one: one[0])
    state, free_s, waits = fold.initial(), 0.0, list[float]()
    for position, (due_at, event) in enumerate(ordered, 1):
        recorded = RecordedObservation(position=position, recorded_at=due_at, event=event)
        started = time.thread_time()
        state, _ = fold.step(state, recorded, getattr(event.payload, "personal", None))
        took_s, due_s = time.thread_time() - started, (due_at - _START_AT) / SECOND
        free_s = max(free_s, due_s) + took_s
        if isinstance(event.payload, LoopTripped):
            waits.append((free_s - due_s) * 1000)
        if position % _SAVED_EVERY == 0:
            started = time.thread_time()
            fold.pack(state)
            free_s += time.thread_time() - started
    return waits


def _clock(site: Site, due: Sequence[_Arrival]) -> list[_Arrival]:
    ticks = range(_START_AT, max(at for at, _ in due), SECOND // 10)
    keys = (DeviceKey(device=DeviceId("clock"), boot_epoch=1, sequence=n) for n in range(1, len(ticks) + 1))
    payload = ClockTicked(worker="bench")
    return [
        (at, ObservationEvent(site=site.name, key=key, occurred_at=at, payload=payload))
        for at, key in zip(ticks, keys, strict=True)
    ]


async def _played(site: Site, fold: Any, arrivals: Sequence[_Arrival], n_asked: int, rate: int, path: Path) -> Times:
    sql = SqlLog.open(path)
    keys = SqlKeyRing(sql)
    log = TimedLog(SealingLog(sql, keys))
    started = time.perf_counter()

    def now_at() -> Micros:
        return _START_AT + round((time.perf_counter() - started) * SECOND)

    worker = FusionWorker(log, keys, fold, worker_id="bench", clock=now_at)
    running = asyncio.create_task(worker.run())
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_deliver(log, arrivals, now_at, group))
            group.create_task(_ask(log, site, n_asked, rate, now_at))
        async with asyncio.timeout(_WAIT_S):
            while len(log.answered) < n_asked:  # noqa: ASYNC110 - the log has no event for it
                await asyncio.sleep(0.05)
    finally:
        worker.stop()
        await running
        await log.aclose()
    return _times(log, started)


async def _deliver(log: Log, arrivals: Sequence[_Arrival], now_at: Any, group: asyncio.TaskGroup) -> None:
    """Append each observation when it arrives, and do not wait for it before the next."""
    for arrival_at, event in arrivals:
        await asyncio.sleep(max(0.0, (arrival_at - now_at()) / SECOND))
        group.create_task(log.append([event]))
    await asyncio.sleep(0)


async def _ask(log: Log, site: Site, n_asked: int, rate: int, now_at: Any) -> None:
    for due_at, event in _questions(site, n_asked, rate):
        await asyncio.sleep(max(0.0, (due_at - now_at()) / SECOND))
        await log.append([replace(event, occurred_at=now_at())])


def _questions(site: Site, n_asked: int, rate: int) -> Iterator[_Arrival]:
    gates = [portal for portal in site.portals if portal.role == "boundary"]
    for number in range(n_asked):
        due_at = _START_AT + WARM_UP_S * SECOND + number * SECOND // rate
        portal = gates[number % len(gates)]
        direction = "out" if number // len(gates) % 2 else "in"
        payload = LoopTripped(portal=portal.id, direction=direction if portal.direction == "both" else None)
        key = DeviceKey(device=DeviceId("loops"), boot_epoch=1, sequence=number + 1)
        yield due_at, ObservationEvent(site=site.name, key=key, occurred_at=due_at, payload=payload)


def _times(log: TimedLog, started: float) -> Times:
    answered = [(log.answered[name][0] - asked) * 1000 for name, asked in log.asked.items()]
    ages = [
        (at - started) * 1000 - (seen_at - _START_AT) / 1000 for at, seen_at in log.answered.values() if seen_at is not None
    ]
    return Times(answered, ages, [])


def _told(repeats: Sequence[Times]) -> dict[str, Any]:
    """Answers of all repeats together; of each repeat's p99, the median."""
    answered = [one for times in repeats for one in times.answered_ms]
    ages = [one for times in repeats for one in times.picture_ms]
    p50, p99 = _quantiles(answered)
    picture_p50, picture_p99 = _quantiles(ages)
    own_p50, own_p99 = _quantiles([one for times in repeats for one in times.own_core_ms])
    return {
        "n": len(answered),
        "p50_ms": p50,
        "p99_ms": p99,
        "p99_ms_of_the_median_repeat": round(statistics.median(_quantiles(one.answered_ms)[1] for one in repeats), 2),
        "own_core_p50_ms": own_p50,
        "own_core_p99_ms": own_p99,
        "camera_to_commit_p50_ms": picture_p50,
        "camera_to_commit_p99_ms": picture_p99,
    }


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.quantile(np.array(values), [0.5, 0.99])
    return round(float(p50), 2), round(float(p99), 2)


def text(report: Mapping[str, Any]) -> str:
    """The report as a Markdown table."""
    lines = [f"{report['workload']}; {report['machine']}; {report['repeats']} repeats", ""]
    lines += ["| ms | ours | without a fold | ratio |", "|---|---:|---:|---:|"]
    for name, ours in report["ours"].items():
        ratio = report["ratio"].get(name, "")
        lines.append(f"| {name} | {ours} | {report['reference'][name]} | {ratio} |")
    return "\n".join(lines) + "\n"


def _asked(name: str, usual: int) -> int:
    given = os.environ.get(f"BENCH_GATE_{name}", str(usual))
    if not (given.isdigit() and int(given) > 0):
        raise BadInput(f"BENCH_GATE_{name} is '{given}'; give a whole number of at least 1")
    return int(given)
