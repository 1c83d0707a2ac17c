"""``twin key``: API keys, made and revoked beside a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.commands import AsJson, DataDir, print_json, say, settings
from twin.errors import BadInput

if TYPE_CHECKING:
    from twin.access.keys import KeyRecord
    from twin.access.store import AccessStore

key_app = typer.Typer(help="API keys: who may do what at which site.", no_args_is_help=True)

_DAY_US = 86_400_000_000


@key_app.command("create")
def key_create(
    site: Annotated[str, typer.Option("--site", help="Names of sites, separated by commas; '*' is every site.")],
    scope: Annotated[
        str, typer.Option("--scope", help="Of ingest, read, search, operate, admin, separated by commas; admin is all of them.")
    ],
    name: Annotated[str, typer.Option("--name", help="Who or what it is for.")] = "",
    expires_days: Annotated[
        float | None, typer.Option("--expires-days", min=0.001, max=36_500, help="Absent: it ends when it is revoked.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, once: only a hash is kept. A running service takes it within a second."""
    from twin.access.keys import EVERY_SITE, SCOPES, KeyRecord, Scope, new_key
    from twin.log.clock import system_clock

    sites, scopes = _words(site), _words(scope)
    if unknown := [one for one in scopes if one not in SCOPES]:
        raise BadInput(f"there is no scope '{unknown[0]}'; there are {', '.join(SCOPES)}")
    if not sites or not scopes or (EVERY_SITE in sites and len(sites) > 1):
        raise BadInput("a key is for some sites and some scopes; name them, separated by commas, or '*' alone for every site")
    given: tuple[Scope, ...] = tuple(one for one in SCOPES if one in scopes)
    made, now = new_key(os.urandom), system_clock()
    record = KeyRecord(
        id=made.id,
        name=name or f"key {made.id}",
        sites=tuple(sites),
        scopes=given,
        digest=made.digest,
        made_at=now,
        expires_at=None if expires_days is None else now + round(expires_days * _DAY_US),
    )
    with _store(data_dir) as store:
        store.add_key(record)
    if as_json:
        print_json({"schema": "twin.key/1", "key": made.text, **_told(record, now)})
    else:
        typer.echo(made.text)
    say(f"key '{made.id}' for {', '.join(sites)}: {', '.join(given)}; it is not shown again")


@key_app.command("list")
def key_list(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """All keys that were ever made, without what opens anything."""
    from twin.log.clock import system_clock

    now = system_clock()
    with _store(data_dir) as store:
        told = [_told(one, now) for one in store.all_keys()]
    if as_json:
        print_json({"schema": "twin.keys/1", "keys": told})
        return
    for one in told:
        used = f"used about {one['used_at']}" if one["used_at"] else "never used"
        until = f", until {one['expires_at']}" if one["expires_at"] else ""
        what = f"{','.join(one['sites'])}  {','.join(one['scopes'])}"
        typer.echo(f"{one['id']}  {one['state']}  {what}  made {one['made_at']}{until}, {used}  {one['name']}")


@key_app.command("revoke")
def key_revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="As `twin key list` shows it.")], data_dir: DataDir = None
) -> None:
    """Close a key for good; every running service refuses it within seconds, and its browsers and connections."""
    from twin.access.keys import KeyId
    from twin.log.clock import system_clock

    with _store(data_dir) as store:
        store.revoke(KeyId(key), system_clock())
    say(f"key '{key}' is revoked")


@contextmanager
def _store(data_dir: Path | None) -> Iterator[AccessStore]:
    from twin.access.store import AccessStore

    store = AccessStore.open(settings(data_dir).access_location)
    try:
        yield store
    finally:
        store.close()


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))


def _told(record: KeyRecord, now: int) -> dict[str, Any]:
    from twin.events.codec import rfc3339

    state = "revoked" if record.revoked_at is not None else "valid" if record.is_valid(now) else "expired"
    who = {"id": record.id, "name": record.name, "sites": record.sites, "scopes": record.scopes, "state": state}
    times = {name: getattr(record, name) for name in ("made_at", "expires_at", "revoked_at", "used_at")}
    return who | {name: None if at is None else rfc3339(at) for name, at in times.items()}
