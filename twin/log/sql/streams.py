"""Where observations are that a broker keeps: the fold's place in it, and places on the way, to read them again from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, delete, func, insert, select

from twin.errors import Conflict
from twin.events.envelope import DeviceKey
from twin.events.ids import DeviceId, Micros, SiteId
from twin.log.chain import Link
from twin.log.devices import Devices
from twin.log.sql import reader, schema
from twin.log.sql.rows import BOOT_EPOCH, DEVICE

KEEP_EVERY = 1_000
"""Observations between two places that are kept."""

_CHUNK = 5_000

_places, _p = schema.stream_places, schema.stream_places.c


class StreamPlace(Struct, frozen=True, kw_only=True):
    """A position of a site's observation log, and the offset after which the observations after it are.

    Attributes:
        next_offset: of the first record that is not part of positions 1 to ``position``.
        recorded_at: of the observation at this position.
        link: the observations' chain up to this position.
        devices: what is stored of each device up to here, as ``twin.log.devices`` packs it.
    """

    position: int
    topic: str
    partition: int
    next_offset: int
    recorded_at: Micros
    link: Link
    devices: bytes


class StreamRefusal(Struct, frozen=True):
    """A device key that came again with other content; ``position`` is that of its first."""

    key: DeviceKey
    position: int
    content_hash: bytes


def begin(connection: Connection, site: SiteId, *, topic: str, partition: int, next_offset: int) -> StreamPlace:
    """Let a site's observations go on in a broker from this offset on; or give where they did already.

    Raises:
        Conflict: observations in the database are not folded yet.
    """
    if (begun := newest(connection, site)) is not None:
        return begun
    head = connection.execute(select(schema.heads).where(schema.heads.c.site == site)).one()
    if head.observations != head.cursor:
        raise Conflict(
            f"site '{site}' has {head.observations} observations in its database, and {head.cursor} of them are folded;"
            " serve it without a broker until all are, and then with one"
        )
    place = StreamPlace(
        position=head.cursor,
        topic=topic,
        partition=partition,
        next_offset=next_offset,
        recorded_at=head.observations_recorded_at,
        link=Link(head.observations_content, head.observations_times),
        devices=_devices(connection, site),
    )
    connection.execute(insert(_places).values(_row(site, place)))
    return place


def _devices(connection: Connection, site: SiteId) -> bytes:
    """What the database has of each device, cut or not: a resend of it into the broker is not stored again."""
    columns = schema.observations.c
    anchor = reader.cuts(connection, site).anchor
    devices = Devices(anchor.devices if anchor else b"")
    query = select(columns.position, DEVICE, BOOT_EPOCH, columns.sequence, columns.content_hash)
    kept = query.where(columns.site == site, columns.position > (anchor.position if anchor else 0))
    for rows in connection.execute(kept.order_by(columns.position)).partitions(_CHUNK):
        for position, device, boot_epoch, sequence, content_hash in rows:
            devices.stored(DeviceKey(device=DeviceId(device), boot_epoch=boot_epoch, sequence=sequence), position, content_hash)
    return devices.pack()


def move(connection: Connection, site: SiteId, place: StreamPlace, *, after: int) -> None:
    """Replace the newest place, at position ``after``, by this one; the first one stays, and one of every so many positions."""
    first = connection.scalar(select(func.min(_p.position)).where(_p.site == site))
    if after == place.position or (after != first and after // KEEP_EVERY == place.position // KEEP_EVERY):
        connection.execute(delete(_places).where(_p.site == site, _p.position == after))
    connection.execute(insert(_places).values(_row(site, place)))


def newest(connection: Connection, site: SiteId, until: int | None = None) -> StreamPlace | None:
    """The last place of a site, at or before position ``until``; None: its observations are not kept in a broker there."""
    query = select(_places).where(_p.site == site)
    if until is not None:
        query = query.where(_p.position <= until)
    return _place(connection.execute(query.order_by(_p.position.desc()).limit(1)).mappings().one_or_none())


def first(connection: Connection, site: SiteId) -> StreamPlace | None:
    """Where a site's observations left its database; None: they did not."""
    query = select(_places).where(_p.site == site).order_by(_p.position)
    return _place(connection.execute(query.limit(1)).mappings().one_or_none())


def newest_by(connection: Connection, site: SiteId, recorded_at: Micros) -> StreamPlace | None:
    """The last place of a site that was recorded at or before a time; None: there is none as old."""
    query = select(_places).where(_p.site == site, _p.recorded_at <= recorded_at).order_by(_p.position.desc())
    return _place(connection.execute(query.limit(1)).mappings().one_or_none())


def begin_at(connection: Connection, site: SiteId, place: StreamPlace) -> None:
    """Let this place, at an anchor, be the first; those before it are forgotten."""
    connection.execute(delete(_places).where(_p.site == site, _p.position <= place.position))
    connection.execute(insert(_places).values(_row(site, place)))


def all_of(connection: Connection, site: SiteId) -> list[StreamPlace]:
    """Every place that is kept, by position."""
    query = select(_places).where(_p.site == site).order_by(_p.position)
    return [place for row in connection.execute(query).mappings() if (place := _place(row)) is not None]


def _row(site: SiteId, place: StreamPlace) -> dict[str, Any]:
    columns = {name: getattr(place, name) for name in place.__struct_fields__ if name != "link"}
    return {"site": site, "content": place.link.content, "times": place.link.times, **columns}


def _place(row: Mapping[Any, Any] | None) -> StreamPlace | None:
    if row is None:
        return None
    given = {name: row[name] for name in StreamPlace.__struct_fields__ if name != "link"}
    return StreamPlace(link=Link(row["content"], row["times"]), **given)
