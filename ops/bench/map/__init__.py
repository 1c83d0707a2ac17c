"""The map page with 500 vehicles that all drive, in a real browser, beside a bare page that draws as many rectangles.

The feed is the service's own: facts are committed ten times a second, the hub tells what changed, and the page draws it, its
panel too. Both pages are measured in turns in one headless Chromium that draws in software, with the service beside it on the
same processor. A page without anything to draw is the third: what the browser gives at most. What the processor gives to the
browser's own processes for a frame does not depend on what else the machine does. BENCH_MAP_VEHICLES (500), BENCH_MAP_HZ (10)
and BENCH_MAP_SECONDS (10, of a turn) make it smaller.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.errors import BadInput

from .service import Service
from .watching import browser, watched

GOAL_FRAMES_S = 30.0
_SIDES = ("ours", "bare", "empty")
_BARE = Path(__file__).with_name("bare.html")
_READY = "(n) => document.querySelectorAll('#vehicle-marks [data-vehicle]').length >= n"


def run(repeats: int = 3) -> dict[str, Any]:
    """Measure; frames a second and milliseconds are medians of the turns."""
    n_vehicles, hz, seconds = int(_number("VEHICLES", "500")), _number("HZ", "10"), _number("SECONDS", "10")
    turns: dict[str, list[dict[str, Any]]] = {side: [] for side in _SIDES}
    size = [1_050, 740]
    with (
        tempfile.TemporaryDirectory(prefix="bench-map-") as folder,
        Service(Path(folder), n_vehicles, hz) as service,
        browser() as chromium,
    ):
        for number in range(repeats):
            for side in _SIDES[number % 3 :] + _SIDES[: number % 3]:
                url, ready, arg = _page(side, service.origin, n_vehicles, size)
                turns[side].append(watched(chromium, url, seconds, ready, arg))
                size = turns["ours"][-1]["canvas_px"] if turns["ours"] else size
    told = {side: _median(some) for side, some in turns.items()}
    return {
        "schema": "twin.bench/1",
        "workload": f"{n_vehicles} vehicles that drive, told {hz:g} times a second, {seconds:g} s a turn; 1440 x 900,"
        f" canvas {size[0]} x {size[1]}; goal {GOAL_FRAMES_S:g} frames/s",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, software drawing,"
        f" load {os.getloadavg()[0]:.1f}",
        "ours": told["ours"] | {"is_met": told["ours"]["frames_s"] >= GOAL_FRAMES_S},
        "reference": {side: told[side] for side in ("bare", "empty")},
        "ratio": {side: round(told["ours"]["frames_s"] / told[side]["frames_s"], 2) for side in ("bare", "empty")},
        "repeats": repeats,
    }


def text(report: Mapping[str, Any]) -> str:
    """The report as a Markdown table."""
    lines = [f"{report['workload']}; {report['machine']}; {report['repeats']} repeats", ""]
    lines += [
        "| page | frames/s | by turn | p95 between ms | drawing ms | a message ms | own code, browser ms a frame |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for side, one in {"ours": report["ours"], **report["reference"]}.items():
        cells = (one[name] for name in ("frames_s", "by_turn", "gap_p95_ms", "draw_ms", "message_ms"))
        spent = f"{one['own_ms_a_frame']}, {one['browser_ms_a_frame']}"
        lines.append(f"| {side} | {' | '.join(map(str, cells))} | {spent} |")
    ratio = ", ".join(f"{side} {one}" for side, one in report["ratio"].items())
    return "\n".join([*lines, "", f"frames of ours to those of: {ratio}; goal is met: {report['ours']['is_met']}"]) + "\n"


def _page(side: str, origin: str, n_vehicles: int, size: list[int]) -> tuple[str, str | None, int | None]:
    if side == "ours":
        return f"{origin}/", _READY, n_vehicles
    n = n_vehicles if side == "bare" else 0
    return f"{_BARE.as_uri()}?n={n}&width={size[0]}&height={size[1]}", None, None


def _median(turns: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("frames_s", "gap_p95_ms", "draw_ms", "message_ms", "messages_s", "own_ms_a_frame", "browser_ms_a_frame")
    found = {name: round(statistics.median(one[name] for one in turns), 2) for name in names}
    return found | {"by_turn": [one["frames_s"] for one in turns]}


def _number(name: str, default: str) -> float:
    given = os.environ.get(f"BENCH_MAP_{name}", default)
    try:
        number = float(given)
    except ValueError:
        number = 0.0
    if not 0 < number < 100_000:
        raise BadInput(f"BENCH_MAP_{name} has '{given}'; give a number above 0")
    return number
