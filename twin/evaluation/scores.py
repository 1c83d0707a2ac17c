"""``twin eval``: scores of runs against ground truth, with intervals and the worst cases, by the schema ``twin.eval/1``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twin.errors import BadInput
from twin.evaluation.figures import listed, pooled
from twin.evaluation.localization_scores import localization
from twin.evaluation.review_scores import CAUSES, review
from twin.evaluation.run_tables import read_manifest
from twin.evaluation.scored import Case, Scored
from twin.evaluation.session_scores import sessions
from twin.evaluation.stall_scores import stalls
from twin.evaluation.tracking_scores import tracking
from twin.events.codec import rfc3339

KINDS: Mapping[str, Callable[[Path, str | None], Scored]] = {
    "tracking": lambda run, _: tracking(run),
    "stalls": stalls,
    "sessions": sessions,
    "localization": lambda run, _: localization(run),
    "review": review,
}
LOWER_IS_BETTER = frozenset(
    {
        *("id_switches", "entry_error_p95_s", "exit_error_p95_s", "position_median_m", "position_p95_m"),
        *("ece", "ece_anchored", "latency_mean_ms", "latency_mean_ms_anchored"),
        *("money_error_minor", "money_error_reviewed_minor", "review_share", "wrong_unreviewed_share"),
        *(f"review_{cause}_share" for cause in CAUSES),
    }
)

_MOST_TOLD = 20


def evaluate(kind: str, runs: Sequence[Path], site: str | None = None) -> dict[str, Any]:
    """The report on one or several runs; the figures of several are of all their vehicles, stays or stalls together.

    With several runs, ``runs`` has each one's values, and ``mean`` and ``worst_run`` those of the runs.

    Args:
        site: for stalls and what stays cost: a folder or name; None: each run's own ``site``, else as its manifest says.

    Raises:
        BadInput: an unknown kind, a run given twice, or a fault in a run.
    """
    check_kind(kind)
    return report_of(kind, runs, lambda run: KINDS[kind](run, site), site)


def report_of(kind: str, runs: Sequence[Path], score: Callable[[Path], Scored], site: str | None) -> dict[str, Any]:
    """The report of any kind of score; raises BadInput for a run given twice, or a fault in a run."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise BadInput("a run was given twice, and would count twice; give each once")
    manifests = [read_manifest(run) for run in runs]
    scored = [score(run) for run in runs]
    figures = {name: pooled([one.figures[name] for one in scored]) for name in scored[0].figures}
    report: dict[str, Any] = {
        "schema": "twin.eval/1",
        "kind": kind,
        "n": sum(one.n for one in scored),
        "metrics": {name: listed(figure.estimate()) for name, figure in figures.items()},
        "worst": _worst(kind, site, list(zip(runs, scored, strict=True))),
    }
    return report if len(runs) == 1 else report | _by_run(runs, manifests, scored)


def check_kind(kind: str) -> None:
    """Raise BadInput for what no run is scored by."""
    if kind not in (*KINDS, "search"):
        raise BadInput(f"there is no score '{kind}'; use one of {', '.join((*KINDS, 'search', 'robustness'))}")


def report_text(report: Mapping[str, Any]) -> str:
    """The report for reading."""
    lines = [f"{report['kind']}, n {report['n']:,}"]
    for name, one in report["metrics"].items():
        line = f"  {name:32} {_number(one['value'])}"
        if one["value"] is not None:
            line += f"  ({_number(one['lo95'])} to {_number(one['hi95'])})"
        if "mean" in report:
            worst = report["worst_run"][name]
            line += f"  mean {_number(report['mean'][name])}, worst {_number(worst['value'])} in {worst['run']}"
        lines.append(line)
    for case in report["worst"]:
        lines += [f"{case['case']}: {case.get('vehicle') or case.get('stall')} at {case['at']}", f"  {case['replay']}"]
    return "\n".join(lines) + "\n"


def _by_run(runs: Sequence[Path], manifests: Sequence[Mapping[str, Any]], scored: Sequence[Scored]) -> dict[str, Any]:
    each: list[dict[str, Any]] = [
        {"run": str(run), **{key: manifest.get(key) for key in ("site", "seed", "profile")}, "n": one.n}
        | {"metrics": {name: listed(figure.estimate())["value"] for name, figure in one.figures.items()}}
        for run, manifest, one in zip(runs, manifests, scored, strict=True)
    ]
    mean, worst = dict[str, Any](), dict[str, Any]()
    for name in scored[0].figures:
        known: list[tuple[float, str]] = [
            (one["metrics"][name], one["run"]) for one in each if one["metrics"][name] is not None
        ]
        mean[name] = round(sum(value for value, _ in known) / len(known), 6) if known else None
        value, run = (max if name in LOWER_IS_BETTER else min)(known, default=(None, None))
        worst[name] = {"value": value, "run": run}
    return {"runs": each, "mean": mean, "worst_run": worst}


def _worst(kind: str, site: str | None, scored: list[tuple[Path, Scored]]) -> list[dict[str, Any]]:
    """The worst first; no kind of case takes more than half of the places."""
    cases = [(run, case) for run, one in scored for case in one.cases]
    cases.sort(key=lambda pair: (-pair[1].weight, str(pair[0]), pair[1].at, pair[1].case, pair[1].vehicle or ""))
    told, places = list[dict[str, Any]](), dict[str, int]()
    for run, case in cases:
        places[case.case] = places.get(case.case, 0) + 1
        if places[case.case] <= _MOST_TOLD // 2 and len(told) < _MOST_TOLD:
            told.append(_told(kind, site, run, case))
    return told


def _told(kind: str, site: str | None, run: Path, case: Case) -> dict[str, Any]:
    option, name = ("vehicle", case.vehicle) if case.stall is None else ("stall", case.stall)
    at = rfc3339(case.at)
    of_site = [] if site is None or case.stall is None else ["--site", site]
    replay = shlex.join(["twin", "eval", kind, str(run), f"--{option}", str(name), "--around", at, *of_site])
    return {"case": case.case, "run": str(run), option: name, "at": at, **case.fields, "replay": replay}


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
