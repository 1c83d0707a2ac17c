"""How long a day of ground truth takes, and whether it can be: no vehicle in another, no jump, every stay with its ends.

Our own traffic runs for a day, planned alone and with a frame read every 100 ms. The checks run over an hour of it and, where
the ``sumo`` extra is installed, over an hour of SUMO's of the same site. Each repeat is another seed. BENCH_SITE names another
site than the demo's. The goal is held against the processor's seconds, for traffic is one process on one core; those of the
clock on the wall stand beside them.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from contextlib import closing
from typing import Any, NamedTuple

from perception.synthetic.sumo.traffic import SumoTraffic
from perception.synthetic.traffic import Traffic
from perception.synthetic.traffic_source import TrafficSource
from perception.synthetic.truth import FRAME, Visit
from perception.synthetic.truth_checks import Fault, TruthChecks
from site_models.load import load_site, resolve
from twin.errors import MissingExtra
from twin.events.ids import SECOND, Micros

GOAL_S = 60.0
_HOUR: Micros = 3600 * SECOND
_STEP: Micros = 10 * SECOND


class _Seconds(NamedTuple):
    processor: float
    wall: float


def run(repeats: int = 3) -> dict[str, Any]:
    """Measure; ``faults`` are those of the checks, of all seeds, with the first of each source as text."""
    site = load_site(resolve(os.environ.get("BENCH_SITE", "demo_lot")))
    planning, reading = list[_Seconds](), list[_Seconds]()
    faults: dict[str, list[Fault] | None] = {"own": [], "sumo": []}
    n_visits = {"own": 0, "sumo": 0}
    for seed in range(1, repeats + 1):
        planning.append(_seconds(Traffic(site, seed, 0), 24 * _HOUR, reads=False))
        reading.append(_seconds(Traffic(site, seed, 0), 24 * _HOUR, reads=True))
        _check("own", Traffic(site, seed, 8 * _HOUR), 8 * _HOUR, faults, n_visits)
        try:
            with closing(SumoTraffic(site, seed, 8 * _HOUR, 9 * _HOUR)) as sumo:
                _check("sumo", sumo, 8 * _HOUR, faults, n_visits)
        except MissingExtra:
            faults["sumo"] = None
    day_s = statistics.median(taken.processor for taken in reading)
    return {
        "schema": "twin.bench/1",
        "workload": f"a day of '{site.name}', {len(site.stalls)} stalls; checks of an hour from 08:00, {repeats} seeds",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "ours": {
            "day_planned_s": round(statistics.median(taken.processor for taken in planning), 1),
            "day_read_every_100_ms_s": round(day_s, 1),
            "day_read_every_100_ms_wall_s": round(statistics.median(taken.wall for taken in reading), 1),
            "visits_checked": n_visits,
            "faults": {name: None if found is None else len(found) for name, found in faults.items()},
            "first_fault": {name: str(found[0]) for name, found in faults.items() if found},
        },
        "reference": {"goal_s": GOAL_S},
        "ratio": {"goal": round(day_s / GOAL_S, 3)},
        "repeats": repeats,
    }


def _seconds(traffic: Traffic, until_at: Micros, *, reads: bool) -> _Seconds:
    processor, wall = time.process_time(), time.perf_counter()
    for now in range(_STEP, until_at + 1, _STEP):
        traffic.advance(now)
        traffic.take_visits()
        for at in range(now - _STEP, now, FRAME) if reads else ():
            traffic.at(at)
    return _Seconds(time.process_time() - processor, time.perf_counter() - wall)


def _check(
    name: str, traffic: TrafficSource, start_at: Micros, faults: dict[str, list[Fault] | None], n_visits: dict[str, int]
) -> None:
    checks, ended = TruthChecks(), list[Visit]()
    for now in range(start_at + _STEP, start_at + _HOUR + 1, _STEP):
        traffic.advance(now)
        ended += traffic.take_visits()
        for at in range(now - _STEP, now, FRAME):
            checks.add(traffic.at(at))
    found = faults[name]
    if found is not None:
        found += checks.faults(ended, traffic.open_visits())
    n_visits[name] += len(ended)
