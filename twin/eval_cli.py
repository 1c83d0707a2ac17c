"""``twin eval``: scores of runs against ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from twin.commands import AsJson, micros_of, print_json, say
from twin.errors import BadInput

Runs = Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders; several are pooled.")]
Kind = Annotated[str, typer.Argument(help="tracking, stalls, sessions, localization, search, review or robustness.")]


def evaluate(
    kind: Kind,
    runs: Runs,
    as_json: AsJson = False,
    vehicle: Annotated[
        str | None, typer.Option("--vehicle", help="Show a case: a vehicle of the truth or of the tracks.")
    ] = None,
    stall: Annotated[str | None, typer.Option("--stall", help="Show a case: a stall.")] = None,
    around: Annotated[str | None, typer.Option("--around", help="When the case was, RFC 3339.")] = None,
    site: Annotated[
        str | None,
        typer.Option("--site", help="For stalls, money, search: a site's folder or name; absent: as the run says."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, help="Of robustness: so much of the beginning; of clips, absent: 60.")
    ] = None,
    cameras: Annotated[int | None, typer.Option("--cameras", min=1, help="Of robustness: the first so many.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of robustness: what is lost, and how wrong; of search: the probes; absent: 1.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Of robustness: one degradation; may be given several times.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Of search: a file of `twin learn search`; absent: those of this release.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Of robustness: keep the degraded runs in this folder.")] = None,
) -> None:
    """Score runs against their ground truth, show one case of a run, or see what is left of it when things are worse."""
    from twin.evaluation.scores import check_kind, evaluate, report_text

    of_a_case = {"--vehicle": vehicle, "--stall": stall, "--around": around}
    if kind == "robustness":
        from twin.evaluation.robustness import Asked

        _refuse_given(of_a_case | {"--weights": weights}, f"'{kind}'")
        asked = Asked(
            seed=1 if seed is None else seed, seconds=seconds, n_cameras=cameras, only=tuple(only or ()), site=site, out=out
        )
        _robustness(runs, asked, as_json=as_json)
        return
    check_kind(kind)
    of_robustness = {"--seconds": seconds, "--cameras": cameras, "--seed": seed, "--only": only or None, "--out": out}
    if kind == "search":
        del of_robustness["--seed"]
    else:
        _refuse_given({"--weights": weights}, f"'{kind}'")
    _refuse_given(of_robustness, f"'{kind}'")
    if vehicle is not None or (stall is None and kind in ("tracking", "localization")):
        _refuse_given({"--site": site}, f"'{kind}'" if vehicle is None else "a vehicle's case")
    if any(value is not None for value in of_a_case.values()):
        _show(runs, vehicle, stall, around, site, as_json=as_json)
        return
    if kind == "search":
        from twin.evaluation.search_scores import search_report

        report = search_report(runs, site, weights, 1 if seed is None else seed)
    else:
        report = evaluate(kind, runs, site)
    if as_json:
        print_json(report)
    else:
        typer.echo(report_text(report), nl=False)


def _refuse_given(options: Mapping[str, Any], what: str) -> None:
    if given := [name for name, value in options.items() if value is not None]:
        raise BadInput(f"{', '.join(given)} would change nothing of {what}; leave out what is for something else")


def _robustness(runs: list[Path], asked: Any, *, as_json: bool) -> None:
    from twin.evaluation.robustness import robustness, robustness_text

    if len(runs) != 1:
        raise BadInput(f"robustness is of one run, but {len(runs)} were given")
    report = robustness(runs[0], asked, say)
    if as_json:
        print_json(report)
    else:
        typer.echo(robustness_text(report), nl=False)


def _show(
    runs: list[Path], vehicle: str | None, stall: str | None, around: str | None, site: str | None, *, as_json: bool
) -> None:
    from twin.evaluation.case import case_of, case_text
    from twin.evaluation.stall_scores import stall_case, stall_text

    if len(runs) != 1 or around is None or (vehicle is None) == (stall is None):
        raise BadInput("a case is shown of one run, around a time; give one RUN, --vehicle or --stall, and --around")
    at = micros_of(around, "--around")
    if vehicle is not None:
        shown, text = case_of(runs[0], vehicle, at), case_text
    else:
        shown, text = stall_case(runs[0], str(stall), at, site), stall_text
    if as_json:
        print_json(shown)
    else:
        typer.echo(text(shown), nl=False)
