"""The nearest of 20,000 and 200,000 views (a million by BENCH_SEARCH_SIZES), plain and filtered by camera and time.

Ours is search as the service asks it: up to 200 vehicles, by all their views, ranked, and reasons for a page of ten. The
reference is Qdrant Edge by its own calls, for ids and scores of 200 views. Beside them FAISS and milvus-lite, where they are
installed: `pip install faiss-cpu milvus-lite pymilvus`. One thread for each; sides take turns, each in a process of its own.
Every side is asked all probes once before it counts, and how long those first answers took is told apart.
`BENCH_SEARCH_SIDES` measures only some, `BENCH_SEARCH_PROBES` (50) is how many probes there are in a repeat.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from twin.errors import BadInput

from .child import LIMIT, SIDES, Child, K
from .workload import N_COMPONENTS, exact, probes

MOST_RATIO, MOST_MORE_MS, LEAST_RECALL = 1.3, 8.0, 0.99


def run(repeats: int = 5) -> dict[str, Any]:
    """Measure; milliseconds over all repeats together."""
    sizes = [_number("SIZES", one) for one in os.environ.get("BENCH_SEARCH_SIZES", "20000,200000").split(",")]
    n_probes = _number("PROBES", os.environ.get("BENCH_SEARCH_PROBES", "50"))
    sides = _sides()
    found = {str(n): _measured(n, sides, n_probes, repeats) for n in sizes}
    return {
        "schema": "twin.bench/1",
        "workload": f"views of {N_COMPONENTS} components in clusters; {n_probes} probes, the {LIMIT} nearest, recall at {K};"
        f" goal p95 of {MOST_RATIO} x bare or {MOST_MORE_MS:g} ms more, recall {LEAST_RECALL}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "ours": {n: by_side["ours"] for n, by_side in found.items()},
        "reference": {n: {name: one for name, one in by_side.items() if name != "ours"} for n, by_side in found.items()},
        "ratio": {n: _ratio(by_side) for n, by_side in found.items()},
        "missing": [name for name, (_, package) in SIDES.items() if find_spec(package) is None],
        "repeats": repeats,
    }


def _measured(n: int, sides: list[str], n_probes: int, repeats: int) -> dict[str, Any]:
    """By side: what it was to build, and its answers plain and filtered."""
    asked, children = probes(n, n_probes), {name: Child(name, n, n_probes) for name in sides}
    told: dict[str, Any] = {name: dict(child.built) for name, child in children.items()}
    for what, is_filtered in (("plain", False), ("filtered", True)):
        truth = exact(n, asked, K, is_filtered=is_filtered)
        took_ms: dict[str, list[float]] = {name: [] for name in sides}
        worked_ms: dict[str, list[float]] = {name: [] for name in sides}
        recalls: dict[str, list[float]] = {name: [] for name in sides}
        first_ms = {name: float(np.median(children[name].round(is_filtered=is_filtered)["ms"])) for name in sides}
        for number in range(repeats):
            for name in sides[number % len(sides) :] + sides[: number % len(sides)]:
                answered = children[name].round(is_filtered=is_filtered)
                took_ms[name] += answered["ms"]
                worked_ms[name] += answered["cpu_ms"]
                pairs = zip(truth, answered["numbers"], strict=True)
                recalls[name] += [len(set(one) & set(other)) / len(one) for one, other in pairs]
        for name in sides:
            p50, p95, p99 = (round(float(one), 2) for one in np.percentile(took_ms[name], (50, 95, 99)))
            told[name][what] = {
                "p50_ms": p50,
                "p95_ms": p95,
                "p99_ms": p99,
                "first_p50_ms": round(first_ms[name], 2),
                "cpu_p50_ms": round(float(np.median(worked_ms[name])), 2),
                "recall_at_10": round(float(np.mean(recalls[name])), 4),
            }
    for child in children.values():
        child.end()
    return told


def _ratio(by_side: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for what in ("plain", "filtered") if "qdrant_edge" in by_side else ():
        ours, bare = by_side["ours"][what], by_side["qdrant_edge"][what]["p95_ms"]
        is_met = ours["p95_ms"] <= max(MOST_RATIO * bare, bare + MOST_MORE_MS) and ours["recall_at_10"] >= LEAST_RECALL
        told[what] = {"p95": round(ours["p95_ms"] / bare, 2), "is_met": is_met}
    return told


def text(report: Mapping[str, Any]) -> str:
    """The report as Markdown tables."""
    lines = [f"{report['workload']}; {report['machine']}; {report['repeats']} repeats", ""]
    if report["missing"]:
        lines += [f"not installed, and left out: {', '.join(report['missing'])}", ""]
    of_each = "p50 / p95 / p99 ms | processor ms | first ms | recall"
    lines += [f"| views | side | plain {of_each} | filtered {of_each} | MB | build s |", f"|---:|---{'|---:' * 10}|"]
    for n, ours in report["ours"].items():
        for name, one in {"ours": ours, **report["reference"][n]}.items():
            times = [
                f"{one[what]['p50_ms']} / {one[what]['p95_ms']} / {one[what]['p99_ms']} |"
                f" {one[what]['cpu_p50_ms']} | {one[what]['first_p50_ms']} | {one[what]['recall_at_10']}"
                for what in ("plain", "filtered")
            ]
            lines.append(f"| {n} | {name} | {' | '.join(times)} | {one['memory_mb']} | {one['build_s']} |")
    return "\n".join([*lines, "", *(f"{n}: p95 against bare {ratio}" for n, ratio in report["ratio"].items())]) + "\n"


def _sides() -> list[str]:
    asked = os.environ.get("BENCH_SEARCH_SIDES", ",".join(SIDES)).split(",")
    if wrong := [name for name in asked if name not in SIDES]:
        raise BadInput(f"BENCH_SEARCH_SIDES has {wrong}; there are {', '.join(SIDES)}")
    return [name for name in SIDES if (name in asked or name == "ours") and find_spec(SIDES[name][1]) is not None]


def _number(name: str, given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 9 and int(given) > 0):
        raise BadInput(f"BENCH_SEARCH_{name} has '{given}'; give whole numbers of at least 1")
    return int(given)
