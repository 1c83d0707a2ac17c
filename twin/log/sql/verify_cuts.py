"""Verifies what retention left: the chain over its cuts, and the chain over the facts that it never takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, cast

from msgspec import Struct
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from twin.events.codec import rfc3339
from twin.events.ids import EventId, Micros, SiteId
from twin.log.chain import ChainHead, ChainHeads, Link, LogName, following, origin
from twin.log.cuts import MOVEMENT, CutRecord, Thinning, body_hash, digest_after, left_digest
from twin.log.sql import reader, schema
from twin.log.sql.cutting import left_rows
from twin.log.sql.fact_ids import id_head
from twin.log.sql.fault import Fault
from twin.log.sql.names import is_among
from twin.log.sql.rows import as_found, written

_CHUNK = 5_000
CUT_SINCE = "cut since this head was exported, so that nothing is left to compare; use heads that were exported later"

_h, _o, _f, _c = schema.heads.c, schema.observations.c, schema.facts.c, schema.cuts.c
_m, _s = schema.chain_marks.c, schema.supersessions.c


class DeclaredCut(Struct, frozen=True, kw_only=True):
    """What retention took: all observations, or the movement facts, up to a position.

    Attributes:
        is_swept: whether all of it is deleted.
    """

    number: int
    what: Literal["observations", "movement"]
    position: int
    made_at: str
    is_swept: bool


def declared_cuts(connection: Connection, site: SiteId) -> tuple[DeclaredCut, ...]:
    """Every cut, in the order in which they were made."""
    return tuple(
        DeclaredCut(
            number=row["number"],
            what="observations" if row["log"] == "observations" else "movement",
            position=row["position"],
            made_at=rfc3339(row["made_at"]),
            is_swept=bool(row["is_swept"]),
        )
        for row in _rows(connection, site)
    )


def last_cut(connection: Connection, site: SiteId, log: LogName) -> tuple[ChainHead | None, Micros]:
    """Up to where a log is cut, with its chain there; and when the last of it was recorded."""
    query = select(schema.cuts).where(_c.site == site, _c.log == log).order_by(_c.number.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None, 0
    return ChainHead(position=row["position"], link=Link(row["content"], row["times"])), row["recorded_at"]


def verify_cuts(connection: Connection, site: SiteId, heads: ChainHeads, known: ChainHeads | None) -> list[Fault]:
    """Whether every cut is the one that was declared, and nothing but what was declared is gone."""
    faults: list[Fault] = []
    digest, last = b"", {"observations": 0, "facts": 0}
    for number, row in enumerate(_rows(connection, site), 1):
        log: LogName = "observations" if row["log"] == "observations" else "facts"
        record = CutRecord(**{name: row[name] for name in CutRecord.__struct_fields__})
        digest, last[log] = digest_after(digest, site, record), row["position"]
        if (row["number"], row["digest"]) != (number, digest):
            faults.append(Fault(log=log, first=1, last=row["position"], what="the record of this cut is not what was declared"))
            digest = row["digest"]
        if row["body"] is not None and body_hash(row["body"]) != row["body_hash"]:
            what = "what stands for what was cut is not what was stored"
            faults.append(Fault(log=log, first=1, last=row["position"], what=what))
        if known and known.cuts and known.cuts.number == number and known.cuts.digest != digest:
            faults.append(Fault(log=log, first=1, last=row["position"], what="cut otherwise than the known head says"))
    if known and known.cuts and known.cuts.number > (heads.cuts.number if heads.cuts else 0):
        faults.append(
            Fault(log="facts", first=0, last=0, what=f"cut {known.cuts.number}, which the known head covers, is gone")
        )
    return [*faults, *_unlike_heads(connection, site, last), *_left(connection, site), *_too_late(known, last)]


def verify_kept(connection: Connection, site: SiteId, heads: ChainHeads, known: ChainHeads | None) -> list[Fault]:
    """Fold the facts that retention never takes, from the first on."""
    assert heads.kept is not None
    faults: list[Fault] = []
    marks = _marks(connection, site, heads.kept)
    mark, wanted = next(marks, None), known.kept if known else None
    position, link, recorded_at, checked = 0, origin(site, "kept"), 0, 0
    try:
        for row in _kept(connection, site):
            while mark is not None and mark.position < row["position"]:  # the fact that it stands after is gone
                faults.append(_unlike(checked, mark.position))
                (checked, link), mark = mark, next(marks, None)
            link = following(link, "facts", row, recorded_at)
            position, recorded_at = row["position"], row["recorded_at"]
            if (wrong := wrong_id(row)) is not None:
                faults.append(Fault(log="facts", first=position, last=position, what=wrong))
            if wanted and wanted.position == position and wanted.link != link:
                faults.append(Fault(log="facts", first=1, last=position, what="other facts than the known head covered"))
            if mark is not None and mark.position == position:
                if mark.link != link:
                    faults.append(_unlike(checked, position))
                (checked, link), mark = mark, next(marks, None)
    except DBAPIError:
        faults.append(Fault(log="facts", first=position + 1, last=heads.facts.position, what="cannot be read"))
        return faults
    head_at = connection.scalar(select(_h.kept_recorded_at).where(_h.site == site))
    if position != heads.kept.position or link != heads.kept.link or recorded_at != (head_at or 0):
        faults.append(_unlike(checked, max(position, heads.kept.position)))
    if wanted and wanted.position > heads.kept.position:
        faults.append(
            Fault(log="facts", first=heads.kept.position + 1, last=wanted.position, what="gone: the known head covered them")
        )
    return faults


def wrong_id(row: Mapping[str, Any]) -> str | None:
    """What is wrong with how a fact is looked up by its id, which the links do not cover."""
    return None if row["id_head"] == id_head(row["id"]) else "it is looked up by another id than its cause gives"


def _unlike(after: int, last: int) -> Fault:
    what = "the facts that are kept for good do not give the link that was stored after them"
    return Fault(log="facts", first=min(after + 1, last), last=last, what=what)


def _rows(connection: Connection, site: SiteId) -> list[Mapping[str, Any]]:
    rows = connection.execute(select(schema.cuts).where(_c.site == site).order_by(_c.number)).mappings().all()
    return cast("list[Mapping[str, Any]]", rows)


def _kept(connection: Connection, site: SiteId) -> Iterator[Mapping[str, Any]]:
    after = 0
    while True:
        query = select(*as_found(schema.facts)).where(_f.site == site, _f.position > after, ~is_among(_f.type, MOVEMENT))
        rows = written(connection, query.order_by(_f.position).limit(_CHUNK))
        if not rows:
            return
        yield from rows
        after = rows[-1]["position"]


class _Mark(NamedTuple):
    position: int
    link: Link


def _marks(connection: Connection, site: SiteId, head: ChainHead) -> Iterator[_Mark]:
    """Before the head, in order."""
    query = select(_m.position, _m.content, _m.times).where(_m.site == site, _m.log == "kept").order_by(_m.position)
    after = 0
    while rows := connection.execute(query.where(_m.position > after, _m.position < head.position).limit(_CHUNK)).all():
        yield from (_Mark(row.position, Link(row.content, row.times)) for row in rows)
        after = rows[-1].position


def _unlike_heads(connection: Connection, site: SiteId, last: Mapping[str, int]) -> Iterator[Fault]:
    row = connection.execute(select(_h.observations_cut, _h.facts_cut).where(_h.site == site)).one_or_none()
    stored = (row.observations_cut, row.facts_cut) if row else (0, 0)
    logs: tuple[LogName, LogName] = ("observations", "facts")
    for log, said in zip(logs, stored, strict=True):
        if said != last[log]:
            what = f"the head says that it is cut up to {said}, the record of cuts says {last[log]}"
            yield Fault(log=log, first=1, last=max(said, last[log]), what=what)


def _left(connection: Connection, site: SiteId) -> Iterator[Fault]:
    """What is there though it was cut, and movement that should be there and is not, or is another."""
    made = reader.cuts(connection, site)
    if any(not row["is_swept"] for row in _rows(connection, site)):
        return  # it is being deleted; `twin log verify` says so
    first = connection.scalar(select(func.min(_o.position)).where(_o.site == site))
    if first is not None and first <= made.observations:
        yield Fault(log="observations", first=first, last=made.observations, what="was cut, and is there")
    if made.thinning is None:
        return
    until = made.thinning.position
    left = left_rows(connection, site, made.thinning.left)
    if left_digest(left) != made.thinning.left_digest or any(map(wrong_id, left)):
        yield Fault(log="facts", first=1, last=until, what="the movement that the cut left is not what it was")
    yield from _movement_beside(connection, site, made.thinning)
    yield from _corrections(connection, site, made.thinning)


def _movement_beside(connection: Connection, site: SiteId, made: Thinning) -> Iterator[Fault]:
    """Movement that was cut and is there, from the first to the last of it."""
    query = select(_f.position).where(_f.site == site, is_among(_f.type, MOVEMENT), _f.position <= made.position)
    left, first, last, after = set(made.left), 0, 0, 0
    while positions := connection.scalars(query.where(_f.position > after).order_by(_f.position).limit(_CHUNK)).all():
        after = positions[-1]
        if more := [one for one in positions if one not in left]:
            first, last = first or more[0], more[-1]
    if first:
        yield Fault(log="facts", first=first, last=last, what="was cut, and is there")


def _corrections(connection: Connection, site: SiteId, made: Thinning) -> Iterator[Fault]:
    naming = select(_f.position, _f.supersedes).where(_f.site == site, _f.position <= made.position, _f.supersedes != "")
    after = 0
    while after < made.position:
        rows = connection.execute(naming.where(_f.position > after).order_by(_f.position).limit(_CHUNK)).all()
        until = rows[-1].position if len(rows) == _CHUNK else made.position
        said = {row.position: row.supersedes for row in rows}
        yield from wrong_corrections(connection, site, said, after=after, until=until)
        after = until


def wrong_corrections(
    connection: Connection, site: SiteId, said: Mapping[int, str], *, after: int, until: int
) -> Iterator[Fault]:
    """What is kept of corrections for reading must be what the facts in positions (``after``, ``until``] say.

    Args:
        said: ``supersedes`` of those facts that have any, by position. What they name and is not there was cut, or never was.
    """
    query = select(_s.position, _s.by_position).where(_s.site == site, _s.by_position > after, _s.by_position <= until)
    stored = {(row.position, row.by_position) for row in connection.execute(query)}
    named = {by: names.split(",") for by, names in said.items()}
    positions = reader.positions_of(connection, site, {EventId(one) for ids in named.values() for one in ids})
    meant = {(positions[EventId(one)], by) for by, ids in named.items() for one in ids if one in positions}
    for by in sorted({by for _, by in stored ^ meant}):
        yield Fault(log="facts", first=by, last=by, what="the table of corrections says otherwise than the fact")


def _too_late(known: ChainHeads | None, last: Mapping[str, int]) -> Iterator[Fault]:
    if known is None:
        return
    if 0 < known.observations.position < last["observations"]:
        yield Fault(log="observations", first=1, last=known.observations.position, what=CUT_SINCE)
    if known.kept is None and 0 < known.facts.position < last["facts"]:
        yield Fault(log="facts", first=1, last=known.facts.position, what=CUT_SINCE)
