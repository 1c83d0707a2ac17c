"""How good fusion is on seeds and sites that nobody tuned it on: simulated, fused, scored, beside the goals.

    python -m ops.bench.fusion_quality --scene overlap --scene gaps --hours 2 --seeds 10

Runs are kept under ``--out``: what is finished is not run again, unless the code that it rests on has changed. As a benchmark
it stands beside the peer: each repeat is another seed; BENCH_SCENE names a scene, BENCH_HOURS says for how long.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .instead import PEER, instead
from .made import fused, simulated
from .report import figures, scores, side_by_side
from .scenes import Case, scenes_named, site_of


def run(repeats: int = 5) -> dict[str, Any]:
    """Ours and the peer's figures on the same observations, pooled over seeds; ``ratio`` is ours over theirs."""
    (scene,), hours = scenes_named([os.environ.get("BENCH_SCENE", "overlap")]), float(os.environ.get("BENCH_HOURS", "0.1"))
    columns = dict[str, list[Path]](twin=[], peer=[])
    with tempfile.TemporaryDirectory() as folder:
        site, kept = site_of(scene, 1, Path(folder))
        for seed in range(1, repeats + 1):
            numbers = {"seed": seed, "hours": hours, "stay_minutes": 4.0}
            case = Case(scene=scene.name, site=site, folder=kept, traffic="own", profile="default", **numbers)
            done = fused(case, simulated(case, Path(folder)))
            columns["twin"].append(done)
            columns["peer"].append(instead(case, done, PEER))
        reports = {name: scores(runs) for name, runs in columns.items()}
    ours, theirs = ({name: one["value"] for name, one in figures(one).items()} for one in reports.values())
    return {
        "schema": "twin.bench/1",
        "workload": f"scene '{scene.name}', {hours:g} h of own traffic on default noise, {repeats} seeds",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "ours": ours,
        "reference": theirs,
        "ratio": {name: _ratio(ours[name], theirs.get(name)) for name in ours},
        "repeats": repeats,
        "reports": reports,
    }


def text(report: Mapping[str, Any]) -> str:
    """The report for reading."""
    return side_by_side(str(report["workload"]), report["reports"])


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return round(ours / theirs, 3) if ours is not None and theirs else None
