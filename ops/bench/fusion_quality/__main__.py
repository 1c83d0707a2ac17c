"""The command line: which scenes, traffic, noise and seeds; tables on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twin.errors import TwinError

from .made import fused, say, simulated
from .report import missed, scores, table, worst_cases
from .scenes import Case, Scene, scenes_named, site_of


def cases_of(options: argparse.Namespace) -> Iterator[Case]:
    """Every run that is asked for, seed by seed, so that what was interrupted has something of each scene."""
    sites = [(scene.name, *site_of(scene, options.site_seed, options.out)) for scene in _scenes(options)]
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name, site, folder in sites:
            for traffic in options.traffic or ["own"]:
                for profile in options.profile or ["default"]:
                    yield Case(
                        scene=name,
                        site=site,
                        folder=folder,
                        traffic=traffic,
                        profile=profile,
                        seed=seed,
                        hours=options.hours,
                        stay_minutes=options.stay_minutes,
                    )


def _scenes(options: argparse.Namespace) -> list[Scene]:
    if options.site:
        return [Scene(name=Path(options.site).name, given=options.site)]
    if options.scene:
        return scenes_named(options.scene)
    numbers = {name: getattr(options, name) for name in ("cameras", "stalls", "levels", "overlap", "view_m")}
    return [Scene(name="generated", **numbers)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench.fusion_quality", description="Simulate, fuse and score; print a table of each scene."
    )
    sites = parser.add_argument_group("which site")
    sites.add_argument("--scene", action="append", help="overlap, gaps or two-levels; may be given several times")
    sites.add_argument("--site", help="a site's folder or name")
    sites.add_argument("--cameras", type=int, default=6, help="of a generated site, as those that follow")
    sites.add_argument("--stalls", type=int, default=48)
    sites.add_argument("--levels", type=int, default=1)
    sites.add_argument("--overlap", type=float, default=0.2)
    sites.add_argument("--view-m", type=float, help="how far each camera is trusted; less leaves blind stretches")
    sites.add_argument("--site-seed", type=int, default=1, help="measures and place of generated sites")
    runs = parser.add_argument_group("which runs")
    runs.add_argument("--hours", type=float, default=0.2)
    runs.add_argument("--seeds", type=int, default=3)
    runs.add_argument("--first-seed", type=int, default=1)
    runs.add_argument("--profile", action="append", help="clean, default or harsh; may be given several times")
    runs.add_argument("--traffic", action="append", choices=("own", "sumo"), help="may be given several times")
    runs.add_argument("--stay-minutes", type=float, help="median of the stays; absent: 40")
    parser.add_argument("--out", type=Path, default=Path("twin-data/quality"))
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="show the N worst cases of each kind")
    parser.add_argument("--check", action="store_true", help="exit 1 if a figure is not where it should be")
    parser.add_argument("--json", action="store_true", help="print the reports instead of tables")
    return parser.parse_args()


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = dict[tuple[str, str, str], list[Path]]()
    for case in cases_of(options):
        runs.setdefault(case.group, []).append(fused(case, simulated(case, options.out)))
    found: dict[str, dict[str, Any]] = {", ".join(group): scores(folders) for group, folders in runs.items()}
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for title, reports in found.items():
            print(table(title, reports) + worst_cases(reports, options.worst), end="")
    short = {title: names for title, reports in found.items() if (names := missed(reports))}
    for title, names in short.items():
        say(f"{title}: short of the goal: {', '.join(names)}")
    return 1 if options.check and short else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except TwinError as wrong:
        say(f"fusion_quality: {wrong}")
        raise SystemExit(1) from None
