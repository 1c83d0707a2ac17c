"""Reports of runs of one scene, and as tables: each figure beside its goal, of all runs together, their mean and the worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twin.errors import TwinError
from twin.evaluation.scores import evaluate

from .goals import goal_text, is_met
from .made import say

KINDS = ("tracking", "sessions", "localization", "stalls", "review")

_SAID = ("case", "run", "replay", "vehicle", "stall", "at")

Reports = Mapping[str, Mapping[str, Any]]
"""For each kind, a report of the schema ``twin.eval/1``."""


def scores(runs: Sequence[Path], kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """The report of each kind; a kind that cannot be scored says why."""
    found = dict[str, Any]()
    for kind in kinds:
        try:
            found[kind] = evaluate(kind, runs)
        except TwinError as wrong:
            say(f"{kind} is left out: {wrong}")
    return found


def figures(reports: Reports) -> dict[str, Any]:
    """Every figure by name, as its report has it."""
    return {name: one for _, name, one, _ in _rows(reports)}


def missed(reports: Reports) -> list[str]:
    """Figures that are not where they should be."""
    return [name for name, one in figures(reports).items() if not is_met(name, one["value"])]


def table(title: str, reports: Reports) -> str:
    """A Markdown table of one scene's runs."""
    lines = ["", f"**{title}**", "", "| figure | goal | together (95 %) | mean | worst | in |", "|---|---|---:|---:|---:|---|"]
    for _, name, one, report in _rows(reports):
        mean, worst = report.get("mean", {}).get(name, one["value"]), report.get("worst_run", {}).get(name, {})
        run = Path(worst["run"]).name.rpartition("-seed-")[2] if worst.get("run") else ""
        told = f"{number(mean)} | {number(worst.get('value', one['value']))} | {run and f'seed {run}'}"
        lines.append(f"| `{name}` | {goal_text(name)} | {_cell(name, one)} | {told} |")
    return "\n".join(lines) + "\n"


def side_by_side(title: str, columns: Mapping[str, Reports]) -> str:
    """A Markdown table with a column for each way to come to conclusions, of all runs together."""
    named = {column: figures(reports) for column, reports in columns.items()}
    every = list(dict.fromkeys(name for one in named.values() for name in one))
    lines = ["", f"**{title}**", "", f"| figure | goal | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
    for name in every:
        cells = [_cell(name, one[name], with_interval=False) if name in one else "–" for one in named.values()]
        lines.append(f"| `{name}` | {goal_text(name)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def worst_cases(reports: Reports, most: int) -> str:
    """The worst cases of each kind, with the line that shows each."""
    lines = list[str]()
    for kind, report in reports.items():
        for case in report["worst"][:most]:
            told = {
                name: value for name, value in case.items() if name not in ("case", "run", "replay", "vehicle", "stall", "at")
            }
            who = case.get("vehicle") or case.get("stall")
            lines.append(f"- {kind}: {case['case']}, {who} at {case['at']} {told or ''}\n  `{case['replay']}`")
    return "\n".join(lines) + "\n" if lines else ""


def number(value: float | None) -> str:
    """A figure for reading."""
    return "–" if value is None else f"{value:.4g}"


def _rows(reports: Reports) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """Kind, name, figure and report; a figure that two kinds tell is told once."""
    told = set[str]()
    for kind, report in reports.items():
        for name, one in report["metrics"].items():
            if name not in told:
                told.add(name)
                yield kind, name, one, report


def _cell(name: str, one: Mapping[str, Any], *, with_interval: bool = True) -> str:
    told = number(one["value"]) if is_met(name, one["value"]) else f"**{number(one['value'])}**"
    return f"{told} ({number(one['lo95'])} to {number(one['hi95'])})" if with_interval and one["value"] is not None else told
