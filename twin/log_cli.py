"""``twin log`` and ``twin db``: what is stored, whether it is whole, and in which schema."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from twin.commands import (
    AsJson,
    DataDir,
    SiteName,
    builtins,
    micros_of,
    print_json,
    say,
    saying_how_far,
    settings,
    with_log,
    with_logs,
)
from twin.errors import BadInput, DamagedLog, NotFound
from twin.events.ids import SiteId

if TYPE_CHECKING:
    from twin.log.backup import Manifest
    from twin.log.sql import SqlLog
    from twin.opened_logs import Logs

log_app = typer.Typer(help="The logs.", no_args_is_help=True)
db_app = typer.Typer(help="The database.", no_args_is_help=True)

_SiteInLog = Annotated[str | None, typer.Option("--site", help="A site's name in the log; absent: every site.")]


@log_app.command("tail")
def log_tail(
    site: SiteName,
    facts: Annotated[bool, typer.Option("--facts", help="The fact log instead of the observation log.")] = False,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="Start after this position; absent: all that is kept.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for more, or end at the head.")] = True,
    data_dir: DataDir = None,
) -> None:
    """Events as stored, one CloudEvents JSON a line."""

    async def tail(logs: Any, model: Any) -> None:
        log = logs.log
        from twin.events.codec import to_json

        made = await log.cuts(model.name)
        position = (0 if facts else made.observations) if after is None else after
        if after is None and (cut := made.movement if facts else made.observations):
            say(f"{'movement facts' if facts else 'observations'} up to {cut} are cut")
        given = {"thinned": True} if facts and after is None else {}
        while batch := await (log.facts if facts else log.observations)(model.name, after=position, limit=1000, **given):
            sys.stdout.writelines(to_json(event).decode() + "\n" for event in batch)
            position = batch[-1].position
        if follow:
            sys.stdout.flush()
            async for batch in (log.tail_facts if facts else log.tail_observations)(model.name, after=position):
                sys.stdout.writelines(to_json(event).decode() + "\n" for event in batch)
                sys.stdout.flush()

    with_log(site, data_dir, tail)


@log_app.command("head")
def log_head(site: _SiteInLog = None, data_dir: DataDir = None) -> None:
    """The heads of the hash chains as JSON: keep them elsewhere, for ``twin log verify --known``."""

    async def read(logs: Logs) -> None:
        from twin.log.chain import exported

        log = logs.sql
        heads = {one: await log.chain(one) for one in await _sites(log, site)}
        print_json(builtins(exported(heads)))

    _with_logs(data_dir, read)


@log_app.command("verify")
def log_verify(
    site: _SiteInLog = None,
    known: Annotated[Path | None, typer.Option("--known", help="Heads that ``twin log head`` printed before.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Read every event again, and tell where the logs are not what was written; exit 1 if anywhere."""

    async def read(logs: Logs) -> None:
        from twin.log.chain import imported
        from twin.log.sql import streams
        from twin.log.sql.verify_cuts import CUT_SINCE

        covered, log = imported(known.read_bytes()) if known is not None else {}, logs.sql
        found = [
            await log.verified(one, covered.get(one), saying_how_far(f"{one}: events read"))
            for one in await _sites(log, site, *covered)
        ]
        for number, one in enumerate(found):
            if logs.kafka is not None:
                from twin.log.kafka.verify import verify_streamed

                faults = (*one.faults, *await verify_streamed(logs.kafka, one.site))
                found[number] = msgspec.structs.replace(one, faults=faults)
            elif (place := await log.read(streams.first, one.site)) is not None:
                say(
                    f"{one.site}: observations after {place.position} are in topic '{place.topic}' and were not read; "
                    "set TWIN_KAFKA_BROKERS to verify them as well"
                )
        of_file = await log.file_faults()
        n_faults = sum(len(one.faults) for one in found) + len(of_file)
        if as_json:
            print_json({"schema": "twin.log_verify/1", "ok": n_faults == 0, "sites": builtins(found), "file": of_file})
        for one in found:
            say(f"{one.site}: {one.heads.observations.position} observations, {one.heads.facts.position} facts")
            covered_cuts = covered[one.site].cuts if one.site in covered else None
            for cut in one.cuts:
                is_new = one.site in covered and cut.number > (covered_cuts.number if covered_cuts else 0)
                told = f"{one.site}: {cut.what} up to {cut.position} cut at {cut.made_at}"
                say(told + (", after the known head" if is_new else "") + ("" if cut.is_swept else "; still being deleted"))
            for fault in one.faults:
                say(f"{one.site}: {fault.log} {fault.first} to {fault.last}: {fault.what}")
        for line in of_file:
            say(f"the database file: {line}")
        if n_faults and not of_file and all(fault.what == CUT_SINCE for one in found for fault in one.faults):
            raise BadInput(
                "the known heads are older than a cut, and say nothing of what is left: compare with heads that were exported"
                " after it. By its own links the log is whole"
            )
        if n_faults:
            raise DamagedLog(f"{n_faults} faults: this is not what was written; restore a backup made before")

    _with_logs(data_dir, read)


@log_app.command("trim")
def log_trim(
    site: SiteName,
    before: Annotated[str | None, typer.Option("--before", help="Cut observations recorded before; RFC 3339.")] = None,
    keep_days: Annotated[float | None, typer.Option("--keep-days", min=0, help="Or all but those of so many days.")] = None,
    movement_before: Annotated[
        str | None, typer.Option("--movement-before", help="Take movement facts recorded before, of cut observations.")
    ] = None,
    keep_movement_days: Annotated[
        float | None, typer.Option("--keep-movement-days", min=0, help="Or all but those of so many days.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be cut.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Cut old observations off at an anchor, and old movement out of the facts; sessions and all else stay."""
    if (before is not None and keep_days is not None) or (movement_before is not None and keep_movement_days is not None):
        raise BadInput("give a time or a number of days, not both")
    if before is None and keep_days is None and movement_before is None and keep_movement_days is None:
        raise BadInput("say what to cut: --before or --keep-days, --movement-before or --keep-movement-days")

    async def trim(logs: Any, model: Any) -> Any:
        from twin.log.clock import system_clock
        from twin.log.sql.subscriptions import SqlSubscriptions
        from twin.retention import Retention
        from twin.rules.fold import Fold

        def time_of(text: str | None, option: str, days: float | None) -> int | None:
            if days is not None:
                return system_clock() - round(days * 86_400_000_000)
            return None if text is None else micros_of(text, option)

        return await Retention(logs.log, logs.keys, Fold(model), SqlSubscriptions(logs.sql)).trim(
            before=time_of(before, "--before", keep_days),
            movement_before=time_of(movement_before, "--movement-before", keep_movement_days),
            dry_run=dry_run,
            told=saying_how_far(f"{model.name}: folded up to the cut"),
        )

    told = with_logs(site, data_dir, trim, read_only=dry_run)
    if as_json:
        print_json({"schema": "twin.log_trim/1", "dry_run": dry_run, **builtins(told)})
    verb = "would be" if dry_run else "are"
    say(f"{told.site}: observations up to {told.observations} and movement facts up to {told.movement} {verb} cut")
    if told.held_by is not None:
        say(f"{told.site}: subscription '{told.held_by}' has not acknowledged later movement, which stays")
    if not dry_run:
        say("keep what `twin log head` prints now: it covers this cut")


@log_app.command("afresh")
def log_afresh(site: SiteName, data_dir: DataDir = None) -> None:
    """Let this release's fold begin with an empty site where the log was cut, when it cannot read the state kept there."""

    async def begin(logs: Any, model: Any) -> int:
        from twin.fold_state import SNAPSHOT_KIND, version_of
        from twin.log.port import Snapshot
        from twin.rules.fold import Fold

        fold, position = Fold(model), (await logs.log.cuts(model.name)).observations
        body = fold.pack(fold.initial())
        await logs.log.save_snapshot(
            Snapshot(site=model.name, kind=SNAPSHOT_KIND, version=version_of(fold), position=position, at=0, body=body)
        )
        return position

    position = with_logs(site, data_dir, begin, read_only=False)
    say(f"the fold begins with an empty site after position {position}; what was on the site then is seen anew")


@db_app.command("upgrade")
def db_upgrade(data_dir: DataDir = None) -> None:
    """Bring a database of an older release to this one's schema; makes it where there is none.

    In one transaction: a database whose upgrade is broken off is as it was before. From before revision 0008 it writes every
    row anew, some 40,000 a second, and needs free room of twice the database meanwhile; from 0008, the observations only.
    """
    from twin.log.sql.migrate import newest_revision
    from twin.opened_logs import open_log

    async def upgrade() -> None:
        await open_log(settings(data_dir), upgrade=True).aclose()

    asyncio.run(upgrade())
    say(f"the database is at this release's schema, revision {newest_revision()}; a SQLite file keeps the size that it had")


def backup(
    out: Annotated[Path, typer.Option("--out", help="New folder for the backup.")],
    crops: Annotated[bool, typer.Option("--crops/--no-crops", help="Take the crops along.")] = True,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Copy the logs, their keys and the crops while the service runs, and verify the copy."""
    from twin.log.backup import CROPS, make_backup

    told = settings(data_dir)
    manifest = make_backup(told.log_location, told.data_dir / CROPS if crops else None, out)
    _tell(manifest, as_json, f"backup in {out}; it holds keys: keep it where only you can read it")


def restore(
    folder: Annotated[Path, typer.Option("--from", help="Folder that ``twin backup`` made.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Verify a backup and put it where there is no log yet; the search index is built anew from it."""
    from twin.log.backup import CROPS, restore_backup
    from twin.log.webhooks import PREFIX

    told = settings(data_dir)
    restored = restore_backup(folder, told.log_location, told.data_dir / CROPS)
    manifest = restored.manifest
    for one in restored.subscriptions:
        say(f"{one.site}: subscription '{one.name}' goes on after position {one.acknowledged_to} of {one.head}")
        if one.name.startswith(PREFIX):
            say(f"{one.site}: webhook '{one.name.removeprefix(PREFIX)}' is paused; resume it if nothing else sends for it")
    _tell(manifest, as_json, f"restored what was known at {manifest.made_at}; later observations that devices sent are lost")


def _tell(manifest: Manifest, as_json: bool, text: str) -> None:
    if as_json:
        print_json(builtins(manifest))
    for site, chain in manifest.chain.sites.items():
        say(f"{site}: {chain.observations.position} observations, {chain.facts.position} facts")
    say(text)


async def _sites(log: SqlLog, site: str | None, *others: SiteId) -> list[SiteId]:
    """The sites asked for: one of the log's, or all; raises NotFound."""
    stored = await log.sites()
    if site is None:
        return sorted({*stored, *others})
    if site not in stored:
        raise NotFound(f"the log holds no site '{site}'; it holds {', '.join(stored) or 'none'}")
    return [SiteId(site)]


def _with_logs(data_dir: Path | None, read: Callable[[Logs], Awaitable[None]]) -> None:
    from twin.opened_logs import opened_logs

    async def run() -> None:
        async with opened_logs(settings(data_dir), read_only=True) as logs:
            await read(logs)

    asyncio.run(run())
