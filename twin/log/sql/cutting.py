"""Cuts of retention in SQL: what stands for what is cut, read beside the writer; and its deletion, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, func, select, update

from twin.errors import BadInput, Conflict, DamagedLog
from twin.events.envelope import DeviceKey
from twin.events.ids import Micros, SiteId
from twin.log.chain import Link, LogName, following, origin
from twin.log.cuts import MOVEMENT, Anchor, Thinning, check_follows, left_digest, wants_movement
from twin.log.devices import Devices
from twin.log.sql import reader, schema, streams
from twin.log.sql.names import is_among
from twin.log.sql.rows import as_found, written
from twin.log.sql.streams import StreamPlace
from twin.log.sql.transaction import Transaction
from twin.log.subscriptions import Filter

BATCH = 1_000
"""Rows that are deleted in one transaction: some ten milliseconds, in which ingest waits."""

_CHUNK = 5_000
_IN = 500

_o, _f, _c = schema.observations.c, schema.facts.c, schema.cuts.c
_m, _s, _d, _b = schema.chain_marks.c, schema.supersessions.c, schema.deliveries.c, schema.fact_batches.c


class Swept(Struct, frozen=True):
    """What one batch deleted, and after which fact position the next one looks on."""

    n_deleted: int
    after: int


def anchor_at(connection: Connection, site: SiteId, until: int, version: str, state: bytes) -> Anchor:
    """The anchor at a position: reads, and compares with the chain, all that it will stand for.

    Raises:
        BadInput: the position is not folded, or the observations are in a broker.
        DamagedLog: the chain does not fit.
    """
    cursor = reader.heads(connection, site).cursor
    if until > cursor:
        raise BadInput(f"the observations of site '{site}' are folded up to {cursor}; {until} cannot be an anchor")
    if (place := streams.first(connection, site)) is not None:
        raise BadInput(
            f"the observations of site '{site}' after {place.position} are in topic '{place.topic}', and those before are cut "
            "with them: set TWIN_KAFKA_BROKERS, and cut after that position"
        )
    before = reader.cuts(connection, site).anchor
    walk = _Walk(connection, site, "observations", before)
    devices = Devices(before.devices if before else b"")
    for row in walk.rows(until):
        key = DeviceKey(device=row["device"], boot_epoch=row["boot_epoch"], sequence=row["sequence"])
        devices.stored(key, row["position"], row["content_hash"])
    link, recorded_at = walk.link, walk.recorded_at
    walk.check_beyond()
    return Anchor(
        position=until,
        link=link,
        recorded_at=recorded_at,
        facts=facts_until(connection, site, until),
        version=version,
        state=state,
        devices=devices.pack(),
    )


def thinning_at(connection: Connection, site: SiteId, until: int, from_at: Micros, left: tuple[int, ...]) -> Thinning:
    """The thinning up to a fact position; raises BadInput and DamagedLog as ``anchor_at``."""
    check_follows(site, reader.cuts(connection, site), until)
    walk = _Walk(connection, site, "facts", reader.cuts(connection, site).thinning)
    for _ in walk.rows(until):
        pass
    link, recorded_at = walk.link, walk.recorded_at
    walk.check_beyond()
    staying = left_rows(connection, site, left)
    return Thinning(
        position=until,
        link=link,
        recorded_at=recorded_at,
        from_at=from_at,
        left=tuple(row["position"] for row in staying),
        left_digest=left_digest(staying),
    )


def left_rows(connection: Connection, site: SiteId, left: Sequence[int]) -> list[Mapping[Any, Any]]:
    """Facts at these positions as columns, in position order."""
    found: list[Mapping[Any, Any]] = []
    ordered = sorted(left)
    for start in range(0, len(ordered), _IN):
        query = select(*as_found(schema.facts)).where(_f.site == site, _f.position.in_(ordered[start : start + _IN]))
        found += written(connection, query.order_by(_f.position))
    return found


def make(transaction: Transaction, site: SiteId, cut: Anchor | Thinning, place: StreamPlace | None = None) -> None:
    """Store a cut; raises Conflict where a subscription has yet to see a fact that it takes.

    Args:
        place: where the observations after an anchor are that a broker keeps.
    """
    if isinstance(cut, Thinning):
        _check_acknowledged(transaction.connection, site, cut.position)
    if transaction.cut(site, cut).anchor == cut and place is not None:
        streams.begin_at(transaction.connection, site, place)


def is_to_sweep(connection: Connection, site: SiteId) -> bool:
    """Whether a cut is not complete."""
    return connection.scalar(select(_c.number).where(_c.site == site, _c.is_swept == 0).limit(1)) is not None


def sweep(transaction: Transaction, site: SiteId, after: int) -> Swept:
    """Delete a batch of what is cut; the last one, which finds nothing more, notes that all is done."""
    connection, made = transaction.connection, reader.cuts(transaction.connection, site)
    if n := _sweep_observations(connection, site, made.observations):
        return Swept(n, after)
    if made.thinning is not None and after < made.thinning.position:
        return _sweep_facts(connection, site, made.thinning, after)
    if n := _sweep_batches(connection, site, made.observations):
        return Swept(n, after)
    _finish(connection, site, made.observations, made.movement)
    return Swept(0, after)


def _sweep_observations(connection: Connection, site: SiteId, until: int) -> int:
    first = connection.scalar(select(func.min(_o.position)).where(_o.site == site)) if until else None
    if first is None or first > until:
        return 0
    upto = min(until, first + BATCH - 1)
    return connection.execute(delete(schema.observations).where(_o.site == site, _o.position <= upto)).rowcount


def _sweep_facts(connection: Connection, site: SiteId, made: Thinning, after: int) -> Swept:
    """The next batch after a position; at first what the cut before had left and this one does not."""
    left = set(made.left)
    if after == 0:
        before, was_left = _thinned_before(connection, site)
        gone = _movement(connection, site, [one for one in was_left if one not in left])
        _delete_facts(connection, site, gone)
        after = before
        if gone or before == made.position:
            return Swept(len(gone), before)
    query = select(_f.position).where(_f.site == site, _f.position > after, _f.position <= made.position)
    movement = query.where(is_among(_f.type, MOVEMENT)).order_by(_f.position).limit(BATCH)
    positions = list(connection.scalars(movement))
    gone = [one for one in positions if one not in left]
    _delete_facts(connection, site, gone)
    return Swept(len(gone), positions[-1] if len(positions) == BATCH else made.position)


def _movement(connection: Connection, site: SiteId, positions: Sequence[int]) -> list[int]:
    """Those of the positions that hold movement: nothing else is ever taken, whatever a cut was told to leave."""
    found: list[int] = []
    for start in range(0, len(positions), _IN):
        some = positions[start : start + _IN]
        query = select(_f.position).where(_f.site == site, _f.position.in_(some), is_among(_f.type, MOVEMENT))
        found += connection.scalars(query)
    return found


def _thinned_before(connection: Connection, site: SiteId) -> tuple[int, tuple[int, ...]]:
    """Position of the thinning before the newest, and what it left; what it took is deleted."""
    query = select(schema.cuts).where(_c.site == site, _c.log == "facts").order_by(_c.number.desc()).limit(2)
    rows = connection.execute(query).mappings().all()
    if len(rows) < 2:
        return 0, ()
    before = reader.cut_in(rows[1])
    return rows[1]["position"], before.left if isinstance(before, Thinning) else ()


def _sweep_batches(connection: Connection, site: SiteId, until: int) -> int:
    """Digests of batches of facts whose observations are gone."""
    query = select(_b.position).where(_b.site == site, _b.cursor < until).order_by(_b.position).limit(BATCH)
    positions = list(connection.scalars(query))
    for start in range(0, len(positions), _IN):
        some = positions[start : start + _IN]
        connection.execute(delete(schema.fact_batches).where(_b.site == site, _b.position.in_(some)))
    return len(positions)


def _delete_facts(connection: Connection, site: SiteId, positions: Sequence[int]) -> None:
    for start in range(0, len(positions), _IN):
        some = positions[start : start + _IN]
        connection.execute(delete(schema.facts).where(_f.site == site, _f.position.in_(some)))
        named = _s.by_position.in_(some) | _s.position.in_(some)
        connection.execute(delete(schema.supersessions).where(_s.site == site, named))


def _finish(connection: Connection, site: SiteId, observations: int, movement: int) -> None:
    """Links before a cut tell nothing any more; and of older cuts only what the chain over cuts covers is kept."""
    for log, until in (("observations", observations), ("facts", movement)):
        connection.execute(delete(schema.chain_marks).where(_m.site == site, _m.log == log, _m.position <= until))
        newest = select(func.max(_c.number)).where(_c.site == site, _c.log == log).scalar_subquery()
        connection.execute(update(schema.cuts).where(_c.site == site, _c.log == log, _c.number < newest).values(body=None))
    connection.execute(update(schema.cuts).where(_c.site == site).values(is_swept=1))


def facts_until(connection: Connection, site: SiteId, cause: int) -> int:
    """The last fact that follows from observations up to a position; causes rise with positions."""
    batch = select(func.max(_b.position)).where(_b.site == site, _b.cursor <= cause)
    after = max(connection.scalar(batch) or 0, _facts_before(connection, site))
    later = select(func.max(_f.position)).where(_f.site == site, _f.position > after, _f.cause <= cause)
    return max(after, connection.scalar(later) or 0)


def _facts_before(connection: Connection, site: SiteId) -> int:
    anchor = reader.cuts(connection, site).anchor
    return anchor.facts if anchor else 0


def _check_acknowledged(connection: Connection, site: SiteId, until: int) -> None:
    table = schema.subscriptions.c
    for name, read_to, wanted in connection.execute(
        select(table.name, table.read_to, table.filter).where(table.site == site).order_by(table.name)
    ).all():
        if not wants_movement(msgspec.json.decode(wanted, type=Filter).types):
            continue
        waiting = select(func.min(_d.position)).where(_d.site == site, _d.subscription == name)
        position = min(read_to, (connection.scalar(waiting) or read_to + 1) - 1)
        if position >= until:
            continue
        raise Conflict(
            f"subscription '{name}' of site '{site}' is at position {position}, but facts up to {until} would be cut. Let it "
            "acknowledge them, discard what it has parked, or delete it"
        )


class _Walk:
    """Along one log from its last cut, link by link; a mark that does not fit, or a gap, ends it."""

    def __init__(self, connection: Connection, site: SiteId, log: LogName, before: Anchor | Thinning | None) -> None:
        self._connection = connection
        self._site = site
        self._log: LogName = log
        self.position = before.position if before else 0
        self.link = before.link if before else origin(site, log)
        self.recorded_at = before.recorded_at if before else 0
        self._table = schema.metadata.tables[log]
        heads = reader.chain(connection, site)
        head = heads.observations if log == "observations" else heads.facts
        self._marks = self._later_marks() | {head.position: head.link}

    def rows(self, until: int) -> Iterator[Mapping[str, Any]]:
        """Every row up to a position."""
        while self.position < until:
            rows = self._chunk(until)
            if not rows:
                raise self._damaged("is missing")
            yield from rows

    def check_beyond(self) -> None:
        """Go on to the next mark, since only there is it known whether the links so far are right."""
        later = min((at for at in self._marks if at >= self.position), default=self.position)
        for _ in self.rows(later):
            pass

    def _chunk(self, until: int) -> list[Mapping[str, Any]]:
        columns = self._table.c
        query = select(*as_found(self._table)).where(
            columns.site == self._site, columns.position > self.position, columns.position <= until
        )
        found = written(self._connection, query.order_by(columns.position).limit(_CHUNK))
        for row in found:
            self._step(row)
        return found

    def _step(self, row: Mapping[str, Any]) -> None:
        if row["position"] != self.position + 1:
            raise self._damaged("is missing")
        self.link = following(self.link, self._log, row, self.recorded_at)
        self.position, self.recorded_at = row["position"], row["recorded_at"]
        if self._marks.get(self.position, self.link) != self.link:
            raise DamagedLog(
                f"{self._log} of site '{self._site}' up to {self.position} are not what was written; nothing is cut of a "
                "damaged log. See `twin log verify`"
            )

    def _damaged(self, what: str) -> DamagedLog:
        return DamagedLog(
            f"{self._log} {self.position + 1} of site '{self._site}' {what}; nothing is cut of a damaged log. See `twin log "
            "verify`"
        )

    def _later_marks(self) -> dict[int, Link]:
        query = select(_m.position, _m.content, _m.times).where(_m.site == self._site, _m.log == self._log)
        rows: Iterable[Any] = self._connection.execute(query.where(_m.position > self.position))
        return {position: Link(content, times) for position, content, times in rows}
