"""How fast observations become committed facts, and how that grows with the site.

| part | what |
|---|---|
| ``dense`` | W20-dense: every box of every frame in full. The whole path of one process: decode from SQLite, fuse, commit |
| ``refuse`` | W20, thinned as the edge does: seconds of site time folded again a second |
| ``replay`` | the facts of that: seconds of site time applied to a graph a second, naively, from the first |
| ``cameras`` | W20 thinned on sites of 5 to 100 cameras: seconds of processor a second of site time, and its log-log slope |

The worker that the service runs does the folding, on a log that was filled before. A tick's time is that of all that is folded
from one that is closed to the next, the past that is fused again meanwhile among it.
Reference: the worker with a fold that looks at nothing, which decodes and commits as much, so that the rest is the fold's.

BENCH_FUSION_PARTS=dense,cameras measures only these; BENCH_FUSION_SECONDS is how much site time a repeat has (60: the
past is first fused again after 15 s, so that in a shorter one less of that is seen than there is).
"""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from twin.errors import BadInput

from . import folded, workload

REPEATS = 5
GOALS: Mapping[str, float] = {
    "dense_detections_per_s": 20_000,
    "dense_tick_p99_ms": 100,
    "refuse_x_real_time": 30,
    "replay_x_real_time": 1_000,
    "cameras_slope": 1.1,
}
_CAMERAS = (5, 10, 20, 50, 100)
_PARTS = ("dense", "refuse", "replay", "cameras")
_WARM_UP_S = 10  # until every vehicle is confirmed, which all are at once at the start


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; each figure is the median of the repeats, which differ in their seed."""
    seconds = _seconds()
    measures: dict[str, Callable[[int, int], dict[str, dict[str, float]]]] = {
        "dense": _dense,
        "refuse": _refuse,
        "replay": _replay,
        "cameras": _cameras,
    }
    ours, reference = dict[str, float](), dict[str, float]()
    for part in _parts():
        found = [measures[part](number + 1, seconds) for number in range(repeats)]
        for side, into in (("ours", ours), ("reference", reference)):
            for name in found[0].get(side, {}):
                into[f"{part}_{name}"] = round(statistics.median(one[side][name] for one in found), 3)
    goals = {name: goal for name, goal in GOALS.items() if name in ours}
    return {
        "schema": "twin.bench/1",
        "workload": f"W20-dense, and W20 of {', '.join(map(str, _CAMERAS))} cameras; {seconds} s of site time, default noise",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, SQLite {sqlite3.sqlite_version}",
        "ours": ours,
        "reference": reference | {f"goal_{name}": goal for name, goal in goals.items()},
        "ratio": {
            **{name: round(ours[name] / goal, 3) for name, goal in goals.items()},
            **{f"{name}_to_no_fold": round(ours[name] / value, 3) for name, value in reference.items() if value},
        },
        "repeats": repeats,
    }


def text(report: Mapping[str, Any]) -> str:
    """The report as a Markdown table."""
    lines = [f"{report['workload']}; {report['machine']}; {report['repeats']} repeats", ""]
    lines += ["| | ours | goal | without a fold |", "|---|---:|---:|---:|"]
    reference = report["reference"]
    for name, value in report["ours"].items():
        lines.append(f"| {name} | {value:,} | {reference.get(f'goal_{name}', '')} | {reference.get(name, '')} |")
    return "\n".join(lines) + "\n"


def _dense(seed: int, seconds: int) -> dict[str, dict[str, float]]:
    site = workload.dense_site()
    events = workload.dense(site, seed, _WARM_UP_S + seconds)
    warm_up = len(events) * _WARM_UP_S // (_WARM_UP_S + seconds)
    ours, bare = folded.ours(site, events, warm_up), folded.none(site, events)
    n_boxes, n_frames = workload.counts(events[ours.after :])
    return {
        "ours": {
            "detections_per_s": n_boxes / ours.cpu_s,
            "detections_a_frame": n_boxes / n_frames,
            "x_real_time": workload.seconds(events[ours.after :]) / ours.cpu_s,
            "tick_p50_ms": ours.tick_ms(0.5),
            "tick_p99_ms": ours.tick_ms(0.99),
        },
        "reference": {"detections_per_s": workload.counts(events)[0] / bare.cpu_s},
    }


def _refuse(seed: int, seconds: int) -> dict[str, dict[str, float]]:
    site = workload.site(20)
    events = workload.thinned(site, seed, seconds)
    n_boxes, n_frames = workload.counts(events)
    ours, bare = folded.ours(site, events), folded.none(site, events)
    figures = {
        "x_real_time": seconds / ours.cpu_s,
        "detections_a_frame": n_boxes / n_frames,
        "tick_p99_ms": ours.tick_ms(0.99),
        "longest_step_ms": ours.longest_s * 1000,
    }
    return {"ours": figures, "reference": {"x_real_time": seconds / bare.cpu_s}}


def _replay(seed: int, seconds: int) -> dict[str, dict[str, float]]:
    site = workload.site(20)
    n_facts, cpu_s = folded.replayed(site, workload.thinned(site, seed, seconds))
    return {"ours": {"x_real_time": seconds / cpu_s, "facts_per_s": n_facts / cpu_s}}


def _cameras(seed: int, seconds: int) -> dict[str, dict[str, float]]:
    """The slope is that of a straight line through the logarithms. Source: ordinary least squares."""
    costs = dict[int, float]()
    for n in _CAMERAS:
        site = workload.site(n)
        costs[n] = folded.ours(site, workload.thinned(site, seed, seconds)).cpu_s / seconds
    each = {f"{n}_cpu_s_a_second": cost for n, cost in costs.items()}
    return {"ours": {**each, "slope": workload.slope(costs)}}


def _parts() -> list[str]:
    given = os.environ.get("BENCH_FUSION_PARTS", ",".join(_PARTS)).split(",")
    if unknown := [one for one in given if one not in _PARTS]:
        raise BadInput(f"BENCH_FUSION_PARTS has {', '.join(unknown)}; it may have {', '.join(_PARTS)}")
    return given


def _seconds() -> int:
    given = os.environ.get("BENCH_FUSION_SECONDS", "60")
    if not (given.isdecimal() and int(given) > 0):
        raise BadInput(f"BENCH_FUSION_SECONDS is '{given}'; give a whole number of at least 1")
    return int(given)
