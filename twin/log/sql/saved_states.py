"""Saved states beside a log, each with a digest of its own, as no chain covers them.

They can be made again from the events, so one that is not what was saved is passed over: a bit that a disk turned in one
would else be in every fact that is concluded from it, and in the anchor that stands for what retention cuts there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from sqlalchemy import Connection, Dialect, bindparam, select

from twin.events.ids import Micros, SiteId
from twin.log.port import Snapshot
from twin.log.sql import schema
from twin.log.sql.dialect import upsert
from twin.log.sql.prepared import Prepared, drivers

_N_DIGEST = 16

_logger = logging.getLogger(__name__)


def stored_body(snapshot: Snapshot) -> bytes:
    """What the database keeps of one: the digest, then its body."""
    return _digest(snapshot) + snapshot.body


def save(connection: Connection, snapshots: Sequence[Snapshot]) -> None:
    """Keep some; each replaces one of the same place."""
    table = schema.snapshots
    rows = [{**msgspec.structs.asdict(one), "body": stored_body(one)} for one in snapshots]
    one = upsert(connection.dialect, table)
    changed = {"body": one.excluded.body}
    connection.execute(one.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed), rows)


def load_same(connection: Connection, snapshot: Snapshot) -> Snapshot | None:
    """What is kept at the place of a snapshot."""
    return load_one(connection, snapshot.site, snapshot.kind, snapshot.version, snapshot.position, snapshot.at)


def load_one(connection: Connection, site: SiteId, kind: str, version: str, position: int, at: Micros) -> Snapshot | None:
    """See ``twin.log.port.Log.load_snapshot``; one that is not what was saved is passed over with a warning."""
    place = {"site": site, "kind": kind, "version": version, "position": position, "at": at}
    rows = _finding(connection.dialect).all(connection, place)
    if not rows:
        return None
    stored = bytes(rows[0][0])
    snapshot = Snapshot(**place, body=stored[_N_DIGEST:])
    if stored[:_N_DIGEST] == _digest(snapshot):
        return snapshot
    _say_passed_over(site, kind, str(position))
    return None


@lru_cache(maxsize=8)
def _finding(dialect: Dialect) -> Prepared:
    """Finds one by its primary key: what sorts them by time reads the bodies of all."""
    names = schema.snapshots.primary_key.columns
    return Prepared(select(schema.snapshots.c.body).where(*(one == bindparam(one.name) for one in names)), drivers(dialect))


def load(
    connection: Connection, site: SiteId, kind: str, version: str, until_position: int, until_at: Micros | None, limit: int
) -> list[Snapshot]:
    """See ``twin.log.port.Log.load_snapshots``; those that are not what was saved are passed over with a warning."""
    table = schema.snapshots
    query = select(table).where(
        table.c.site == site, table.c.kind == kind, table.c.version == version, table.c.position <= until_position
    )
    if until_at is not None:
        query = query.where(table.c.at <= until_at)
    newest = query.order_by(table.c.at.desc(), table.c.position.desc())
    sound, damaged, n_read = list[Snapshot](), list[int](), 0
    while len(sound) < limit:
        rows = connection.execute(newest.limit(limit - len(sound)).offset(n_read)).all()
        if not rows:
            break
        n_read += len(rows)
        for row in rows:
            stored = Snapshot(**row._asdict())
            snapshot = msgspec.structs.replace(stored, body=stored.body[_N_DIGEST:])
            if stored.body[:_N_DIGEST] == _digest(snapshot):
                sound.append(snapshot)
            else:
                damaged.append(snapshot.position)
    if damaged:
        _say_passed_over(site, kind, ", ".join(map(str, sorted(damaged))))
    return sound


@lru_cache(maxsize=1_000)  # once a process, however often it is asked for
def _say_passed_over(site: SiteId, kind: str, positions: str) -> None:
    _logger.warning(
        "site '%s': states of kind '%s' saved at %s are damaged, or of before there were digests; older ones are used, or they"
        " are made again from the events. If this release saved them, look at the disk, and see `twin log verify`",
        site,
        kind,
        positions,
    )


def _digest(snapshot: Snapshot) -> bytes:
    names = (snapshot.site, snapshot.kind, snapshot.version, snapshot.position, snapshot.at)
    framed = hashlib.blake2b(msgspec.msgpack.encode(names), digest_size=_N_DIGEST)
    framed.update(snapshot.body)
    return framed.digest()
