"""G10: every fact reaches every durable subscription at least once, in order per session, until acknowledged or parked.

A run is one consumer's life over a service that answers 503, loses requests and answers, hangs, and restarts, while facts are
still being committed; the consumer is killed and started again at random, and some of its effects fail. It stores its effects
beside the ids of the events. Time passes with every request. Of thirty seeds one is a subscriber in a process of its own that
is killed five times while two thousand facts flow, and two are a webhook's sender (``webhook_lives``). Control: a consumer that
does not store the ids.
"""

from __future__ import annotations

import asyncio
import random

import httpx2
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from starlette.applications import Starlette

from twin.backoff import Backoff
from twin.client import Client
from twin.events.codec import subject_of
from twin.feeds.subscriptions import Subscriptions
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.log.subscriptions import MemorySubscriptions

from . import killed_subscriber, webhook_lives
from .effects import PLACE, Effects, app_of
from .outcome import Outcome, tried
from .overlapping_stays import overlapping_stays
from .quiet import quiet
from .sim.loop import run
from .workload import SITE, observation

RUNS, FULL_RUNS = 60, 5_000
_US = 1_000_000
_LOST, _FAILING, _LONGEST_LIFE, _LIVES = 0.2, 0.05, 12, 2_000
_EFFECT_S = (0.0, 0.0, 0.02, 0.3)
_KIND_BY_PLACE = {9: webhook_lives.refuted, 19: webhook_lives.refuted, 29: killed_subscriber.refuted}
_AT_ONCE = Backoff(lambda: 0.0, first_s=0.0, longest_s=0.0)


def prove(runs: int, seed: int) -> Outcome:
    """Each run delivers forty facts of eight sessions."""
    seeds = range(seed, seed + runs)
    with quiet("twin.client", "twin.api.problem", "httpx2"):
        failures = tried(seeds, lambda one: _KIND_BY_PLACE.get(one % 30, _delivered_once)(one))
        control = tried(seeds[:10], lambda one: _delivered(one, has_inbox=False))
    return Outcome(runs, failures, "a consumer that does not store event ids", len(control))


def _delivered_once(seed: int) -> str | None:
    return _delivered(seed, has_inbox=True)


def _delivered(seed: int, *, has_inbox: bool) -> str | None:
    return run(lambda _: _Run(seed, has_inbox=has_inbox).refuted())


class _Killed(BaseException):
    """The consumer's process ended without a word."""


class _Run:
    """One log, one subscription, and the lives of its consumer.

    Attributes:
        now: the service's clock; every request moves it.
    """

    def __init__(self, seed: int, *, has_inbox: bool) -> None:
        self.draw = random.Random(f"deliveries {seed}")
        self.now = 1_767_225_600 * _US
        self._log, self._store = MemoryLog(clock=lambda: self.now), MemorySubscriptions()
        self._engine = create_engine("sqlite://", poolclass=StaticPool)
        self._effects = Effects(self._engine, has_inbox=has_inbox)
        self._facts = overlapping_stays(self.draw)
        self._n_committed = 0

    async def refuted(self) -> str | None:
        """What went wrong, or None."""
        await self._commit()
        try:
            for _ in range(_LIVES):
                await self._live()
                await self._commit()
                if await self._is_done():
                    return self._wrong()
            return f"after {_LIVES} lives of the consumer: {self._wrong() or 'all effects, but not all acknowledged'}"
        finally:
            self._engine.dispose()
            await self._log.aclose()

    async def _commit(self) -> None:
        """Some more facts, in one fold."""
        n = min(self.draw.randint(0, 12), len(self._facts) - self._n_committed)
        if n == 0:
            return
        new = tuple(self._facts[self._n_committed : self._n_committed + n])
        await self._log.append([observation(1, self._n_committed + one + 1) for one in range(n)])
        token = await self._log.acquire(SITE, "proof")
        self._n_committed += n
        await self._log.commit(FoldCommit(token=token, after=self._n_committed - n, cursor=self._n_committed, facts=new))

    async def _is_done(self) -> bool:
        """Whether all was acknowledged; on the way, somebody looks at what is parked, and has it tried again."""
        there = await self._store.load(SITE, "billing")
        if there is None:
            return False
        for one in there.queue.values():
            if one.state == "parked":
                await Subscriptions(self._log, self._store, PLACE).retry("billing", one.position)
        return self._n_committed == len(self._facts) == there.read_to and not there.queue

    async def _live(self) -> None:
        """One life of the consumer and of the service it talks to; it ends within a request."""
        subscriptions = Subscriptions(self._log, self._store, PLACE, clock=lambda: self.now)
        transport = _Faulty(app_of(self._log, subscriptions), self)
        async with httpx2.AsyncClient(transport=transport) as http:
            client = Client("http://localhost", site=SITE, http=http, backoff=_AT_ONCE)
            consumer = self.draw.choice(("billing-1", "billing-2", f"billing-{self.now}"))
            limit = self.draw.choice((1, 3, 20))
            billing = client.subscribe("billing", after=0, limit=limit, wait_s=0.0, consumer=consumer)
            try:
                async for event in billing:
                    if self.draw.random() < _FAILING:
                        await billing.refuse("the consumer's database is away")
                    else:
                        self._effects.happen(event)
                        await asyncio.sleep(self.draw.choice(_EFFECT_S))
            except _Killed:
                for one in asyncio.all_tasks() - {asyncio.current_task()}:
                    one.cancel()  # what was on its way ends with the process

    def _wrong(self) -> str | None:
        found = self._effects.by_session()
        for session in {subject_of(fact.payload) for fact in self._facts}:
            expected = [n for n, fact in enumerate(self._facts, 1) if subject_of(fact.payload) == session]
            had = found.get(str(session), [])
            if had != expected:
                return f"session {session} has facts {expected}, and had effects of {had}"
        return None


class _Faulty(httpx2.AsyncBaseTransport):
    """Takes every request to the application, or not, and brings the answer back, or not."""

    def __init__(self, app: Starlette, run: _Run) -> None:
        self._inner = httpx2.ASGITransport(app=app)
        self._run = run
        self._left = run.draw.randint(1, _LONGEST_LIFE)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        draw, self._left = self._run.draw, self._left - 1
        self._run.now += draw.choice((1_000, 50_000, _US, 20 * _US, 100 * _US))
        fault = draw.choices(("none", "unavailable", "lost", "hanging"), (1 - _LOST, _LOST / 3, _LOST / 3, _LOST / 3))[0]
        if fault == "unavailable":
            return httpx2.Response(503, json={"detail": "later"}, request=request)
        if fault == "lost" or (self._left <= 0 and draw.random() < 0.5):
            raise self._cut(request, httpx2.ConnectError("reset"))
        answer = await self._inner.handle_async_request(request)
        if fault == "hanging" or self._left <= 0:
            raise self._cut(request, httpx2.ReadTimeout("no answer"))
        return answer

    def _cut(self, request: httpx2.Request, error: httpx2.RequestError) -> BaseException:
        error.request = request
        return error if self._left > 0 else _Killed()
