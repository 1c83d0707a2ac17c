"""``twin eval``: scores of runs against ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.commands import AsJson, micros_of, print_json
from twin.errors import BadInput

Runs = Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders; several are pooled.")]
Kind = Annotated[str, typer.Argument(help="tracking, stalls, sessions or localization.")]


def evaluate(
    kind: Kind,
    runs: Runs,
    as_json: AsJson = False,
    vehicle: Annotated[
        str | None, typer.Option("--vehicle", help="Show a case: a vehicle of the truth or of the tracks.")
    ] = None,
    around: Annotated[str | None, typer.Option("--around", help="When, RFC 3339.")] = None,
) -> None:
    """Score runs against their ground truth, or show one case of a run."""
    from twin.evaluation.scores import evaluate, report_text

    if vehicle is not None:
        _show(runs, vehicle, around, as_json=as_json)
        return
    report = evaluate(kind, runs)
    if as_json:
        print_json(report)
    else:
        typer.echo(report_text(report), nl=False)


def _show(runs: list[Path], vehicle: str, around: str | None, *, as_json: bool) -> None:
    from twin.evaluation.case import case_of, case_text

    if len(runs) != 1 or around is None:
        raise BadInput("a case is shown of one run, around a time; give one RUN, --vehicle and --around")
    shown = case_of(runs[0], vehicle, micros_of(around, "--around"))
    if as_json:
        print_json(shown)
    else:
        typer.echo(case_text(shown), nl=False)
