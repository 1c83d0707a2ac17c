"""``SqlLog``: the port on SQLite or PostgreSQL, one writer thread and a few readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, delete
from sqlalchemy.engine import URL

from twin.errors import BadInput, Forbidden, LogClosed, NotFound
from twin.events.envelope import ObservationEvent, RecordedFact, RecordedObservation
from twin.events.ids import Micros, SiteId
from twin.log.chain import ChainHeads
from twin.log.clock import Clock, system_clock
from twin.log.content import check_name, check_number, content_of_fact, contents_of
from twin.log.cuts import Anchor, Cuts, Thinning
from twin.log.port import FencingToken, FoldCommit, Heads, Receipt, Refusal, Snapshot, Superseded
from twin.log.sql import cutting, reader, saved_states, schema
from twin.log.sql.dialect import N_READERS, locate, reading_engine, writing_engine
from twin.log.sql.known_cuts import KnownCuts
from twin.log.sql.lock import WriterLock
from twin.log.sql.migrate import ensure_current, require_current
from twin.log.sql.notices import Notices
from twin.log.sql.sole import Doing, Sole
from twin.log.sql.streams import StreamPlace, StreamRefusal
from twin.log.sql.transaction import Transaction
from twin.log.sql.verify import Verified, check_ends, file_faults, verify
from twin.log.sql.writer import N_QUEUED_EVENTS, Writer
from twin.log.tail import BATCH, Topic, Wakeups, tail

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", RecordedObservation, RecordedFact)


class SqlLog:
    """Both logs in one database. Make it with ``open``, end it with ``aclose``."""

    def __init__(self, url: URL, wakeups: Wakeups, writer: Writer | None, lock: WriterLock | None) -> None:
        self._wakeups = wakeups
        self._writer = writer
        self._lock = lock
        self._engine = reading_engine(url, N_READERS)
        self._notices = Notices(url, wakeups) if url.get_backend_name() == "postgresql" else None
        self._cuts, self._sole = KnownCuts(), Sole(url)
        self._threads = ThreadPoolExecutor(max_workers=N_READERS, thread_name_prefix="log-reader")

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        clock: Clock = system_clock,
        upgrade: bool = False,
        read_only: bool = False,
        n_queued_events: int = N_QUEUED_EVENTS,
        inline: bool = False,
    ) -> SqlLog:
        """Open a log, and make it where there is none. Blocks for some milliseconds.

        Args:
            location: path of a SQLite file, or a ``sqlite:`` or ``postgresql:`` URL.
            clock: gives ``recorded_at``.
            upgrade: bring an older schema to this release's.
            read_only: only read, beside a process that writes.
            n_queued_events: how many events may wait for the writer before ``append`` raises ``Overloaded``.
            inline: write in the caller's event loop, without a thread; for simulations.

        Raises:
            BadInput: the location is none, or this Python's SQLite is too old.
            Conflict: the schema is older or newer than this release's, or another process writes the file.
            DamagedLog: the newest events are not what was written.
            NotFound: ``read_only``, and there is no such file.
        """
        url, wakeups = locate(location), Wakeups()
        file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        if read_only:
            if file is not None and not file.exists():
                raise NotFound(f"there is no log at '{file}'; start the service that writes it, or name another file")
            return cls._reading(url, wakeups)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        engine = writing_engine(url)
        lock = WriterLock(file) if file is not None else None
        if file is not None:
            file.touch(mode=0o600)  # it holds keys; SQLite gives its other files the same mode
        try:
            ensure_current(engine, may_upgrade=upgrade)
            with engine.connect() as connection:
                check_ends(connection)
        except BaseException:
            engine.dispose()
            if lock is not None:
                lock.release()
            raise
        writer = Writer(engine, clock, wakeups, n_queued_events=n_queued_events, inline=inline)
        return cls(url, wakeups, writer, lock)

    @classmethod
    def _reading(cls, url: URL, wakeups: Wakeups) -> SqlLog:
        log = cls(url, wakeups, None, None)
        try:
            require_current(log._engine)
        except BaseException:
            log._close()
            raise
        return log

    async def write(self, work: Callable[[Transaction], T], *sites: SiteId, events: Sequence[ObservationEvent] = ()) -> T:
        """Run ``work`` in the writer's next transaction, with the heads of these sites locked.

        Name the site of whatever is written: its lock is what keeps processes from waiting for each other in a circle.

        ``events`` are those that ``work`` may append.
        """
        for site in sites:
            check_name("site", site)
        if self._writer is None:
            raise Forbidden("this log was opened read-only; send it to the process that writes it")
        return await self._writer.submit(work, sites, events)

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query of ``reader`` on a connection that cannot write, in a thread."""
        self._check_open()
        for given in (*args, *kwargs.values()):
            _check_bound(given)

        def run() -> T:
            with self._engine.connect() as connection:
                return query(connection, *args, **kwargs)

        return await self._blocking(run)

    def _check_open(self) -> None:
        if self._wakeups.is_closed:
            raise LogClosed("the log is closed; open it again")

    def _blocking(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def verified(
        self, site: SiteId, known: ChainHeads | None = None, told: Callable[[int, int], None] | None = None
    ) -> Verified:
        """``verify`` a site as it is at one moment, whatever is written meanwhile; ``told`` is called in another thread."""
        return await self.read(_at_one_moment, site, known, told)

    async def file_faults(self) -> list[str]:
        """See ``twin.log.sql.verify.file_faults``."""
        return await self.read(file_faults)

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        """See ``twin.log.port.Log``."""
        contents = contents_of(events)
        if not events:
            return []
        sites = {event.site for event in events}
        return await self.write(lambda transaction: transaction.append(events, contents), *sites, events=events)

    async def acquire(self, site: SiteId, worker: str) -> FencingToken:
        """See ``twin.log.port.Log``."""
        check_name("worker", worker)
        return await self.write(lambda transaction: transaction.acquire(site, worker), site)

    async def commit(self, commit: FoldCommit) -> int:
        """See ``twin.log.port.Log``."""
        contents = [content_of_fact(event) for event in commit.facts]
        return await self.write(lambda transaction: transaction.commit(commit, contents), commit.token.site)

    async def commit_streamed(self, commit: FoldCommit, place: StreamPlace, refusals: Sequence[StreamRefusal] = ()) -> int:
        """As ``commit``, of observations that a broker keeps, up to ``place``; it is stored with the facts, as the refusals."""
        contents, site = [content_of_fact(event) for event in commit.facts], commit.token.site

        def work(transaction: Transaction) -> int:
            head = transaction.commit(commit, contents, place)
            for one in refusals:
                transaction.refuse(site, one.key, one.content_hash, one.position)
            return head

        return await self.write(work, site)

    async def sites(self) -> list[SiteId]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.sites)

    async def heads(self, site: SiteId) -> Heads:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.heads, site)

    async def chain(self, site: SiteId) -> ChainHeads:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.chain, site)

    async def observations(self, site: SiteId, *, after: int = 0, limit: int = 1000) -> list[RecordedObservation]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.observations, site, after, limit)

    async def facts(
        self, site: SiteId, *, after: int = 0, limit: int = 1000, types: Sequence[str] = (), thinned: bool = False
    ) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.facts, site, after, limit, types, thinned)

    async def facts_at(self, site: SiteId, positions: Sequence[int]) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.facts_at, site, positions)

    async def facts_among(self, site: SiteId, positions: Sequence[int], *, types: Sequence[str] = ()) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.facts_among, site, positions, types)

    async def facts_between(
        self,
        site: SiteId,
        *,
        after_at: Micros,
        until_at: Micros,
        until_position: int,
        types: Sequence[str] = (),
        subject: str | None = None,
        limit: int = 100_000,
    ) -> list[RecordedFact]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.facts_between, site, after_at, until_at, until_position, types, subject, limit)

    async def facts_disturbing(self, site: SiteId, *, at: Micros, after: int, until: int) -> bool:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.facts_disturbing, site, at, after, until)

    async def facts_superseded(self, site: SiteId, *, after: int, until: int) -> list[Superseded]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.facts_superseded, site, after, until)

    async def position_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.position_at, site, recorded_at)

    async def first_occurred_at(self, site: SiteId, *, after: int) -> Micros | None:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.first_occurred_at, site, after)

    async def observed_at(self, site: SiteId, recorded_at: Micros) -> int:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.observed_at, site, recorded_at)

    async def refusals(self, site: SiteId, *, limit: int = 1000) -> list[Refusal]:
        """See ``twin.log.port.Log``."""
        return await self.read(reader.refusals, site, limit)

    async def backlog(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``."""
        heads = await self.heads(site)
        return heads.observations - heads.cursor

    def tail_observations(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedObservation], None]:
        """See ``twin.log.port.Log``."""
        return self.follow(partial(self._observations_after, site), ("observations", site), after=after)

    def tail_facts(self, site: SiteId, *, after: int) -> AsyncGenerator[list[RecordedFact], None]:
        """See ``twin.log.port.Log``."""
        return self.follow(partial(self._facts_after, site), ("facts", site), after=after)

    def follow(self, read: Callable[[int], Awaitable[list[R]]], topic: Topic, *, after: int) -> AsyncGenerator[list[R], None]:
        """Batches that ``read`` gives after a position, again after every commit to the topic, until the log closes."""
        return tail(read, self._wakeups, topic, after=after)

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """See ``twin.log.port.Log``."""
        for name in ("site", "kind", "version"):
            check_name(name, getattr(snapshot, name))
        await self.write(lambda transaction: saved_states.save(transaction.connection, [snapshot]), snapshot.site)

    async def save_snapshots(self, snapshots: Sequence[Snapshot], *, instead_of: bytes | None) -> bool:
        """See ``twin.log.port.Log``; the site's head is locked, so that nobody writes between the look and the save."""
        site = snapshots[-1].site

        def save(transaction: Transaction) -> bool:
            stored = saved_states.load_same(transaction.connection, snapshots[-1])
            if (None if stored is None else stored.body) != instead_of:
                return False
            saved_states.save(transaction.connection, snapshots)
            return True

        return await self.write(save, site)

    @asynccontextmanager
    async def sole(self, site: SiteId, doing: str) -> AsyncIterator[bool]:
        """See ``twin.log.port.Log``."""
        self._check_open()
        taking = self._blocking(partial(self._sole.take, (site, doing)))
        try:
            is_sole = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(partial(self._let_go, (site, doing)))
            raise
        try:
            yield is_sole
        finally:
            if is_sole and not self._wakeups.is_closed:  # else closing does it
                await asyncio.shield(self._blocking(partial(self._sole.release, (site, doing))))

    def _let_go(self, doing: Doing, taking: asyncio.Future[bool]) -> None:
        if not taking.cancelled() and taking.exception() is None and taking.result() and not self._wakeups.is_closed:
            self._blocking(partial(self._sole.release, doing))

    async def load_snapshot(self, site: SiteId, kind: str, version: str, *, position: int, at: Micros) -> Snapshot | None:
        """See ``twin.log.port.Log``."""
        return await self.read(saved_states.load_one, site, kind, version, position, at)

    async def load_snapshots(
        self, site: SiteId, kind: str, version: str, *, until_position: int, until_at: Micros | None = None, limit: int = 8
    ) -> list[Snapshot]:
        """See ``twin.log.port.Log``."""
        return await self.read(saved_states.load, site, kind, version, until_position, until_at, limit)

    async def drop_snapshots(self, site: SiteId, kind: str, *, below: int) -> None:
        """See ``twin.log.port.Log``."""
        table = schema.snapshots
        old = delete(table).where(table.c.site == site, table.c.kind == kind, table.c.position < below)

        def drop(transaction: Transaction) -> None:
            transaction.connection.execute(old)

        await self.write(drop, site)

    async def cuts(self, site: SiteId) -> Cuts:
        """See ``twin.log.port.Log``."""
        return await self.read(self._cuts.of, site)

    async def cut_observations(self, site: SiteId, *, until: int, version: str, state: bytes) -> Cuts:
        """See ``twin.log.port.Log``."""
        if until <= (await self.cuts(site)).observations:
            await self.sweep(site)
            return await self.cuts(site)
        anchor = await self.read(cutting.anchor_at, site, until, version, state)
        return await self.cut(site, anchor)

    async def cut_facts(self, site: SiteId, *, until: int, from_at: Micros, left: Sequence[int]) -> Cuts:
        """See ``twin.log.port.Log``."""
        if until <= (await self.cuts(site)).movement:
            await self.sweep(site)
            return await self.cuts(site)
        thinning = await self.read(cutting.thinning_at, site, until, from_at, tuple(left))
        return await self.cut(site, thinning)

    async def cut(self, site: SiteId, cut: Anchor | Thinning, place: StreamPlace | None = None) -> Cuts:
        """Store a cut, then delete what it covers; ``place`` is where the observations after it are that a broker keeps."""
        await self.sweep(site)  # of the cut before: what it left is known from the newest one alone
        await self.write(lambda transaction: cutting.make(transaction, site, cut, place), site)
        await self.sweep(site)
        return await self.cuts(site)

    async def sweep(self, site: SiteId) -> int:
        """See ``twin.log.port.Log``; other requests are served between any two batches."""
        n_deleted, after = 0, 0
        while await self.read(cutting.is_to_sweep, site):
            batch = await self.write(lambda transaction, start=after: cutting.sweep(transaction, site, start), site)
            n_deleted, after = n_deleted + batch.n_deleted, batch.after
        return n_deleted

    async def aclose(self) -> None:
        """See ``twin.log.port.Log``."""
        self._wakeups.close()
        await asyncio.to_thread(self._close)

    async def _observations_after(self, site: SiteId, position: int) -> list[RecordedObservation]:
        return await self.observations(site, after=position, limit=BATCH)

    async def _facts_after(self, site: SiteId, position: int) -> list[RecordedFact]:
        return await self.facts(site, after=position, limit=BATCH)

    def _close(self) -> None:
        if self._notices is not None:
            self._notices.close()
        self._threads.shutdown()
        self._sole.close()
        self._engine.dispose()
        if self._writer is not None:
            self._writer.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _at_one_moment(
    connection: Connection, site: SiteId, known: ChainHeads | None, told: Callable[[int, int], None] | None
) -> Verified:
    """Statements by themselves each see a later log: its head, its events and its marks would not fit together."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    else:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
    return verify(connection, site, known, told)


def _check_bound(given: object) -> None:
    """Refuse what a driver cannot bind, before it becomes the driver's error."""
    if isinstance(given, int):
        check_number("a number asked for", given)
    elif isinstance(given, str) and ("\x00" in given or not given.isprintable()):
        raise BadInput(f"a name asked for is {given[:40]!r}; names are printable")
    elif isinstance(given, list | tuple):
        for one in given:
            _check_bound(one)
