"""How good fusion is: seeds and profiles of a site simulated, fused and scored, in one table: mean, worst, together.

    python -m ops.bench.fusion_quality --cameras 6 --hours 0.2 --seeds 3 --profile default

Runs are kept under ``--out`` by the name of their site, profile and seed. What was simulated is not simulated again, but fused
again each time, since that is what is measured (``--score-only`` scores what is there).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception.synthetic.run_files import write_run
from site_models.dump import dump_site
from site_models.generate import generate
from site_models.load import load_site, resolve
from site_models.schema import Site
from twin.errors import TwinError
from twin.evaluation.fuse_run import fuse_run
from twin.evaluation.scores import evaluate
from twin.events.codec import micros

KINDS = ("tracking", "sessions", "localization", "stalls")
START = "2026-01-05T06:00:00Z"


def site_of(options: argparse.Namespace) -> tuple[Site, str]:
    """The site, and its folder or name; a generated one is kept beside its runs."""
    if options.site:
        return load_site(resolve(options.site)), options.site
    folder = options.out / f"site-{options.cameras}-cameras-{options.stalls}-stalls-{options.levels}-levels"
    if not folder.exists():
        sizes = {"n_cameras": options.cameras, "n_stalls": options.stalls, "n_levels": options.levels}
        dump_site(generate(**sizes, overlap=options.overlap, seed=1), folder)
    return load_site(folder), str(folder)


def made(site: Site, profile: str, seed: int, options: argparse.Namespace) -> Path:
    """A run, simulated where it is not there yet, and fused."""
    run = options.out / f"{site.name}-{profile}-{options.hours:g}h-seed-{seed}"
    if not (run / "visits.parquet").exists():
        started = time.monotonic()
        write_run(site, profile, seed, options.hours, run, micros(START), traffic=options.traffic)
        say(f"{run.name}: simulated in {time.monotonic() - started:.0f} s")
    if not (options.score_only and (run / "tracks.parquet").exists()):
        started = time.monotonic()
        summary = fuse_run(site, run / "observations.jsonl.zst", run)
        say(f"{run.name}: fused {summary['observations']} observations in {time.monotonic() - started:.0f} s")
    return run


def scores(runs: list[Path], site: str) -> dict[str, Any]:
    """The report of each kind; a kind that cannot be scored says why."""
    found = dict[str, Any]()
    for kind in KINDS:
        try:
            found[kind] = evaluate(kind, runs, site if kind == "stalls" else None)
        except TwinError as wrong:
            say(f"{kind} is left out: {wrong}")
    return found


def table(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table: each figure of all runs together with its interval, the runs' mean, and the worst run's."""
    lines = ["| profile | figure | together (95 %) | mean | worst | in |", "|---|---|---:|---:|---:|---|"]
    for profile, kinds in reports.items():
        for report in kinds.values():
            for name, one in report["metrics"].items():
                cell = _number(one["value"])
                if one["value"] is not None:
                    cell += f" ({_number(one['lo95'])} to {_number(one['hi95'])})"
                mean, worst = report.get("mean", {}).get(name), report.get("worst_run", {}).get(name, {})
                run = Path(worst["run"]).name if worst.get("run") else ""
                lines.append(f"| {profile} | {name} | {cell} | {_number(mean)} | {_number(worst.get('value'))} | {run} |")
    return "\n".join(lines) + "\n"


def say(text: str) -> None:
    """A line about the progress."""
    print(text, file=sys.stderr, flush=True)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Simulate, fuse and score; print one table.")
    parser.add_argument("--site", help="a site's folder or name, instead of a generated one")
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--stalls", type=int, default=48)
    parser.add_argument("--levels", type=int, default=1)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--hours", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--profile", action="append", help="clean, default or harsh; may be given several times")
    parser.add_argument("--traffic", default="own", help="own or sumo")
    parser.add_argument("--score-only", action="store_true", help="fuse only what was never fused")
    parser.add_argument("--out", type=Path, default=Path("twin-data/quality"))
    parser.add_argument("--json", action="store_true", help="print the reports instead of the table")
    return parser.parse_args()


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    site, named = site_of(options)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    reports = dict[str, dict[str, Any]]()
    for profile in options.profile or ["default"]:
        reports[profile] = scores([made(site, profile, seed, options) for seed in seeds], named)
    print(json.dumps(reports, indent=1) if options.json else table(reports), end="")


if __name__ == "__main__":
    try:
        main()
    except TwinError as wrong:
        say(f"fusion_quality: {wrong}")
        raise SystemExit(1) from None
