"""Queries, as functions of a connection; each is one statement, so it sees one state of the log."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, Select, and_, desc, exists, select, true

from twin.events.envelope import DeviceKey, RecordedFact, RecordedObservation
from twin.events.ids import DeviceId, EventId, Micros, SiteId, fact_id
from twin.log.chain import ChainHead, ChainHeads, CutsHead, Link, chained, content_after, origin
from twin.log.cuts import Anchor, CutRecord, Cuts, Thinning, check_facts, check_observations, cut_of
from twin.log.port import Heads, Refusal, Superseded, at_positions
from twin.log.sql import schema
from twin.log.sql.fact_ids import id_head
from twin.log.sql.names import is_among
from twin.log.sql.rows import FACT_COLUMNS, OBSERVATION_COLUMNS, SUBJECT, recorded_fact, recorded_observation

_CHUNK = 500
_Query = Select[*tuple[Any, ...]]

_h, _o, _f, _s, _c = schema.heads.c, schema.observations.c, schema.facts.c, schema.supersessions.c, schema.cuts.c


def sites(connection: Connection) -> list[SiteId]:
    """See ``twin.log.port.Log``; sorted here, since databases sort text each in its own way."""
    return sorted(SiteId(site) for site in connection.scalars(select(_h.site).where(_h.observations > 0)))


def heads(connection: Connection, site: SiteId) -> Heads:
    """See ``twin.log.port.Log``."""
    row = connection.execute(select(_h.observations, _h.facts, _h.cursor).where(_h.site == site)).one_or_none()
    return Heads() if row is None else Heads(observations=row.observations, facts=row.facts, cursor=row.cursor)


def chain(connection: Connection, site: SiteId) -> ChainHeads:
    """See ``twin.log.port.Log``."""
    last = select(_c.number, _c.digest).where(_c.site == site).order_by(_c.number.desc()).limit(1).subquery()
    query = select(schema.heads, last.c.number, last.c.digest).outerjoin(last, true())
    row = connection.execute(query.where(_h.site == site)).one_or_none()
    if row is None:
        return ChainHeads(
            observations=chained(site, "observations", ()), facts=chained(site, "facts", ()), kept=chained(site, "kept", ())
        )
    seen, concluded = Link(row.observations_content, row.observations_times), Link(row.facts_content, row.facts_times)
    return ChainHeads(
        observations=ChainHead(position=row.observations, link=seen),
        facts=ChainHead(position=row.facts, link=concluded),
        kept=ChainHead(position=row.kept, link=Link(row.kept_content, row.kept_times)),
        cuts=CutsHead(number=row.number, digest=row.digest) if row.number is not None else None,
    )


def cuts(connection: Connection, site: SiteId) -> Cuts:
    """See ``twin.log.port.Log``; one that cannot be read counts as none, which ``twin.log.sql.verify`` tells."""
    newest = {
        log: connection.execute(select(schema.cuts).where(_c.site == site, _c.log == log).order_by(_c.number.desc()).limit(1))
        .mappings()
        .one_or_none()
        for log in ("observations", "facts")
    }
    rows = {log: row for log, row in newest.items() if row is not None}
    if not rows:
        return Cuts()
    made: dict[str, Any] = {log: cut_in(row) for log, row in rows.items()}
    last = max(rows.values(), key=lambda row: row["number"])
    return Cuts(anchor=made.get("observations"), thinning=made.get("facts"), number=last["number"], digest=last["digest"])


def cut_in(row: Mapping[Any, Any]) -> Anchor | Thinning | None:
    """The cut in a row of ``cuts``; None where its body is gone or damaged."""
    record = CutRecord(**{name: row[name] for name in CutRecord.__struct_fields__})
    try:
        return cut_of(record, row["body"] or b"")
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError, UnicodeDecodeError):
        return None


def observations_digest(connection: Connection, site: SiteId, position: int) -> bytes:
    """The first part of the observations' chain at a position that is stored; by way of the last link kept before it."""
    marks, batches = schema.chain_marks.c, schema.fact_batches.c
    links = [
        select(marks.position, marks.content).where(
            marks.site == site, marks.log == "observations", marks.position <= position
        ),
        select(batches.cursor, batches.digest).where(batches.site == site, batches.cursor <= position),
    ]
    links.append(select(_c.position, _c.content).where(_c.site == site, _c.log == "observations"))
    newest = (connection.execute(one.order_by(desc(one.selected_columns[0])).limit(1)).one_or_none() for one in links)
    after, content = max((tuple(row) for row in newest if row is not None), default=(0, origin(site, "observations").content))
    rows = connection.execute(
        select(_o.position, _o.content_hash, SUBJECT)
        .where(_o.site == site, _o.position > after, _o.position <= position)
        .order_by(_o.position)
    )
    return content_after(content, "observations", cast("Iterable[Mapping[str, Any]]", rows.mappings()))


def observations(connection: Connection, site: SiteId, after: int, limit: int) -> list[RecordedObservation]:
    """See ``twin.log.port.Log``."""
    query = select(*OBSERVATION_COLUMNS).where(_o.site == site, _o.position > after).order_by(_o.position).limit(limit)
    found = [recorded_observation(site, row) for row in connection.execute(query)]
    check_observations(site, after, connection.scalar(select(_h.observations_cut).where(_h.site == site)) or 0)
    return found


def facts(
    connection: Connection, site: SiteId, after: int, limit: int, types: Sequence[str], thinned: bool
) -> list[RecordedFact]:
    """See ``twin.log.port.Log``."""
    query = _of(select(*FACT_COLUMNS).where(_f.site == site, _f.position > after), types, None)
    found = [recorded_fact(site, row) for row in connection.execute(query.order_by(_f.position).limit(limit))]
    if not thinned:
        check_facts(site, after, types, _facts_cut(connection, site))
    return found


def facts_at(connection: Connection, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
    """See ``twin.log.port.Log``."""
    found = {fact.position: fact for fact in facts_among(connection, site, positions, ())}
    return at_positions(site, found, positions, _facts_cut(connection, site))


def facts_among(connection: Connection, site: SiteId, positions: Sequence[int], types: Sequence[str]) -> list[RecordedFact]:
    """See ``twin.log.port.Log``."""
    wanted, found = sorted(positions), list[RecordedFact]()
    for start in range(0, len(wanted), _CHUNK):
        query = select(*FACT_COLUMNS).where(_f.site == site, _f.position.in_(wanted[start : start + _CHUNK]))
        ordered = _of(query, types, None).order_by(_f.position)
        found += (recorded_fact(site, row) for row in connection.execute(ordered))
    return found


def facts_between(
    connection: Connection,
    site: SiteId,
    after_at: Micros,
    until_at: Micros,
    until_position: int,
    types: Sequence[str],
    subject: str | None,
    limit: int,
) -> list[RecordedFact]:
    """See ``twin.log.port.Log``."""
    superseded = exists().where(_s.site == _f.site, _s.position == _f.position, _s.by_position <= until_position)
    query = select(*FACT_COLUMNS).where(
        _f.site == site,
        _f.occurred_at > after_at,
        _f.occurred_at <= until_at,
        _f.position <= until_position,
        ~superseded,
    )
    ordered = _of(query, types, subject).order_by(_f.occurred_at, _f.position).limit(limit)
    return [recorded_fact(site, row) for row in connection.execute(ordered)]


def facts_disturbing(connection: Connection, site: SiteId, at: Micros, after: int, until: int) -> bool:
    """See ``twin.log.port.Log``."""
    told = and_(_f.site == site, _f.position > after, _f.position <= until)
    if connection.execute(select(_f.position).where(told, _f.occurred_at <= at).limit(1)).first() is not None:
        return True
    corrected = select(_f.position).join(schema.supersessions, and_(_s.site == _f.site, _s.position == _f.position))
    old = corrected.where(_s.site == site, _s.by_position > after, _s.by_position <= until, _f.occurred_at <= at)
    return connection.execute(old.limit(1)).first() is not None


def facts_superseded(connection: Connection, site: SiteId, after: int, until: int) -> list[Superseded]:
    """See ``twin.log.port.Log``."""
    query = select(_f.position, _f.occurred_at, _s.by_position).join(
        schema.supersessions, and_(_s.site == _f.site, _s.position == _f.position)
    )
    told = query.where(_s.site == site, _s.by_position > after, _s.by_position <= until)
    other = schema.supersessions.alias()
    before = exists().where(other.c.site == site, other.c.position == _s.position, other.c.by_position < _s.by_position)
    rows = connection.execute(told.where(~before).order_by(_s.by_position, _f.position))
    return [Superseded(position=position, occurred_at=at, by_position=by) for position, at, by in rows]


def positions_of(connection: Connection, site: SiteId, ids: Collection[EventId]) -> dict[EventId, int]:
    """Where those of these facts are that are stored."""
    found: dict[EventId, int] = {}
    heads = sorted({id_head(one) for one in ids})
    for start in range(0, len(heads), _CHUNK):
        alike = select(_f.position, _f.fold_version, _f.cause, _f.ordinal).where(
            _f.site == site, _f.id_head.in_(heads[start : start + _CHUNK])
        )
        for position, fold_version, cause, ordinal in connection.execute(alike):
            if (one := fact_id(site, str(fold_version), cause, ordinal)) in ids:
                found[one] = position
    return found


def position_at(connection: Connection, site: SiteId, recorded_at: Micros) -> int:
    """See ``twin.log.port.Log``; halves the positions, as ``observed_at`` does; where one is cut, that before it counts."""
    found, low = 0, 0
    high = connection.scalar(select(_h.facts).where(_h.site == site)) or 0
    while low < high:
        middle = (low + high + 1) // 2
        query = select(_f.position, _f.recorded_at).where(_f.site == site, _f.position <= middle)
        row = connection.execute(query.order_by(_f.position.desc()).limit(1)).one_or_none()
        if row is not None and row.recorded_at > recorded_at:
            high = row.position - 1
        else:
            found, low = row.position if row is not None else 0, middle
    return found


def first_occurred_at(connection: Connection, site: SiteId, after: int) -> Micros | None:
    """See ``twin.log.port.Log``; by the index of valid times alone."""
    query = select(_f.occurred_at).where(_f.site == site, _f.position > after)
    return connection.scalar(query.order_by(_f.occurred_at, _f.position).limit(1))


def observed_at(connection: Connection, site: SiteId, recorded_at: Micros) -> int:
    """See ``twin.log.port.Log``; halves the positions, since times rise with them and have no index."""
    row = connection.execute(select(_h.observations_cut, _h.observations).where(_h.site == site)).one_or_none()
    low, high = (row.observations_cut, row.observations) if row else (0, 0)
    while low < high:
        middle = (low + high + 1) // 2
        at = connection.scalar(select(_o.recorded_at).where(_o.site == site, _o.position == middle))
        low, high = (middle, high) if at is not None and at <= recorded_at else (low, middle - 1)
    return low


def _facts_cut(connection: Connection, site: SiteId) -> int:
    """Read after the facts themselves: what was cut before them is then known to be."""
    return connection.scalar(select(_h.facts_cut).where(_h.site == site)) or 0


def refusals(connection: Connection, site: SiteId, limit: int) -> list[Refusal]:
    """See ``twin.log.port.Log``."""
    table = schema.refusals
    query = select(table).where(table.c.site == site).order_by(table.c.position).limit(limit)
    return [
        Refusal(
            key=DeviceKey(device=DeviceId(row.device), boot_epoch=row.boot_epoch, sequence=row.sequence),
            position=row.position,
            content_hash=row.content_hash,
            refused_at=row.refused_at,
            n_refused=row.n_refused,
        )
        for row in connection.execute(query)
    ]


def key(connection: Connection, site: SiteId, key_id: str) -> bytes | None:
    """A tracklet's key; None when it was destroyed or never made."""
    table = schema.keys.c
    return connection.scalar(select(table.key).where(table.site == site, table.key_id == key_id))


def keys(connection: Connection, site: SiteId, key_ids: Sequence[str]) -> dict[str, bytes]:
    """Those of these keys that there are, as ``key`` gives each."""
    table, found = schema.keys.c, dict[str, bytes]()
    for start in range(0, len(key_ids), _CHUNK):
        query = select(table.key_id, table.key).where(table.site == site, table.key_id.in_(key_ids[start : start + _CHUNK]))
        found |= {row.key_id: row.key for row in connection.execute(query.where(table.key.is_not(None)))}
    return found


def _of(query: _Query, types: Sequence[str], subject: str | None) -> _Query:
    if types:
        query = query.where(is_among(_f.type, types))
    return query if subject is None else query.where(_f.subject == subject)
