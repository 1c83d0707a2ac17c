"""The command line: which scenes, traffic, noise and seeds; tables on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twin.errors import BadInput, TwinError

from .instead import ABLATIONS, OTHERS, PEER, instead
from .made import fused, say, simulated
from .report import missed, scores, side_by_side, table, worst_cases
from .scenes import Case, Scene, scenes_named, site_of

_NUMBERS = ("cameras", "stalls", "levels", "overlap", "view_m")
_PLAIN = Scene(name="generated", cameras=6, stalls=48)


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
                        plates=options.plates,
                    )


def _scenes(options: argparse.Namespace) -> list[Scene]:
    numbers = {name: value for name in _NUMBERS if (value := getattr(options, name)) is not None}
    if options.site:
        if said := [*(["scene"] if options.scene else []), *numbers]:
            raise BadInput(f"--site takes a site as it is; leave out --{said[0].replace('_', '-')}, or --site")
        return [Scene(name=Path(options.site).name, given=options.site)]
    if options.scene:
        return [replace(scene, **numbers) for scene in scenes_named(options.scene)]
    return [replace(_PLAIN, **numbers)]


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench.fusion_quality",
        description="Simulate, fuse and score; print a table of each scene.",
        allow_abbrev=False,  # --seed would be --seeds
    )
    sites = parser.add_argument_group("which site")
    sites.add_argument("--scene", action="append", help="overlap, gaps or two-levels; may be given several times")
    sites.add_argument("--site", help="a site's folder or name")
    sites.add_argument("--cameras", type=int, help="other than the scene's, as those that follow; without a scene: 6")
    sites.add_argument("--stalls", type=int, help="without a scene: 48")
    sites.add_argument("--levels", type=int, help="without a scene: 1")
    sites.add_argument("--overlap", type=float, help="without a scene: 0.2")
    sites.add_argument("--view-m", type=float, help="how far each camera is trusted; less leaves blind stretches")
    sites.add_argument("--site-seed", type=int, default=1, help="measures and place of generated sites")
    runs = parser.add_argument_group("which runs")
    runs.add_argument("--hours", type=float, default=0.2)
    runs.add_argument("--seeds", type=_at_least_one, default=3)
    runs.add_argument("--first-seed", type=int, default=1)
    runs.add_argument("--profile", action="append", help="clean, default or harsh; may be given several times")
    runs.add_argument("--traffic", action="append", choices=("own", "sumo"), help="may be given several times")
    runs.add_argument("--stay-minutes", type=float, help="median of the stays; absent: 40")
    runs.add_argument("--plates", type=float, default=0.0, help="share of the well shown number plates that are read")
    others = parser.add_argument_group("beside what")
    others.add_argument("--peer", action="store_true", help="beside a plain ground tracker (needs the bench extra)")
    others.add_argument("--ablations", action="store_true", help="beside the fold without each of its parts")
    named = ", ".join((PEER, *OTHERS))
    others.add_argument("--instead", action="append", default=[], metavar="NAME", help=f"beside one of these: {named}")
    parser.add_argument("--out", type=Path, default=Path("twin-data/quality"))
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="show the N worst cases of each kind")
    parser.add_argument("--check", action="store_true", help="exit 1 if a figure is not where it should be")
    parser.add_argument("--json", action="store_true", help="print the reports instead of tables")
    return parser.parse_args(words)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seeds; give 1 or more")
    return number


def _others(options: argparse.Namespace) -> list[str]:
    named = [*([PEER] if options.peer else []), *(ABLATIONS if options.ablations else []), *options.instead]
    return list(dict.fromkeys(named))


def _told(title: str, columns: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    ours = columns["twin"]
    if len(columns) == 1:
        return table(title, ours) + worst_cases(ours, options.worst)
    text = side_by_side(title, columns) + worst_cases(ours, options.worst)
    says = [f"- {name}: {OTHERS[name].says}" for name in columns if name in OTHERS]
    return text + "\n" + "\n".join(says) + "\n" if says else text


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns its exit status."""
    options = _options(words)
    options.out.mkdir(parents=True, exist_ok=True)
    runs = dict[str, dict[str, list[Path]]]()
    for case in cases_of(options):
        run = fused(case, simulated(case, options.out))
        columns = runs.setdefault(", ".join(case.group), {"twin": []})
        columns["twin"].append(run)
        for name in _others(options):
            columns.setdefault(name, []).append(instead(case, run, name))
    found = {title: {name: scores(folders) for name, folders in columns.items()} for title, columns in runs.items()}
    if options.json:
        alone = {title: columns["twin"] for title, columns in found.items()}
        print(json.dumps(found if _others(options) else alone, indent=1))
    else:
        print("".join(_told(title, columns, options) for title, columns in found.items()), end="")
    short = {title: names for title, columns in found.items() if (names := missed(columns["twin"]))}
    for title, names in short.items():
        say(f"{title}: short of the goal: {', '.join(names)}")
    return 1 if options.check and short else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except TwinError as wrong:
        say(f"fusion_quality: {wrong}")
        raise SystemExit(1) from None
