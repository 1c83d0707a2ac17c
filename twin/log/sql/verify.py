"""Reads a whole log and tells where it is not what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, func, select
from sqlalchemy.exc import DBAPIError

from twin.errors import DamagedLog
from twin.events.ids import Micros, SiteId
from twin.log.chain import ChainHead, ChainHeads, Link, LogName, following, origin
from twin.log.content import observation_hash
from twin.log.sql import reader, schema, streams
from twin.log.sql.fault import Fault
from twin.log.sql.rows import as_found, written
from twin.log.sql.verify_cuts import DeclaredCut, declared_cuts, last_cut, verify_cuts, verify_kept, wrong_corrections, wrong_id

_m = schema.chain_marks.c
_CHUNK = 5_000
_MOST_FAULTS = 1_000
_MISSING = "missing, or cannot be read"
_OTHER_DIGEST = "the batch of facts made of the observations up to here names other ones"


class Verified(Struct, frozen=True, kw_only=True):
    """What was found of one site; ``heads`` are what the database says, right or wrong.

    Attributes:
        faults: in the order of logs and positions, the first thousand of each log.
        cuts: what retention took, all of it declared; the newest last.
    """

    site: SiteId
    heads: ChainHeads
    faults: tuple[Fault, ...]
    cuts: tuple[DeclaredCut, ...] = ()


def verify(
    connection: Connection,
    site: SiteId,
    known: ChainHeads | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Verified:
    """Fold both logs of a site and compare.

    Args:
        known: heads that were exported before: the log must still hold what they covered. Without them, whoever may write
            the database can write a whole new chain.
        told: is told how many of the events are read, of both logs together, some thousands at a time.
    """
    heads = reader.chain(connection, site)
    kept, known_kept = _kept(connection, site, heads.observations), known.observations if known else None
    if known_kept is not None and heads.observations.position >= known_kept.position > kept.position:
        known_kept = None  # it covers what a broker keeps: ``twin.log.kafka.verify``
    n_all = kept.position + heads.facts.position

    def after(n_before: int) -> Callable[[int], None]:
        return lambda position: told(n_before + position, n_all) if told is not None else None

    observed = _Walk(connection, site, "observations", kept, known_kept, after(heads.facts.position))
    concluded = _Walk(connection, site, "facts", heads.facts, known.facts if known else None, after(0))
    in_facts = concluded.run(concluded.beginning())
    cut = concluded.beginning().position
    for_good = [one for one in verify_kept(connection, site, heads, known) if one.first <= cut or not in_facts]
    faults = [*observed.run(observed.beginning()), *in_facts, *for_good, *verify_cuts(connection, site, heads, known)]
    cursor = reader.heads(connection, site).cursor
    if cursor > heads.observations.position:
        what = f"the cursor is at {cursor}, past the last observation, {heads.observations.position}"
        faults.append(Fault(log="facts", first=heads.facts.position, last=heads.facts.position, what=what))
    return Verified(site=site, heads=heads, faults=tuple(faults), cuts=declared_cuts(connection, site))


def verify_all(connection: Connection, known: Mapping[SiteId, ChainHeads]) -> list[Verified]:
    """``verify`` every site that is stored or known."""
    stored = {SiteId(site) for site in connection.scalars(select(schema.heads.c.site))}
    return [verify(connection, site, known.get(site)) for site in sorted(stored | set(known))]


def file_faults(connection: Connection) -> list[str]:
    """What SQLite finds wrong in its own file: pages, and indexes that are not those of their tables; the first hundred.

    Links are over tables: an index that lacks a row hides it from whoever reads by subject, type or time.
    """
    if connection.dialect.name != "sqlite":
        return []
    try:
        found = connection.exec_driver_sql("PRAGMA integrity_check(100)").scalars().all()
    except DBAPIError as broken:
        return [str(broken.orig)]
    return [" ".join(line.split()) for line in found if line != "ok"]


def check_ends(connection: Connection) -> None:
    """Fold the newest events of every site, from the last mark to the head: what a failing disk would have hit.

    Raises:
        DamagedLog: they are not what was written.
    """
    for site in connection.scalars(select(schema.heads.c.site)).all():
        heads = reader.chain(connection, SiteId(site))
        walks = (
            _Walk(connection, SiteId(site), "observations", _kept(connection, SiteId(site), heads.observations), None),
            _Walk(connection, SiteId(site), "facts", heads.facts, None),
        )
        for walk in walks:
            faults = walk.run(walk.last_mark())
            if faults:
                raise DamagedLog(
                    f"{walk.log} {faults[0].first} to {faults[0].last} of site '{site}': {faults[0].what}; nothing is "
                    "written to a damaged log. See `twin log verify`, then restore a backup"
                )


def _kept(connection: Connection, site: SiteId, head: ChainHead) -> ChainHead:
    """Where the observations end that are in the database; those after it are in a broker."""
    place = streams.first(connection, site)
    return head if place is None else ChainHead(position=place.position, link=place.link)


@dataclass
class _Walk:
    """Along one log, link by link; after damage it goes on from the next mark, so that what follows is told apart."""

    connection: Connection
    site: SiteId
    log: LogName
    head: ChainHead
    known: ChainHead | None
    told: Callable[[int], None] = lambda _: None
    faults: list[Fault] = field(default_factory=list)
    cut: ChainHead | None = None
    _cut_at: Micros = 0
    _digests: dict[int, bytes] = field(default_factory=dict)  # of the batches of facts whose cursors are in this chunk
    _marks: dict[int, Link] = field(default_factory=dict)  # in this chunk

    def __post_init__(self) -> None:
        self.cut, self._cut_at = last_cut(self.connection, self.site, self.log)

    def beginning(self) -> ChainHead:
        """Where retention cut; the origin where it did not."""
        return self.cut or ChainHead(position=0, link=origin(self.site, self.log))

    def last_mark(self) -> ChainHead:
        """The last before the head; the beginning where there is none."""
        first = self.beginning()
        newest = self._marks_between(first.position, self.head.position - 1).order_by(_m.position.desc()).limit(1)
        row = self.connection.execute(newest).one_or_none()
        return ChainHead(position=row.position, link=Link(row.content, row.times)) if row is not None else first

    def run(self, start: ChainHead) -> list[Fault]:
        """Walk from there to the head."""
        (position, link), checked, recorded_at = (start.position, start.link), start.position, self._recorded_at(start.position)
        unfit: list[Fault] = []  # digests of batches are judged when the links up to the next mark are known to be right
        self._compare_known(position, link)
        for row in self._rows(position):
            if row["position"] > position + 1:
                self._fault(position + 1, row["position"] - 1, _MISSING)
            position, link = row["position"], following(link, self.log, row, recorded_at)
            if (wrong := self._wrong_in(row, recorded_at)) is not None:
                self._fault(position, position, wrong)
            recorded_at = row["recorded_at"]
            self._compare_known(position, link)
            if self._digests.get(position, link.content) != link.content:
                unfit.append(Fault(log=self.log, first=position, last=position, what=_OTHER_DIGEST))
            if (mark := self._marks.get(position)) is not None:
                if link != mark:
                    self._fault(checked + 1, position, "the events do not give the link that was stored after them")
                else:
                    self.faults += (fault for fault in unfit if checked < fault.first)
                link, checked, unfit = mark, position, []
        if position < self.head.position:
            self._fault(position + 1, self.head.position, _MISSING)
        elif position == start.position and self.head.link != link:
            self._fault(position, position, "the head is not that of a log that ends here")
        self._check_beyond()
        return sorted(self.faults, key=lambda fault: (fault.first, fault.last))[:_MOST_FAULTS]

    def _recorded_at(self, position: int) -> Micros:
        if self.cut is not None and position == self.cut.position:
            return self._cut_at
        table = schema.metadata.tables[self.log].c
        return self.connection.scalar(select(table.recorded_at).where(table.site == self.site, table.position == position)) or 0

    def _marks_between(self, after: int, until: int) -> Select[*tuple[Any, ...]]:
        query = select(_m.position, _m.content, _m.times).where(_m.site == self.site, _m.log == self.log)
        return query.where(_m.position > after, _m.position <= until)

    def _links_between(self, after: int, until: int) -> dict[int, Link]:
        """Those that are stored; the head's own, where it is there."""
        rows = self.connection.execute(self._marks_between(after, min(until, self.head.position - 1)))
        marks = {row.position: Link(row.content, row.times) for row in rows}
        return marks | ({self.head.position: self.head.link} if after < self.head.position <= until else {})

    def _rows(self, after: int) -> Iterator[Mapping[str, Any]]:
        while after < self.head.position:
            rows = self._chunk(after, _CHUNK)
            if rows is None:
                after += 1  # what cannot be read is passed over, and so counts as missing
                continue
            if self.log == "facts":
                self._check_supersessions(rows, after)
            if not rows:
                return
            self._marks = self._links_between(after, rows[-1]["position"])
            if self.log == "observations":
                self._digests = self._digests_between(after, rows[-1]["position"])
            yield from rows
            self.told(rows[-1]["position"])
            after = rows[-1]["position"]

    def _digests_between(self, after: int, until: int) -> dict[int, bytes]:
        table = schema.fact_batches.c
        query = select(table.cursor, table.digest).where(table.site == self.site, table.cursor > after, table.cursor <= until)
        return {row.cursor: row.digest for row in self.connection.execute(query)}

    def _chunk(self, after: int, limit: int) -> list[Mapping[str, Any]] | None:
        """The next rows, fewer where one of them cannot be read; None: the very next one cannot."""
        table = schema.metadata.tables[self.log]
        query = select(*as_found(table)).where(
            table.c.site == self.site, table.c.position > after, table.c.position <= self.head.position
        )
        try:
            return written(self.connection, query.order_by(table.c.position).limit(limit))
        except DBAPIError:
            return self._chunk(after, limit // 2) if limit > 1 else None

    def _wrong_in(self, row: Mapping[str, Any], recorded_before: int) -> str | None:
        if row["recorded_at"] < recorded_before:
            return "recorded before the event at the position before"
        if self.log == "observations":
            return None if row["content_hash"] == observation_hash(row) else "the content does not have its hash"
        return wrong_id(row)

    def _check_supersessions(self, rows: list[Mapping[str, Any]], after: int) -> None:
        said = {row["position"]: names for row in rows if (names := row["supersedes"])}
        last = rows[-1]["position"] if rows else self.head.position
        self.faults += wrong_corrections(self.connection, self.site, said, after=after, until=last)

    def _compare_known(self, position: int, link: Link) -> None:
        if self.known is not None and self.known.position == position and self.known.link != link:
            self._fault(1, position, "other events than the known head covered")

    def _check_beyond(self) -> None:
        table = schema.metadata.tables[self.log].c
        query = select(func.min(table.position), func.max(table.position))
        first, last = self.connection.execute(
            query.where(table.site == self.site, (table.position > self.head.position) | (table.position < 1))
        ).one()
        if first is not None:
            self._fault(first, last, f"outside of the log, which ends at {self.head.position}")
        if self.known is not None and self.known.position > self.head.position:
            self._fault(self.head.position + 1, self.known.position, "gone: the known head covered them")

    def _fault(self, first: int, last: int, what: str) -> None:
        self.faults.append(Fault(log=self.log, first=first, last=last, what=what))
