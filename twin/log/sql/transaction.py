"""One group commit: many requests, one transaction, positions handed out under locked head rows.

A request that does not fit raises before it changes anything, so the others of its group still commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, insert

from twin.errors import Conflict, CursorConflict
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.ids import EventId, Micros, SiteId
from twin.log.chain import ChainName, Link, following, observation_content, origin, times_after
from twin.log.clock import Clock
from twin.log.columns import fact_row
from twin.log.content import Content
from twin.log.cuts import MOVEMENT, Anchor, Cuts, Thinning, digest_after, record_of
from twin.log.devices import Devices
from twin.log.fencing import check_commit
from twin.log.port import FencingToken, FoldCommit, Heads, Outcome, Receipt
from twin.log.sql import reader, schema, streams
from twin.log.sql.boots import Boot, numbered_boots
from twin.log.sql.dialect import upsert
from twin.log.sql.names import Numbers, numbered
from twin.log.sql.notices import announce
from twin.log.sql.places import Newest, Place, Places
from twin.log.sql.prepared import Statements, together
from twin.log.sql.rows import Stored, boots_of, names_in, stored_facts, stored_observations
from twin.log.sql.streams import StreamPlace
from twin.log.tail import Topic

MARK_EVERY = 1_000
"""Events between two marks of a chain."""

_STORED = Outcome.STORED  # an enum's attribute is slow to find


@dataclass
class Head:
    """The mutable copy of a row of ``heads``, written back once a group."""

    site: SiteId
    observations: int = 0
    facts: int = 0
    cursor: int = 0
    token: int = 0
    worker: str = ""
    observations_recorded_at: Micros = 0
    facts_recorded_at: Micros = 0
    observations_content: bytes = b""
    observations_times: bytes = b""
    facts_content: bytes = b""
    facts_times: bytes = b""
    kept: int = 0
    kept_recorded_at: Micros = 0
    kept_content: bytes = b""
    kept_times: bytes = b""
    observations_cut: int = 0
    facts_cut: int = 0

    @classmethod
    def fresh(cls, site: SiteId) -> Head:
        """Of a site without events."""
        seen, concluded, kept = origin(site, "observations"), origin(site, "facts"), origin(site, "kept")
        return cls(
            site,
            observations_content=seen.content,
            observations_times=seen.times,
            facts_content=concluded.content,
            facts_times=concluded.times,
            kept_content=kept.content,
            kept_times=kept.times,
        )


class Expired:
    """The marks of the devices whose observations are cut, read again when a later cut was made."""

    def __init__(self) -> None:
        self._known: dict[SiteId, tuple[int, Devices]] = {}

    def covers(self, connection: Connection, head: Head, key: DeviceKey) -> bool:
        """Whether a key that is not stored was cut, or comes after what was cut of its device."""
        cut, devices = self._known.get(head.site, (0, Devices()))
        if cut != head.observations_cut:
            anchor = reader.cuts(connection, head.site).anchor
            devices = Devices(anchor.devices if anchor else b"")
            self._known[head.site] = head.observations_cut, devices
        return devices.judge(key, b"")[0] is not Outcome.STORED


@dataclass
class Remembered:
    """What the writer knows from one transaction to the next, so that it need not ask."""

    newest: Newest = field(default_factory=Newest)
    numbers: Numbers[str] = field(default_factory=lambda: Numbers(numbered))
    boots: Numbers[Boot] = field(default_factory=lambda: Numbers(numbered_boots))
    expired: Expired = field(default_factory=Expired)


class Transaction:
    """What requests may do to the log; it reads at once and writes in ``flush``, just before the commit."""

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        remembered: Remembered,
        clock: Clock,
        sites: Iterable[SiteId],
    ) -> None:
        self.connection = connection
        self._expired = remembered.expired
        self._numbers, self._boots = remembered.numbers, remembered.boots
        self._numbers.begin()
        self._boots.begin()
        self._statements = statements
        self.topics: set[Topic] = set()
        self.now = clock()
        self._heads = {site: self._lock(site) for site in sorted(set(sites))}  # sorted: no deadlock between processes
        self._changed: set[SiteId] = set()
        self._places = Places(connection, statements, remembered.newest)
        self._observations: list[Stored] = []
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in self._statements.insert}
        self._fact_ids: dict[tuple[SiteId, EventId], int] = {}
        self._corrected: list[tuple[SiteId, int, int]] = []

    def find_places(self, events: Iterable[ObservationEvent]) -> None:
        """Learn which of these device keys are stored."""
        self._places.find(events, self._positions())

    def append(self, events: Sequence[ObservationEvent], contents: Sequence[Content]) -> list[Receipt]:
        """See ``twin.log.port.Log.append``; the places of these events were found before."""
        receipts: list[Receipt] = []
        by_epoch, heads, rows = self._places.by_epoch, self._heads, self._observations
        for event, content in zip(events, contents, strict=True):  # the hot loop: every call in it costs a batch some percent
            key, site = event.key, event.site
            sequence, places, head = key.sequence, by_epoch[site, key.device, key.boot_epoch], heads[site]
            place = places.get(sequence)
            if head.observations_cut and self._is_expired(event, place):
                receipts.append(Receipt(outcome=Outcome.EXPIRED, position=0))
            elif place is None:
                content_hash = content.hash
                position = head.observations = head.observations + 1
                if head.observations_recorded_at < self.now:
                    self._advance(head)
                head.observations_content = observation_content(
                    head.observations_content, position, content_hash, content.subject
                )
                rows.append((position, head.observations_recorded_at, event, content))
                if position % MARK_EVERY == 0:
                    self._mark(site, "observations", position, Link(head.observations_content, head.observations_times))
                places[sequence] = position, content_hash
                receipts.append(Receipt(outcome=_STORED, position=position))
            else:
                receipts.append(self._again(event, content, *place))
        return receipts

    def _advance(self, head: Head) -> None:
        """The first observation recorded at this time."""
        head.observations_recorded_at = self.now
        head.observations_times = times_after(head.observations_times, head.observations, self.now)

    def _is_expired(self, event: ObservationEvent, place: Place | None) -> bool:
        """Whether an observation was had and cut, swept already or not yet."""
        head = self._heads[event.site]
        is_cut = place is None or place[0] <= head.observations_cut
        return is_cut and self._expired.covers(self.connection, head, event.key)

    def _again(self, event: ObservationEvent, content: Content, position: int, stored_hash: bytes) -> Receipt:
        if stored_hash == content.hash:
            return Receipt(outcome=Outcome.DUPLICATE, position=position)
        self.refuse(event.site, event.key, content.hash, position)
        return Receipt(outcome=Outcome.REFUSED, position=position)

    def refuse(self, site: SiteId, key: DeviceKey, content_hash: bytes, position: int) -> None:
        """Record that a device key came again with other content."""
        table = schema.refusals
        changing = {"content_hash": content_hash, "refused_at": self.now}
        first = upsert(self.connection.dialect, table).values(
            site=site,
            device=key.device,
            boot_epoch=key.boot_epoch,
            sequence=key.sequence,
            position=position,
            n_refused=1,
            **changing,
        )
        again = {**changing, "n_refused": table.c.n_refused + 1}
        self.connection.execute(first.on_conflict_do_update(index_elements=list(table.primary_key), set_=again))

    def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log.acquire``."""
        head = self._change(site)
        head.token += 1
        head.worker = worker
        return FencingToken(site=site, worker=worker, number=head.token)

    def commit(self, commit: FoldCommit, contents: Sequence[Content], place: StreamPlace | None = None) -> int:
        """See ``twin.log.port.Log.commit``.

        Args:
            place: where the observations are that this database does not keep, up to the commit's cursor.
        """
        site = commit.token.site
        head = self._heads[site]
        n_observations = head.observations if place is None else _streamed_to(place, head, commit)
        heads = Heads(observations=n_observations, facts=head.facts, cursor=head.cursor)
        check_commit(commit, heads=heads, newest_token=head.token)
        stored = self._stored_facts(site, commit.facts)
        head = self._change(site)
        head.cursor = commit.cursor
        if place is not None:
            self._stream_to(head, place)
        for event, content in zip(commit.facts, contents, strict=True):
            self._store_fact(head, event, content, stored)
        if commit.facts:
            digest = place.link.content if place else reader.observations_digest(self.connection, site, commit.cursor)
            self._rows["fact_batches"].append({"site": site, "position": head.facts, "cursor": commit.cursor, "digest": digest})
        return head.facts

    def _stream_to(self, head: Head, place: StreamPlace) -> None:
        before, head.observations, head.observations_recorded_at = head.observations, place.position, place.recorded_at
        streams.move(self.connection, head.site, place, after=before)
        head.observations_content, head.observations_times = place.link
        self.topics.add(("observations", head.site))

    def _stored_facts(self, site: SiteId, events: Sequence[FactEvent]) -> dict[EventId, int]:
        """Positions of the facts that these supersede; raises Conflict where one of these is stored already."""
        ids = {event.id for event in events}
        wanted = ids.union(*(event.supersedes for event in events))
        stored = reader.positions_of(self.connection, site, wanted)
        stored |= {one: self._fact_ids[site, one] for one in wanted if (site, one) in self._fact_ids}
        if again := ids & stored.keys():
            raise Conflict(f"fact {min(again)} is stored already; a fold gives each (cause, ordinal) once")
        return stored

    def _store_fact(self, head: Head, event: FactEvent, content: Content, stored: Mapping[EventId, int]) -> None:
        before, recorded_before = Link(head.facts_content, head.facts_times), head.facts_recorded_at
        head.facts += 1
        head.facts_recorded_at = max(recorded_before, self.now)
        row = fact_row(event, content, head.facts, head.facts_recorded_at)
        self._rows["facts"].append(row)
        link = following(before, "facts", row, recorded_before)
        head.facts_content, head.facts_times = link
        if head.facts % MARK_EVERY == 0:
            self._mark(head.site, "facts", head.facts, link)
        if content.type not in MOVEMENT:
            self._keep(head, row)
        for one in dict.fromkeys(event.supersedes):
            position = self._fact_ids.get((head.site, one)) or stored.get(one)
            if position is not None:
                self._corrected.append((head.site, position, head.facts))
        self._fact_ids[head.site, event.id] = head.facts
        self.topics.add(("facts", head.site))

    def _keep(self, head: Head, row: dict[str, Any]) -> None:
        """The chain over the facts that retention never takes; its marks are where it passes a thousandth position."""
        link = following(Link(head.kept_content, head.kept_times), "facts", row, head.kept_recorded_at)
        if row["position"] // MARK_EVERY != head.kept // MARK_EVERY:
            self._mark(head.site, "kept", row["position"], link)
        head.kept, head.kept_recorded_at = row["position"], row["recorded_at"]
        head.kept_content, head.kept_times = link

    def _mark(self, site: SiteId, log: ChainName, position: int, link: Link) -> None:
        mark = {"site": site, "log": log, "position": position, "content": link.content, "times": link.times}
        self._rows["chain_marks"].append(mark)

    def cut(self, site: SiteId, cut: Anchor | Thinning) -> Cuts:
        """Note a cut, with the site's head; what is cut is deleted later. One that is not beyond the last changes nothing."""
        head, before = self._heads[site], reader.cuts(self.connection, site)
        newest = before.observations if isinstance(cut, Anchor) else before.movement
        if cut.position <= newest:
            return before
        record, body = record_of(cut, number=before.number + 1, made_at=self.now)
        digest = digest_after(before.digest, site, record)
        row = {"site": site, **msgspec.structs.asdict(record), "body": body, "digest": digest, "is_swept": 0}
        self.connection.execute(insert(schema.cuts).values(row))
        self._change(site)
        if isinstance(cut, Anchor):
            head.observations_cut = cut.position
            return replace(before, anchor=cut, number=record.number, digest=digest)
        head.facts_cut = cut.position
        return replace(before, thinning=cut, number=record.number, digest=digest)

    def flush(self) -> None:
        """Write what the requests changed."""
        if self._observations:
            sites = {event.site for _, _, event, _ in self._observations}
            numbers = self._numbers.of(self.connection, sites | {content.type for _, _, _, content in self._observations})
            boots = self._boots.of(self.connection, boots_of(self._observations))
            rows = stored_observations(self._observations, numbers, boots)
            self._statements.insert["observations"].values(self.connection, rows)
            self._changed |= sites
            self.topics.update(("observations", site) for site in sites)
        if facts := self._rows["facts"]:
            numbers = self._numbers.of(self.connection, names_in(facts))
            self._rows["facts"] = stored_facts(facts, numbers)
            self._rows["supersessions"] = [
                {"site": numbers[site], "position": position, "by_position": by} for site, position, by in self._corrected
            ]
        with together(self.connection):
            for name, rows in self._rows.items():
                if rows:
                    self._statements.insert[name].many(self.connection, rows)
            for site in sorted(self._changed):
                self._statements.save_head.one(self.connection, {**vars(self._heads[site]), "of": site})
            if self.connection.dialect.name == "postgresql":
                announce(self.connection, self.topics)

    def committed(self) -> None:
        """The transaction is stored: what it learned may be remembered."""
        self._places.committed(self._positions())
        self._numbers.committed()
        self._boots.committed()

    def _positions(self) -> dict[SiteId, int]:
        return {site: head.observations for site, head in self._heads.items()}

    def _change(self, site: SiteId) -> Head:
        self._changed.add(site)
        return self._heads[site]

    def _lock(self, site: SiteId) -> Head:
        """The site's head row, locked until the commit; made where it is missing."""
        find = self._statements.find_head
        rows = find.all(self.connection, {"site": site})
        if not rows:
            fresh = upsert(self.connection.dialect, schema.heads).values(vars(Head.fresh(site)))
            self.connection.execute(fresh.on_conflict_do_nothing())
            rows = find.all(self.connection, {"site": site})
        return Head(*rows[0])


def _streamed_to(place: StreamPlace, head: Head, commit: FoldCommit) -> int:
    if place.position != commit.cursor or head.observations > head.cursor:
        raise CursorConflict(
            f"site '{head.site}' has {head.observations} observations here, {head.cursor} of them folded, but the commit"
            f" goes to {commit.cursor}, and {place.position} in the broker. Fold what is kept here, then what is there."
        )
    return place.position
