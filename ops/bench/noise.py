"""What each noise profile achieved on simulated runs, beside what it asks for: the table of ``ops/docs/simulation.md``.

Not a speed: the figures are measured from the observations and the truth of whole runs, by code that knows neither the profiles
nor the generator's inside. Each repeat is another seed; the longest silences and the clocks are watched for a day each.
Without ``--json`` it is printed as a Markdown table.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from typing import Any

from perception.synthetic.achieved import achieved
from perception.synthetic.demand import DEMO
from perception.synthetic.intervals import Estimate
from perception.synthetic.long_watch import watch, watched
from perception.synthetic.profiles import PROFILES
from perception.synthetic.simulate import Simulation
from site_models.load import load_site, resolve
from twin.events.ids import SECOND

SITE = "demo_lot"
MINUTES = 40  # of simulated time a seed
REPEATS = 1
WATCHED_SEEDS = range(1, 5)  # days, of each camera

_INF = math.inf
ASKED: Mapping[str, tuple[str, tuple[float, float, float]]] = {
    "detection": ("detected, of the unoccluded and large", (1.0, 0.95, 0.90)),
    "detection_hidden": ("detected, of those at least 70 % hidden", (0.0, 0.0, 0.0)),
    "detection_small": ("detected, of those under 12 px", (0.0, 0.0, 0.0)),
    "false_boxes": ("false boxes a frame", (0.0, 0.05, 0.10)),
    "box_sigma": ("box error σ, share of box size", (0.0, 0.04, 0.08)),
    "box_correlation": ("correlation of box errors 0.5 s apart", (math.nan, math.exp(-1), math.exp(-1))),
    "break_s": ("seconds between breaks of a tracklet", (_INF, 30.0, 15.0)),
    "swap": ("swapped, of tracklets whose boxes cross", (0.0, 0.10, 0.20)),
    "rank_1": ("embedding: rank-1 among 100 others", (1.0, 0.75, 0.55)),
    "lookalikes": ("look-alikes, share of vehicles", (0.20, 0.20, 0.40)),
    "clock_offset_s": ("largest clock offset, s", (0.0, 2.0, 4.0)),
    "clock_drift_ppm": ("largest clock drift, ppm", (0.0, 50.0, 100.0)),
    "delay_fixed_s": ("arrival after capture: fixed part, s", (0.02, 0.02, 0.02)),
    "delay_mean_s": ("… exponential mean, s", (0.0, 0.06, 0.20)),
    "outages_a_day": ("outages a camera and day", (0.0, 2.0, 4.0)),
    "outage_shortest_s": ("… the shortest, s", (math.nan, 10.0, 10.0)),
    "outage_longest_s": ("… the longest, s", (math.nan, 120.0, 240.0)),
    "dropped": ("frames dropped", (0.0, 0.01, 0.02)),
    "late": ("frames late", (0.0, 0.01, 0.02)),
    "late_by_s": ("… by up to, s", (math.nan, 5.0, 5.0)),
}
"""Figure: what it is, and what the profiles clean, default and harsh ask for; NaN: nothing, as there is none to measure."""
BESIDE: Mapping[str, str] = {
    "false_run": "frames in a row that show the same false box",
    "false_same_place": "false boxes where another stood",
    "purity": "purity of tracklets",
}
"""Figures that no profile sets by itself: what the rows above come to."""


def measure(profile: str, seeds: range, minutes: float = MINUTES, watched_seeds: range = WATCHED_SEEDS) -> dict[str, Estimate]:
    """Every figure of a profile; those of several seeds are pooled by their sizes."""
    site = load_site(resolve(SITE))
    runs = list[Mapping[str, Estimate]]()
    for seed in seeds:
        simulation = Simulation(site, seed, PROFILES[profile], demand=DEMO, ticks=False)
        steps = list(simulation.steps(round(minutes * 60) * SECOND))
        deliveries = [one for step in steps for one in step.arrivals]
        runs.append(achieved(site, deliveries, [frame for step in steps for frame in step.truth]))
    figures = {name: pooled([run[name] for run in runs]) for name in runs[0]}
    return figures | watched(watch(site, PROFILES[profile], list(watched_seeds), 0), figures["delay_fixed_s"].value)


def pooled(estimates: list[Estimate]) -> Estimate:
    """The mean by size; the interval's half widths are those of independent estimates."""
    known = [one for one in estimates if one.n and not math.isnan(one.value)]
    if len(known) < 2:
        return known[0] if known else estimates[0]
    n = sum(one.n for one in known)
    shares = [one.n / n for one in known]
    value = sum(share * one.value for share, one in zip(shares, known, strict=True))
    below = math.hypot(*(share * (one.value - one.lo95) for share, one in zip(shares, known, strict=True)))
    above = math.hypot(*(share * (one.hi95 - one.value) for share, one in zip(shares, known, strict=True)))
    return Estimate(value, value - below, value + above, n)


def run(repeats: int = REPEATS) -> dict[str, Any]:
    """Measure; ``ratio`` is the share of a profile's figures whose 95 % interval holds what is asked for."""
    figures = {profile: measure(profile, range(1, repeats + 1)) for profile in PROFILES}
    asked = {profile: {name: wanted[column] for name, (_, wanted) in ASKED.items()} for column, profile in enumerate(PROFILES)}
    return {
        "schema": "twin.bench/1",
        "workload": f"{SITE}, {MINUTES} minutes of each of {repeats} seeds, days of {len(WATCHED_SEEDS)} seeds, noise profiles",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "ours": {profile: {name: _listed(one) for name, one in found.items()} for profile, found in figures.items()},
        "reference": {profile: {k: _number(v) for k, v in wanted.items()} for profile, wanted in asked.items()},
        "ratio": {profile: _holding(figures[profile], asked[profile]) for profile in PROFILES},
        "repeats": repeats,
    }


def text(report: Mapping[str, Any]) -> str:
    """The report as a table: asked for, achieved, and the achieved figure's 95 % interval."""
    lines = ["| | " + " | ".join(f"{profile}: asked | achieved" for profile in PROFILES) + " |"]
    lines.append("|---|" + "---:|---|" * len(PROFILES))
    for name, what in ({name: what for name, (what, _) in ASKED.items()} | dict(BESIDE)).items():
        cells = list[str]()
        for profile in PROFILES:
            cells += [_text(report["reference"][profile].get(name)), _measured(report["ours"][profile][name])]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _holding(found: Mapping[str, Estimate], asked: Mapping[str, float]) -> float:
    judged = [name for name, wanted in asked.items() if not math.isnan(wanted) and found[name].n]
    return round(sum(found[name].holds(asked[name]) for name in judged) / len(judged), 3)


def _listed(one: Estimate) -> dict[str, float | int | None]:
    return {"value": _number(one.value), "lo95": _number(one.lo95), "hi95": _number(one.hi95), "n": one.n}


def _number(value: float) -> float | None:
    """JSON knows neither NaN nor infinity."""
    return round(value, 5) if math.isfinite(value) else None


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.001 else f"{value:.5f}".rstrip("0")


def _measured(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return "none" if one["n"] == 0 else f"over {_text(one['lo95'])}"
    return f"{_text(one['value'])} ({_text(one['lo95'])}–{_text(one['hi95'])}; n {one['n']:,})"
