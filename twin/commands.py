"""What the subcommands of ``twin`` share: options, settings, and how they print."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from twin.errors import BadInput
from twin.settings import Settings
from twin.structured_logging import set_up_logging

SiteName = Annotated[str, typer.Option("--site", help="A site's folder, or the name of a packaged site.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of logs and crops (TWIN_DATA_DIR, else ./twin-data).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings(data_dir: Path | None, *, host: str | None = None, port: int | None = None) -> Settings:
    """The process settings, with what the command line says."""
    given = {"data_dir": data_dir, "host": host, "port": port}
    told = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(Settings.from_environ(os.environ), **told)


def announcing(told: Settings) -> Callable[[str], None]:
    """Set the process's log up as the settings say, and give where to announce that it serves: in the log's own form."""
    set_up_logging(told.log_level, told.log_format)
    return say if told.log_format == "text" else logging.getLogger("twin").warning


def served(sites: list[str] | None, told: Settings) -> list[str]:
    """The sites that the command line names, else those of the settings; raises BadInput where there are none."""
    names = sites or [str(folder) for folder in told.site_dirs]
    if not names:
        raise BadInput("no site is named; give --site DIR, or set TWIN_SITE_DIRS")
    return names


def with_logs(site: str, data_dir: Path | None, work: Any, *, read_only: bool) -> Any:
    """What ``work(logs, site model)`` gives, with the log open."""
    from site_models.load import load_site, resolve
    from twin.opened_logs import opened_logs

    model = load_site(resolve(site))

    async def run() -> Any:
        async with opened_logs(settings(data_dir), read_only=read_only) as logs:
            return await work(logs, model)

    return asyncio.run(run())


def with_log(site: str, data_dir: Path | None, read: Any) -> Any:
    """What ``read(logs, site model)`` gives, with the log open for reading."""

    async def run(logs: Any, model: Any) -> Any:
        stored = await logs.sql.sites()
        if model.name not in stored:
            say(f"the log holds nothing of site '{model.name}' yet; it holds {', '.join(stored) or 'nothing of any site'}")
        return await read(logs, model)

    return with_logs(site, data_dir, run, read_only=True)


def micros_of(text: str, option: str) -> int:
    """A time given to an option; raises BadInput."""
    from twin.events.codec import micros

    try:
        return micros(text)
    except ValueError as wrong:
        raise BadInput(f"{option} '{text}' cannot be read: {wrong}; give RFC 3339 such as 2026-01-01T09:00:00Z") from None


def builtins(value: Any) -> Any:
    """As plain lists, dicts, numbers and text."""
    return msgspec.to_builtins(value)


def print_json(value: Any) -> None:
    """Canonical JSON on standard output."""
    from twin.events.codec import canonical_json

    typer.echo(canonical_json(value).decode())


def saying_how_far(what: str, clock: Callable[[], int] | None = None) -> Callable[[int, int], None]:
    """To be told how many of how many are done; says so every ten seconds, so that nothing long is without a word.

    Args:
        clock: microseconds; None: the machine's.
    """
    from twin.log.clock import system_clock

    clock = clock or system_clock
    said_at = clock()

    def told(n_done: int, n_all: int) -> None:
        nonlocal said_at
        if (now := clock()) - said_at >= 10_000_000:
            said_at = now
            say(f"{what}: {n_done} of {n_all}")

    return told


def say(text: str) -> None:
    """A line on standard error."""
    typer.echo(text, err=True)


def database_trouble(wrong: Exception) -> str | None:
    """What a database or its driver said, and what to do; None where it was something else."""
    from sqlalchemy.exc import DBAPIError

    if not isinstance(wrong, DBAPIError):
        return None
    said = " ".join(str(wrong.orig).split())
    if any(words in said for words in ("malformed", "not a database", "disk I/O error")):
        return (
            f"the database cannot be read: {said}. The file is damaged, or its disk is: keep a copy of it, and "
            "put a backup into a new --data-dir with `twin restore`"
        )
    return f"the database refused: {said}; nothing that was not acknowledged is stored. Look at it and its disk, then try again"
