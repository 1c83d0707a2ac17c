"""``twin doctor``: looks at everything that serving needs, and says what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.commands import AsJson, DataDir, builtins, print_json, settings


def doctor(
    site: Annotated[
        list[str] | None, typer.Option("--site", help="Sites to look at as well; absent: those of TWIN_SITE_DIRS.")
    ] = None,
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Of a service to look at (TWIN_PORT).")] = None,
    as_json: AsJson = False,
) -> None:
    """Can this machine serve? Settings, packages, disk, sites, servers, the log, a service that runs; exit 1 if it cannot."""
    from twin.doctor import examined
    from twin.log.clock import system_clock

    told = settings(data_dir, port=port)
    findings = []
    for one in examined(told, site or [str(folder) for folder in told.site_dirs], system_clock):
        findings.append(one)
        if not as_json:
            mark = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}[one.verdict]
            typer.echo(f"{mark}  {one.name}: {one.words}")
    is_well = all(one.verdict != "fail" for one in findings)
    if as_json:
        print_json({"schema": "twin.doctor/1", "ok": is_well, "findings": builtins(findings)})
    if not is_well:
        raise typer.Exit(1)
