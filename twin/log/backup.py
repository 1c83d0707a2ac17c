"""Backups of a log with its keys and crops: made while the service runs, and verified before they are restored."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from twin.errors import BadInput, Conflict, DamagedLog, NotFound
from twin.events.codec import rfc3339
from twin.events.ids import SiteId
from twin.log.chain import ChainHeads, Exported, exported, heads_in
from twin.log.clock import Clock, system_clock
from twin.log.sql.copying import copy_in, copy_out
from twin.log.sql.dialect import locate, reading_engine
from twin.log.sql.migrate import newest_revision, upgrade_file
from twin.log.sql.subscriptions import Resumed, reconcile
from twin.log.sql.verify import verify_all

DATABASE, CROPS, MANIFEST = "log.db", "crops", "backup.json"


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds.

    Attributes:
        made_at: RFC 3339.
        revision: of the database's schema.
        sha256: of the database file.
        chain: heads of the logs in it.
        n_crops: files of the crop store; None where they were left out.
    """

    schema: Literal["twin.backup/1"] = "twin.backup/1"
    made_at: str
    revision: str
    sha256: str
    chain: Exported
    n_crops: int | None


def make_backup(location: str | Path, crops: Path | None, out: Path, *, clock: Clock = system_clock) -> Manifest:
    """Copy database and crops into a new folder, and read the copy again; it appears whole or not at all.

    The database is of one moment; a crop that comes or goes meanwhile may be in it or not.

    Args:
        crops: folder of the crop store; None leaves them out.

    Raises:
        NotFound: there is no log.
        Conflict: ``out`` exists, or the schema is not this release's.
        DamagedLog: the log is not what was written; ``out`` is not made.
    """
    url = locate(location)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise NotFound(f"there is no log at '{url.database}'; name the folder that the service writes to")
    if out.exists():
        raise Conflict(f"'{out}' exists already; name a new folder for every backup")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    try:
        copy_out(url, partial / DATABASE)
        manifest = Manifest(
            made_at=rfc3339(clock()),
            revision=newest_revision(),
            sha256=_sha256(partial / DATABASE),
            chain=exported(_verified(partial / DATABASE, {})),
            n_crops=None if crops is None else _copy_crops(crops, partial / CROPS),
        )
        (partial / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


class Restored(Struct, frozen=True, kw_only=True):
    """What was restored.

    Attributes:
        subscriptions: where each goes on; what its consumer did after the backup was made, it is asked to do again.
    """

    manifest: Manifest
    subscriptions: list[Resumed]


def restore_backup(folder: Path, location: str | Path, crops: Path) -> Restored:
    """Check a backup against its manifest, and put it where there is no log yet.

    Raises:
        NotFound, BadInput: the folder holds no backup.
        DamagedLog: the backup is not what was made.
        Conflict: there is a log already, or the backup is of a newer release.
    """
    manifest, url = _manifest(folder), locate(location)
    if (digest := _sha256(folder / DATABASE)) != manifest.sha256:
        raise DamagedLog(
            f"'{folder / DATABASE}' has SHA-256 {digest}, but the backup was {manifest.sha256}; use another backup"
        )
    if crops.exists() and any(crops.iterdir()) and manifest.n_crops is not None:
        raise Conflict(f"there are crops in '{crops}' already; move them away, or restore into another folder")
    resumed = _restore_database(folder, url, crops.parent, heads_in(manifest.chain))
    if manifest.n_crops is not None:
        _copy_crops(folder / CROPS, crops)
    return Restored(manifest=manifest, subscriptions=resumed)


def _restore_database(folder: Path, url: URL, workplace: Path, known: dict[SiteId, ChainHeads]) -> list[Resumed]:
    """By way of a copy, which may be upgraded and so verified; the backup stays as it is."""
    workplace.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workplace, prefix="restoring-") as beside:
        copy = Path(beside) / DATABASE
        shutil.copyfile(folder / DATABASE, copy)
        upgrade_file(copy)
        _verified(copy, known)
        resumed = _reconciled(copy)
        copy_in(copy, url)
    return resumed


def _reconciled(database: Path) -> list[Resumed]:
    engine = create_engine(locate(database))
    try:
        with engine.begin() as connection:
            return reconcile(connection)
    finally:
        engine.dispose()


def _verified(database: Path, known: dict[SiteId, ChainHeads]) -> dict[SiteId, ChainHeads]:
    """The chain heads of every site; raises DamagedLog."""
    engine = reading_engine(locate(database), 1)
    try:
        with engine.connect() as connection:
            found = verify_all(connection, known)
    finally:
        engine.dispose()
    for one in found:
        for fault in one.faults[:1]:
            raise DamagedLog(
                f"{fault.log} {fault.first} to {fault.last} of site '{one.site}': {fault.what}; see `twin log verify`, and use "
                "an older backup"
            )
    return {one.site: one.heads for one in found}


def _manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise NotFound(f"'{folder}' is no folder; give one that `twin backup` made")
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NotFound(f"'{folder}' holds no {MANIFEST}; give a folder that `twin backup` made") from None
    except msgspec.DecodeError as wrong:
        raise BadInput(f"'{folder / MANIFEST}' is no backup's: {wrong}") from None


def _copy_crops(source: Path, target: Path) -> int:
    """Whole files only; one that is evicted meanwhile is left out."""
    n_copied = 0
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        if not path.is_file() or path.suffix == ".tmp":
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            shutil.copyfile(path, copy)
        except FileNotFoundError:
            continue
        os.chmod(copy, 0o600)
        n_copied += 1
    return n_copied


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
