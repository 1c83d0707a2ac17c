"""From the commit of a question at a gate to the commit of its answer, while twenty cameras deliver (W20) and are fused.

Cameras' frames are simulated before, with default noise, and appended when they would arrive, each by itself; the worker that
the service runs folds them, with its own clock, on SQLite with every commit synced. Questions come at boundaries in turn, as
loops would ask, once the fold has seen some seconds. The reference does all of it but the fold: it answers each question in the
same words, whatever was seen. Sides take turns. How old the newest picture is, from its capture to the commit of the answer
that rests on it, is told apart: it has the cameras' delay and the fold's hold in it. So is how long questions would wait for
the fold, and what is before them in it, if it had a core of its own: by the processor's time that each step took, which a busy
machine changes less than the clock.

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

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
from twin.events.observations import LoopTripped, Personal
from twin.fold_state import SiteFold
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
_TARIFF = Tariff(id=TariffId("t"), version=1, currency="EUR", step_minutes=15, price_minor=60)

_Arrival = tuple[Micros, ObservationEvent]


class Times(NamedTuple):
    """Of one repeat and side, milliseconds: commit to commit; from the newest picture to the answer's commit; and from the
    question's commit until it is folded, on a core of the fold's own."""

    answered_ms: list[float]
    picture_ms: list[float]
    folded_ms: list[float]


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


class TimedFold:
    """Notes the processor's time of each step, with that of saving the state before it."""

    def __init__(self, fold: SiteFold[Any]) -> None:
        self._fold = fold
        self._saving_s = 0.0
        self.steps: list[tuple[EventId, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fold, name)

    def step(self, state: Any, recorded: RecordedObservation, personal: Personal | None) -> tuple[Any, tuple[FactEvent, ...]]:
        """See ``twin.fold_state.SiteFold``."""
        started = time.thread_time()
        made = self._fold.step(state, recorded, personal)
        self.steps.append((recorded.event.id, time.thread_time() - started + self._saving_s))
        self._saving_s = 0.0
        return made

    def pack(self, state: Any) -> bytes:
        """See ``twin.fold_state.SiteFold``."""
        started = time.thread_time()
        body = self._fold.pack(state)
        self._saving_s += time.thread_time() - started
        return body


class TimedLog(PassingLog):
    """Notes when observations came, questions among them, and when answers were committed."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.came: dict[EventId, float] = {}
        self.asked: dict[EventId, float] = {}
        self.answered: dict[EventId, tuple[float, Micros | None]] = {}

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``."""
        receipts = await super().append(events)
        now = time.perf_counter()
        self.came |= dict.fromkeys((event.id for event in events), now)
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
    with tempfile.TemporaryDirectory(prefix="bench-gate-") as folder:
        return asyncio.run(_played(site, fold, arrivals, seconds * rate, rate, Path(folder) / "log.db"))


async def _played(site: Site, fold: SiteFold[Any], arrivals: Sequence[_Arrival], n_asked: int, rate: int, path: Path) -> Times:
    sql = SqlLog.open(path)
    keys = SqlKeyRing(sql)
    log = TimedLog(SealingLog(sql, keys))
    started = time.perf_counter()

    def now_at() -> Micros:
        return _START_AT + round((time.perf_counter() - started) * SECOND)

    timed = TimedFold(fold)
    worker = FusionWorker(log, keys, cast("SiteFold[Any]", timed), worker_id="bench", clock=now_at)
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
    return _times(log, timed, started)


async def _deliver(log: Log, arrivals: Sequence[_Arrival], now_at: Any, group: asyncio.TaskGroup) -> None:
    """Append each observation when it arrives, and do not wait for it before the next."""
    for arrival_at, event in arrivals:
        await asyncio.sleep(max(0.0, (arrival_at - now_at()) / SECOND))
        group.create_task(log.append([event]))
    await asyncio.sleep(0)


async def _ask(log: Log, site: Site, n_asked: int, rate: int, now_at: Any) -> None:
    gates = [portal for portal in site.portals if portal.role == "boundary"]
    for number in range(n_asked):
        due_at = _START_AT + WARM_UP_S * SECOND + number * SECOND // rate
        await asyncio.sleep(max(0.0, (due_at - now_at()) / SECOND))
        portal = gates[number % len(gates)]
        direction = "out" if number // len(gates) % 2 else "in"
        payload = LoopTripped(portal=portal.id, direction=direction if portal.direction == "both" else None)
        key = DeviceKey(device=DeviceId("loops"), boot_epoch=1, sequence=number + 1)
        await log.append([ObservationEvent(site=site.name, key=key, occurred_at=now_at(), payload=payload)])


def _times(log: TimedLog, fold: TimedFold, started: float) -> Times:
    answered = [(log.answered[name][0] - asked) * 1000 for name, asked in log.asked.items()]
    ages = [
        (at - started) * 1000 - (seen_at - _START_AT) / 1000 for at, seen_at in log.answered.values() if seen_at is not None
    ]
    return Times(answered, ages, _folded_ms(log, fold))


def _folded_ms(log: TimedLog, fold: TimedFold) -> list[float]:
    """One server, first come, first served."""
    waits, free_at = list[float](), 0.0
    for name, took_s in fold.steps:
        free_at = max(free_at, log.came[name]) + took_s
        if name in log.asked:
            waits.append((free_at - log.asked[name]) * 1000)
    return waits


def _told(repeats: Sequence[Times]) -> dict[str, Any]:
    """Answers of all repeats together; of each repeat's p99, the median."""
    answered = [one for times in repeats for one in times.answered_ms]
    ages = [one for times in repeats for one in times.picture_ms]
    p50, p99 = _quantiles(answered)
    picture_p50, picture_p99 = _quantiles(ages)
    folded_p50, folded_p99 = _quantiles([one for times in repeats for one in times.folded_ms])
    return {
        "n": len(answered),
        "p50_ms": p50,
        "p99_ms": p99,
        "p99_ms_of_the_median_repeat": round(statistics.median(_quantiles(one.answered_ms)[1] for one in repeats), 2),
        "own_core_p50_ms": folded_p50,
        "own_core_p99_ms": folded_p99,
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
