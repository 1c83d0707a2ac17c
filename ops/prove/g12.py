"""G12: a live client equals the server at its sequence number, or knows that it does not; slow clients cost no memory.

A run is half a minute of a site, with twenty clients of its live feed: of all of it, or of some zones and kinds. Facts come
late and are superseded, so that the feed reads its present anew; its hub is restarted. Connections stall, and are cut with what
is on its way; each is written to directly or sent to by a task. Clients come back with the place that they hold, or with none,
an older one, one of the future, of another client or of an epoch that never was. After every message a client that holds a
state compares it with a fold of all facts up to its position; what a client is owed, rings and filters stay within their
bounds. In the end all faults end, and everybody has what the server has. Control: a hub that forgets what a slow client has
not taken, and clients that take any delta for the next one. (`twin bench live` has the clients that stall beside ingest.)
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from msgspec.structs import replace

from twin.events.envelope import ObservationEvent
from twin.feeds.hub import Hub, Limits
from twin.feeds.subscriber import Subscriber
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.projections.timeline import Timeline

from .live_clients import Client, Truth, Wrong, ended
from .live_facts import Facts
from .outcome import Outcome, tried
from .quiet import quiet
from .sim.loop import run
from .site_day import PROOF_SITE
from .workload import observation

RUNS, FULL_RUNS = 2, 500
CLIENTS = 20
_SECONDS, _FACTS_AT_ONCE = 30.0, 6
_LIMITS = Limits(period_s=0.1, ping_s=1.0, n_ring=6, n_views=3, soft_limit=3, hard_limit=12)
_SITE = PROOF_SITE.name


def prove(runs: int, seed: int) -> Outcome:
    """Each run is twenty clients, of some five connections each."""
    with quiet("twin.feeds.hub"):
        failures = tried(range(seed, seed + runs), lambda one: _lived(one, compares=True))
        control = _forgetful(range(seed, seed + 2))
    return Outcome(runs, failures, "a hub that forgets for slow clients, and clients that do not compare `prev`", control)


def _lived(seed: int, *, compares: bool) -> str | None:
    try:
        run(lambda _: _Run(seed, compares=compares).lived())
    except ExceptionGroup as wrongs:
        wrong = wrongs.exceptions[0]
        if not isinstance(wrong, Wrong):
            raise
        return str(wrong)
    return None


def _forgetful(seeds: range) -> int:
    """How many runs notice it."""
    offer: Any = Subscriber.offer

    def forgetting(self: Any, message: str, frame: bytes) -> None:
        if self.n_queued >= 2:
            self._messages.popleft()
        offer(self, message, frame)

    subscriber: Any = Subscriber
    subscriber.offer = forgetting
    try:
        return len(tried(seeds, lambda one: _lived(one, compares=False)))
    finally:
        subscriber.offer = offer


class _Run:
    """One log, its hubs one after another, and their clients."""

    def __init__(self, seed: int, *, compares: bool) -> None:
        self._draw = random.Random(f"live {seed}")
        self._log = MemoryLog()
        self._timeline = Timeline(self._log, PROOF_SITE)
        truth = Truth(self._log)
        draws = (random.Random(f"live {seed} {n}") for n in range(CLIENTS))
        self._clients = [Client(draw, truth, compares=compares) for draw in draws]
        self._facts = Facts(self._draw)
        self._hub = self._another()
        self._feeding: asyncio.Task[None] | None = None
        self._subscribers: list[Subscriber] = []
        self._is_over = False

    async def lived(self) -> None:
        """Live; raises a group of Wrong."""
        self._start()
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(work) for work in (self._restarts(), self._watches())]
            living = [group.create_task(self._lives(client)) for client in self._clients]
            await self._commits()
            self._is_over = True
            for task in living:
                await task
            for task in others:
                task.cancel()
            await self._rest()
        assert self._feeding is not None
        await ended(self._feeding)

    async def _rest(self) -> None:
        """When all faults have ended, everybody has everything."""
        head = (await self._log.heads(_SITE)).facts
        while self._hub.position < head or self._hub.is_behind:  # noqa: ASYNC110 - it has no event for a proof
            await asyncio.sleep(0.1)
        await asyncio.sleep(2 * _LIMITS.period_s)
        for client in self._clients:
            for _ in range(3):  # the first may tell it that it has missed something
                await client.session(self._hub, client.place, 12.0, self._subscribers.append)
            await client.check(head)

    def _another(self) -> Hub:
        return Hub(self._log, self._timeline, epoch=f"e{self._draw.getrandbits(32):08x}", limits=_LIMITS)

    def _start(self) -> None:
        self._feeding = asyncio.create_task(self._hub.run())

    async def _restarts(self) -> None:
        while True:
            await asyncio.sleep(self._draw.choice((self._draw.uniform(0.3, 1.5), self._draw.uniform(4.0, 20.0))))
            assert self._feeding is not None
            await ended(self._feeding)
            self._hub = self._another()
            self._start()

    async def _commits(self) -> None:
        loop, cursor = asyncio.get_running_loop(), 0
        token = await self._log.acquire(_SITE, "proof")
        while loop.time() < _SECONDS:
            await asyncio.sleep(self._draw.choice((0.01, 0.05, 0.05, 0.1, 0.1, 0.5)))
            n = self._draw.randint(1, _FACTS_AT_ONCE)
            await self._log.append([_observed(cursor + one + 1) for one in range(n)])
            facts = tuple(self._facts.next(cursor + one + 1) for one in range(n))
            await self._log.commit(FoldCommit(token=token, after=cursor, cursor=cursor + n, facts=facts))
            cursor += n

    async def _lives(self, client: Client) -> None:
        draw = client.draw
        while not self._is_over:
            await client.session(self._hub, self._asked(client), draw.expovariate(1 / 5.0), self._subscribers.append)
            await asyncio.sleep(draw.choice((0.0, 0.05, 0.5, 3.0)))

    def _asked(self, client: Client) -> tuple[str, int] | None:
        """Mostly what it holds."""
        held = client.place
        if held is None or client.draw.random() < 0.6:
            return held
        epoch, seq = held
        other = client.draw.choice(self._clients).place
        return client.draw.choice((None, (epoch, max(0, seq - 3)), (epoch, seq + 2), ("never", seq), other))

    async def _watches(self) -> None:
        """Nothing grows; raises Wrong."""
        while True:
            await asyncio.sleep(0.25)
            self._subscribers = [one for one in self._subscribers if one.closed is None]
            most = max((one.n_queued for one in self._subscribers), default=0)
            if most > _LIMITS.n_ring + _LIMITS.soft_limit + 1:
                raise Wrong(f"{most} messages wait for one client")
            if self._hub.n_views > _LIMITS.n_views or self._hub.n_clients > CLIENTS:
                raise Wrong(f"{self._hub.n_views} filters and {self._hub.n_clients} clients are kept")


def _observed(n: int) -> ObservationEvent:
    return replace(observation(1, n), site=_SITE)
