"""The live feed of one site: follows its fact log, and tells every client the same bytes.

Each period in which something changed makes one delta, encoded once. The last of them stay in a ring, so that a client
that was cut off can go on from its sequence number; one that the ring no longer reaches gets a snapshot.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct

from twin.errors import Overloaded, TwinError
from twin.events.ids import SiteId
from twin.feeds.delta import difference
from twin.feeds.present import SETTLE, Present
from twin.feeds.subscriber import HARD_LIMIT, SOFT_LIMIT, Close, Subscriber
from twin.graph.model import site_graph
from twin.graph.snapshot import restore
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.timeline import Timeline

PING = '{"type":"ping"}'
RETRY_S = (0.1, 0.5, 1.0, 5.0, 10.0)

_logger = logging.getLogger(__name__)


class Limits(Struct, frozen=True, kw_only=True):
    """How the hub is bounded.

    Attributes:
        period_s: least time between two deltas.
        ping_s: longest silence on a connection.
        n_ring: deltas that a client may have missed and still resume.
        n_clients: clients at once; the next one is refused.
        soft_limit, hard_limit: see ``Subscriber``.
    """

    period_s: float = 0.1
    ping_s: float = 15.0
    n_ring: int = 100
    n_clients: int = 2_500
    soft_limit: int = SOFT_LIMIT
    hard_limit: int = HARD_LIMIT


DEFAULT_LIMITS = Limits()


class Hub:
    """One site's live feed.

    Attributes:
        epoch: names this run of the hub; sequence numbers of another epoch mean nothing here.
        seq: number of the last delta; 0 is the state that the hub started with.
    """

    def __init__(self, log: Log, timeline: Timeline, *, epoch: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.site: SiteId = timeline.site.name
        self.epoch = epoch
        self.seq = 0
        self._log = log
        self._timeline = timeline
        self._limits = limits
        self._present = Present(timeline.site)
        self._state: dict[str, Any] = self._present.state()
        self._ring: deque[str] = deque(maxlen=limits.n_ring)
        self._snapshot: tuple[int, str] | None = None
        self._subscribers: set[Subscriber] = set()
        self._started = asyncio.Event()

    @property
    def n_clients(self) -> int:
        """Clients connected now."""
        return len(self._subscribers)

    @property
    def position(self) -> int:
        """Last fact position that the feed knows."""
        return self._present.position

    @property
    def is_behind(self) -> bool:
        """Whether a correction is being read back in, and nothing is published."""
        return self._present.is_stale

    @property
    def is_current(self) -> bool:
        """Whether it has read the state that it starts with, and no correction is being read back in."""
        return self._started.is_set() and not self.is_behind

    def cameras(self) -> dict[str, bool]:
        """Whether each camera delivers, as was last published."""
        return {one["camera"]: one["state"] == "active" for one in self._state["cameras"]}

    async def started(self) -> None:
        """Wait until ``run`` has read the state it starts with, or has ended."""
        await self._started.wait()

    async def run(self) -> None:
        """Follow until cancelled or the log closes, then end every subscription.

        Raises:
            TwinError: the log failed as often in a row as ``RETRY_S`` allows.
        """
        try:
            await self._load()
            self._state = self._present.state()
            self._started.set()
            await self._follow_and_publish()
        finally:
            self._started.set()
            for subscriber in self._subscribers:
                subscriber.close(Close.STOPPING)

    @contextmanager
    def subscribe(self, epoch: str | None = None, seq: int | None = None) -> Iterator[Subscriber]:
        """A client's place in the feed, from a sequence number of an epoch where the ring still reaches it.

        Raises:
            Overloaded: as many clients as allowed are connected.
        """
        if len(self._subscribers) >= self._limits.n_clients:
            raise Overloaded(f"the live feed of site '{self.site}' has {self.n_clients} clients, its limit; try again later")
        subscriber = Subscriber(soft_limit=self._limits.soft_limit, hard_limit=self._limits.hard_limit)
        self._prime(subscriber, epoch, seq)
        self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    async def messages(self, subscriber: Subscriber) -> AsyncIterator[str]:
        """What to send to a client, until its subscription is closed; a ping where nothing happens."""
        await self._started.wait()
        if not subscriber.has_news():
            yield PING  # a client that resumed and missed nothing learns that it is up to date
        while subscriber.closed is None:
            if not await subscriber.ready(self._limits.ping_s):
                yield PING
                continue
            for message in self.take(subscriber):
                yield message

    def take(self, subscriber: Subscriber) -> list[str]:
        """What a client is owed now, in order: a snapshot if it is owed one, and the deltas after it."""
        if subscriber.wants_snapshot:
            subscriber.take()
            return [self.snapshot()]
        return subscriber.take()

    def snapshot(self) -> str:
        """The snapshot message at ``seq``, encoded once for all who want it."""
        if self._snapshot is None or self._snapshot[0] != self.seq:
            message = {
                "type": "snapshot",
                "epoch": self.epoch,
                "seq": self.seq,
                "position": self._state["position"],
                "state": self._state,
            }
            self._snapshot = (self.seq, msgspec.json.encode(message).decode())
        return self._snapshot[1]

    def publish(self) -> None:
        """Give every client the difference to what was last published, if there is one."""
        if self._present.is_stale or self._present.position == int(self._state["position"]):
            return
        before, self._state = self._state, self._present.state()
        self.seq += 1
        message = {
            "type": "delta",
            "epoch": self.epoch,
            "prev": self.seq - 1,
            "seq": self.seq,
            **difference(before, self._state),
        }
        encoded = msgspec.json.encode(message).decode()
        self._ring.append(encoded)
        for subscriber in self._subscribers:
            subscriber.offer(encoded)

    def _prime(self, subscriber: Subscriber, epoch: str | None, seq: int | None) -> None:
        oldest = self.seq - len(self._ring)
        if epoch != self.epoch or seq is None or not oldest <= seq <= self.seq:
            subscriber.want_snapshot()
        else:
            subscriber.prime(list(self._ring)[seq - oldest :])

    async def _follow_and_publish(self) -> None:
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._publish_for_ever())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.period_s)
            self.publish()

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                if self._present.is_stale:
                    await self._load()
                if await self._take_until_stale():
                    return
                failures = 0
            except TwinError as error:
                if failures == len(RETRY_S):
                    raise
                _logger.warning("live feed of site '%s' stopped and goes on: %s", self.site, error)
                await asyncio.sleep(RETRY_S[failures])
                failures += 1

    async def _take_until_stale(self) -> bool:
        """Fold facts as they come; True when the log ended, False when the present has to be loaded anew."""
        async for facts in self._log.tail_facts(self.site, after=self._present.position):
            if not self._present.take(facts):
                return False
        return True

    async def _load(self) -> None:
        """Fold the present anew from the log."""
        everything = Moment(at=None, known_at=(await self._log.heads(self.site)).facts)
        graph = site_graph(self._timeline.site)
        restore(graph, await self._timeline.packed(everything))
        settled = Moment(at=graph.at - SETTLE, known_at=everything.known_at)
        packed = await self._timeline.packed(settled)
        recent = [
            fact async for page in net_facts(self._log, self.site, everything, after_at=settled.until_at) for fact in page
        ]
        self._present.load(recent, settled=packed, settled_at=settled.at, position=everything.known_at)
