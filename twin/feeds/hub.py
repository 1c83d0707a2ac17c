"""The live feed of one site: follows its fact log, and tells every client what changed.

Each period in which something changed makes one delta for the whole feed, and one for each filter of which something fits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from twin.errors import Overloaded, RateLimited, TwinError
from twin.events.ids import SiteId
from twin.feeds.channel import Channel
from twin.feeds.delta import difference
from twin.feeds.names import TrackletNames
from twin.feeds.present import SETTLE, Present
from twin.feeds.subscriber import HARD_LIMIT, SOFT_LIMIT, Close, Slowness, Subscriber, Write
from twin.feeds.view import EVERYTHING, LiveFilter, View
from twin.graph.model import site_graph
from twin.graph.snapshot import restore
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.timeline import Timeline

PING = '{"type":"ping"}'
SHARE_WAIT_S = 10
"""When a key that has its share of the feed may ask again: soonest when one of its clients goes."""

RETRY_S = (0.1, 0.5, 1.0, 5.0, 10.0)

_logger = logging.getLogger(__name__)


class Limits(Struct, frozen=True, kw_only=True):
    """How the hub is bounded.

    Attributes:
        period_s: least time between two deltas.
        ping_s: longest silence on a connection.
        n_ring: deltas that a client may have missed and still resume.
        n_clients: clients at once; the next one is refused.
        n_views: different filters at once; the next one is refused. One that nobody follows is kept as long as the ring
            reaches, for those who come back, and makes room.
        n_clients_each, n_views_each: how many of each one key may have at once, so that a few cannot take all of them.
        soft_limit, hard_limit: see ``Subscriber``.
    """

    period_s: float = 0.1
    ping_s: float = 15.0
    n_ring: int = 100
    n_clients: int = 2_500
    n_views: int = 64
    n_clients_each: int = 625
    n_views_each: int = 16
    soft_limit: int = SOFT_LIMIT
    hard_limit: int = HARD_LIMIT


DEFAULT_LIMITS = Limits()


class Hub:
    """One site's live feed.

    Attributes:
        slowness: how often clients did not keep up.
        names: which vehicle each camera's tracklet is now.
    """

    def __init__(self, log: Log, timeline: Timeline, *, epoch: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.site: SiteId = timeline.site.name
        self.names = TrackletNames()
        self._log = log
        self._timeline = timeline
        self._limits = limits
        self._present = Present(timeline.site)
        self._cameras_by_zone = self._present.cameras_by_zone()
        self._state: dict[str, Any] = self._present.state()
        self._whole = Channel(epoch, self._state, n_ring=limits.n_ring, now_s=0.0)
        self._views: dict[LiveFilter, Channel] = {}
        self._n_views_made = 0
        self._n_clients = 0
        self._n_by_key = Counter[str]()
        self._n_by_key_and_view = Counter[tuple[str, LiveFilter]]()
        self.slowness = Slowness()
        self._started = asyncio.Event()

    @property
    def epoch(self) -> str:
        """Names this run of the hub; sequence numbers of another epoch mean nothing here."""
        return self._whole.epoch

    @property
    def seq(self) -> int:
        """Number of the last delta of the whole feed; 0 is the state that the hub started with."""
        return self._whole.seq

    @property
    def n_clients(self) -> int:
        """Clients connected now."""
        return self._n_clients

    @property
    def n_views(self) -> int:
        """Filters that deltas are made for."""
        return len(self._views)

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
            for channel in self._channels():
                channel.start(self._state, asyncio.get_running_loop().time())
            self._started.set()
            await self._follow_and_publish()
        finally:
            self._started.set()
            for channel in self._channels():
                channel.close(Close.STOPPING)

    @contextmanager
    def subscribe(
        self,
        epoch: str | None = None,
        seq: int | None = None,
        *,
        wanted: LiveFilter = EVERYTHING,
        write: Write | None = None,
        key: str = "",
    ) -> Iterator[Subscriber]:
        """A client's place in the feed, from a sequence number of an epoch where the ring still reaches it.

        Args:
            wanted: which part of the site; a place in the feed of one filter is none in that of another.
            write: puts frames on the client's connection, while it is waited in ``messages`` for what comes next.
            key: whose client it is, and is counted as; empty: nobody's in particular, and of all alone.

        Raises:
            Overloaded: as many clients, or different filters, as allowed are connected.
            RateLimited: or as many as one key may have.
        """
        self._check_share(key, wanted)
        if self._n_clients >= self._limits.n_clients:
            raise Overloaded(f"the live feed of site '{self.site}' has {self._n_clients} clients, its limit; try again later")
        channel = self._channel(wanted)
        limits = self._limits
        subscriber = Subscriber(
            channel, soft_limit=limits.soft_limit, hard_limit=limits.hard_limit, write=write, slowness=self.slowness
        )
        channel.add(subscriber, epoch, seq)
        self._n_clients += 1
        with self._counted(key, wanted):
            try:
                yield subscriber
            finally:
                self._n_clients -= 1
                channel.discard(subscriber)

    def _check_share(self, key: str, wanted: LiveFilter) -> None:
        if not key:
            return
        if (n_there := self._n_by_key[key]) >= self._limits.n_clients_each:
            raise RateLimited(
                f"{n_there} clients of this key follow the live feed of site '{self.site}', the most of one key; end some, or"
                " use another key",
                wait_s=SHARE_WAIT_S,
            )
        followed = {view for whose, view in self._n_by_key_and_view if whose == key}
        if wanted not in followed | {EVERYTHING} and len(followed) >= self._limits.n_views_each:
            raise RateLimited(
                f"{len(followed)} different filters of this key are followed at site '{self.site}', the most of one key; end"
                " some, or take the feed without zones= and kinds=",
                wait_s=SHARE_WAIT_S,
            )

    @contextmanager
    def _counted(self, key: str, wanted: LiveFilter) -> Iterator[None]:
        """Count a client as its key's; what is at 0 is forgotten."""
        counts: list[tuple[Counter[Any], Any]] = [(self._n_by_key, key)] if key else []
        if key and wanted != EVERYTHING:
            counts.append((self._n_by_key_and_view, (key, wanted)))
        for counter, of in counts:
            counter[of] += 1
        try:
            yield
        finally:
            for counter, of in counts:
                counter[of] -= 1
                if not counter[of]:
                    del counter[of]

    async def messages(self, subscriber: Subscriber) -> AsyncIterator[str]:
        """What to send to a client, until its subscription is closed; what was written to its connection is not among it."""
        await self._started.wait()
        if not subscriber.has_news():
            yield PING  # a client that resumed and missed nothing learns that it is up to date
        while subscriber.closed is None:
            await subscriber.ready()
            for message in subscriber.take():
                yield message

    def publish(self) -> None:
        """Give every client the difference to what was last published, if there is one."""
        if self._present.is_stale or self._present.position == int(self._state["position"]):
            return
        before, self._state = self._state, self._present.state()
        changed, now_s = difference(before, self._state), asyncio.get_running_loop().time()
        for channel in self._channels():
            channel.publish(self._state, changed, now_s)
        for wanted, view in list(self._views.items()):
            if view.n_idle > self._limits.n_ring:
                del self._views[wanted]

    def _channels(self) -> list[Channel]:
        return [self._whole, *self._views.values()]

    def _channel(self, wanted: LiveFilter) -> Channel:
        """The sequence of a filter. One that is made anew has an epoch of its own: its numbers begin again."""
        if wanted == EVERYTHING:
            return self._whole
        if wanted not in self._views:
            self._make_room()
            self._n_views_made += 1
            self._views[wanted] = Channel(
                f"{self.epoch}.{self._n_views_made}",
                self._state,
                n_ring=self._limits.n_ring,
                now_s=asyncio.get_running_loop().time(),
                view=View(self._timeline.site, wanted, self._cameras_by_zone),
            )
        return self._views[wanted]

    def _make_room(self) -> None:
        if len(self._views) < self._limits.n_views:
            return
        idle = [(view.n_idle, wanted) for wanted, view in self._views.items() if not view.n_clients]
        if not idle:
            raise Overloaded(
                f"the live feed of site '{self.site}' is followed by {len(self._views)} different filters, its limit;"
                " try again later, or take the feed without zones= and kinds="
            )
        del self._views[max(idle, key=lambda one: one[0])[1]]

    async def _follow_and_publish(self) -> None:
        works = (self._follow(), self._publish_for_ever(), self._ping_for_ever())
        tasks = [asyncio.create_task(work) for work in works]
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

    async def _ping_for_ever(self) -> None:
        """Break every silence; one timer for all clients."""
        loop = asyncio.get_running_loop()
        while True:
            now_s = loop.time()
            for channel in self._channels():
                if channel.quiet_since_s + self._limits.ping_s <= now_s:
                    channel.ping(PING, now_s)
            quiet_since_s = min(channel.quiet_since_s for channel in self._channels())
            await asyncio.sleep(quiet_since_s + self._limits.ping_s - now_s)

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
            self.names.take(facts)
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
        await self.names.catch_up(self._log, self.site, until=everything.known_at, at=graph.at)
        self._present.load(recent, settled=packed, settled_at=settled.at, position=everything.known_at)
