"""A webhook's life: its endpoint fails in every way, its sender is stopped and killed, and all arrives, in order per session.

The receiver is on a real socket. It answers 4xx and 5xx, asks for time, hangs, cuts connections before and after the effect of
an event, and says now and then that it wants no more; somebody resumes the webhook then, and has parked facts tried again. The
secret is rotated on the way; whoever still has the one before must find every request signed by it for as long as both are to,
and whoever has the new one every request since.

An endpoint that hangs takes no time here: the loop's clock, by which the sender loses its patience, goes on that far at once.
So the patience is long, and nothing that is answered is late on a machine that has much to do.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import ssl
from contextlib import suppress
from typing import Any, TypeVar

from twin.errors import LogClosed
from twin.events.codec import subject_of
from twin.events.ids import SECOND
from twin.feeds.receiver_address import allowed_of
from twin.feeds.receivers import Receivers
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhook_sender import WebhookSender
from twin.feeds.webhooks import LONGEST_OVERLAP_S, Webhooks
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.log.subscriptions import Filter, MemorySubscriptions
from twin.log.webhooks import MemoryWebhooks

from .effects import PLACE
from .overlapping_stays import overlapping_stays
from .quiet import quiet
from .receiver import Reaction, Receiver, Request, is_signed
from .workload import SITE, observation

T = TypeVar("T")

_NAME = "bills"
_TIMEOUT_S = 10.0
_LIVES = 400
_ROTATED_AFTER = 15
_OVERLAP_S = LONGEST_OVERLAP_S
_STEP_S = 0.004
_NEVER = 2**62
_WELL = Reaction()
_FAULTS = (
    Reaction(500),
    Reaction(404),
    Reaction(302, {"location": "/elsewhere"}),
    Reaction(429, {"retry-after": "3"}),
    Reaction(503, {"retry-after": "90"}),
    Reaction(410),
    Reaction(None),
    Reaction(None, is_had=True),
    Reaction(after_s=10 * _TIMEOUT_S),
    Reaction(500, after_s=10 * _TIMEOUT_S),
)


def refuted(seed: int) -> str | None:
    """What went wrong, or None."""
    with quiet("twin.feeds.webhook_sender"), asyncio.Runner(loop_factory=_HastyLoop) as runner:
        return runner.run(_Lives(seed).refuted())


class _HastyLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward: what waits for a time waits no longer."""

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        self._ahead_s = 0.0

    def time(self) -> float:
        """The machine's, and what was skipped."""
        return super().time() + self._ahead_s

    def skip(self, seconds: float) -> None:
        """Go on at once by so much."""
        self._ahead_s += seconds


class _Mortal:
    """A store that a process which was killed cannot write to any more."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        async def call(*given: Any, **named: Any) -> Any:
            if self.is_dead:
                raise LogClosed("this process was killed")
            return await getattr(self._store, name)(*given, **named)

        return call


class _Lives:
    """One log, one webhook, one receiver, and the lives of the sender."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(f"webhook {seed}")
        self._now = 1_767_225_600 * SECOND
        self._log = MemoryLog(clock=lambda: self._now)
        self._subscribed, self._kept, self._keys = MemorySubscriptions(), MemoryWebhooks(), MemoryKeyRing()
        self._facts = overlapping_stays(self._draw)
        self._n_committed = 0
        self._receiver = Receiver(self._react)
        self._receivers = Receivers(allowed_of("127.0.0.0/8"), timeout_s=_TIMEOUT_S, tls=ssl.create_default_context())
        self._secret, self._newer, self._rotated_at = "", "", _NEVER
        self._fault_rate = self._draw.choice((0.2, 0.4, 0.6))

    async def refuted(self) -> str | None:
        """Lives until all is delivered; then what is wrong."""
        here = self._webhooks(self._kept, self._subscriptions(self._subscribed))
        try:
            async with self._receiver.listening() as address:
                put = await here.put(_NAME, f"http://{address}/in", Filter(), after=0)
                self._secret = put.secret or ""
                for _ in range(_LIVES):
                    await self._live(here)
                    if self._rotated_at == _NEVER and len(self._receiver.requests) >= _ROTATED_AFTER:
                        self._newer, self._rotated_at = await here.rotate(_NAME, overlap_s=_OVERLAP_S), self._now
                    if await self._is_done(here):
                        return self._wrong()
                return f"after {_LIVES} lives of the sender: {self._wrong() or 'all arrived, but not all is acknowledged'}"
        finally:
            await self._log.aclose()

    def _subscriptions(self, store: Any) -> Subscriptions:
        return Subscriptions(self._log, store, PLACE, clock=lambda: self._now)

    def _webhooks(self, store: Any, subscriptions: Subscriptions) -> Webhooks:
        secrets = WebhookSecrets(self._keys, SITE, self._draw.randbytes)
        return Webhooks(subscriptions, store, secrets, self._receivers, SITE, clock=lambda: self._now)

    def _react(self, request: Request) -> Reaction:
        reaction = self._draw.choice(_FAULTS) if self._draw.random() < self._fault_rate else _WELL
        if reaction.after_s:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, _HastyLoop)
            loop.skip(_TIMEOUT_S)
        return reaction

    async def _live(self, here: Webhooks) -> None:
        """One life of the process that sends; it is stopped, or killed in the middle of anything."""
        mortals = [_Mortal(self._kept), _Mortal(self._subscribed)]
        subscriptions = self._subscriptions(mortals[1])
        webhooks = self._webhooks(mortals[0], subscriptions)
        consumer = self._draw.choice(("here", "there"))
        sender = WebhookSender(
            webhooks, subscriptions, self._receivers, SITE, consumer=consumer, look_every_s=_STEP_S, clock=lambda: self._now
        )
        running = asyncio.create_task(sender.run())
        for _ in range(self._draw.randint(1, 25)):
            await asyncio.sleep(self._draw.choice((0.0, 0.0, _STEP_S)))
            await self._commit()
            await self._pass(here)
        for one in mortals:
            one.is_dead = self._draw.random() < 0.5
        running.cancel()
        with suppress(asyncio.CancelledError, LogClosed):
            await running

    async def _commit(self) -> None:
        """Some more facts, in one fold."""
        n = min(self._draw.randint(0, 4), len(self._facts) - self._n_committed)
        if n == 0:
            return
        new = tuple(self._facts[self._n_committed : self._n_committed + n])
        await self._log.append([observation(1, self._n_committed + one + 1) for one in range(n)])
        token = await self._log.acquire(SITE, "proof")
        self._n_committed += n
        await self._log.commit(FoldCommit(token=token, after=self._n_committed - n, cursor=self._n_committed, facts=new))

    async def _pass(self, here: Webhooks) -> None:
        """Time passes, by little while something is on its way; somebody looks after the webhook."""
        found = await here.standing(_NAME)
        queue = found.standing.subscription.queue.values()
        if found.webhook.state == "disabled":
            await here.resume(_NAME)
        for one in queue:
            if one.state == "parked":
                await here.retry(_NAME, one.position)
        waits = [one.until for one in queue if one.state == "waiting" and one.until > self._now]
        if found.standing.tally.leased:
            self._now += self._draw.choice((1_000, 100_000, SECOND))
        elif waits:
            self._now = max(min(waits), found.webhook.held_until)
        elif self._draw.random() < 0.2:
            self._now += 100 * SECOND  # leases of the dead end

    async def _is_done(self, here: Webhooks) -> bool:
        there = (await here.standing(_NAME)).standing
        return self._n_committed == len(self._facts) == there.acknowledged_to

    def _unsigned(self, request: Request) -> str | None:
        """Which secret should sign a request of its time and does not; None: all that should do."""
        at = int(request.headers["webhook-timestamp"]) * SECOND
        if at + SECOND <= self._rotated_at + _OVERLAP_S * SECOND and not is_signed(request, self._secret):
            return "secret that its receiver had at first, though both are to sign"
        if at > self._rotated_at and not is_signed(request, self._newer):
            return "secret that its receiver was given since"
        return None

    def _wrong(self) -> str | None:
        for one in self._receiver.requests:
            fact = self._facts[int(one.event["position"]) - 1]
            if one.id != fact.id or one.event["id"] != fact.id:
                return f"position {one.event['position']} came as {one.id}, and is {fact.id}"
            if missing := self._unsigned(one):
                return f"position {one.event['position']} is not signed with the {missing}"
        first = list(dict.fromkeys(int(one.event["position"]) for one in self._receiver.had))
        for session in {subject_of(fact.payload) for fact in self._facts}:
            expected = [n for n, fact in enumerate(self._facts, 1) if subject_of(fact.payload) == session]
            had = [n for n in first if n in expected]
            if had != expected:
                return f"session {session} has facts {expected}, and the receiver had {had}"
        return None
