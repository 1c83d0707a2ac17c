"""Sends one site's facts to its webhooks: at least once, in order within a session, one request a fact.

Each webhook is a task of its own with connections of its own, so that an endpoint that fails or hangs holds up no other. What a
webhook is to send it leases like any consumer; all that must outlive this process is in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby

from msgspec.structs import replace

from twin.backoff import Backoff
from twin.errors import LogClosed, NotFound, Overloaded, TwinError
from twin.events.ids import SECOND, SiteId
from twin.feeds.batched import Batched
from twin.feeds.receivers import Answer, Receiver, Receivers
from twin.feeds.subscriptions import Handed, Lease, Subscriptions
from twin.feeds.webhook_messages import message_of, verdict_of
from twin.feeds.webhooks import Webhooks
from twin.log.clock import Clock, system_clock
from twin.log.webhooks import Attempt, Webhook, subscription_of

AT_ONCE = 8
"""Requests of one webhook."""
_LEASES = 8
_LEASED = 16
_LEASE_S = 60.0
_WAIT_S = 20.0
_LOOK_S = 1.0
_BACKOFF = Backoff(lambda: 0.0, first_s=1.0, longest_s=60.0)  # of a store: those who ask it are few and need no jitter

_logger = logging.getLogger(__name__)

Told = Callable[[str, Attempt], None]
"""Told every attempt, with the webhook's name."""


class WebhookSender:
    """Runs what sends to each of a site's webhooks."""

    def __init__(
        self,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        receivers: Receivers,
        site: SiteId,
        *,
        consumer: str,
        look_every_s: float | None = None,
        told: Told = lambda name, attempt: None,
        clock: Clock = system_clock,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        """
        Args:
            backoff: how long to wait after the store failed so many times in a row.
            consumer: names this process; what it held before a restart under this name is its own again.
            look_every_s: how often to look for what other processes changed; None: there are no others.
        """
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._receivers = receivers
        self._site = site
        self._consumer = consumer
        self._look_every_s = look_every_s
        self._told = told
        self._clock = clock
        self._backoff = backoff

    async def run(self) -> None:
        """Until cancelled. Leases are given back then, and what was being sent is sent again by whoever comes next.

        A store that fails is asked again, ever less often.

        Raises:
            LogClosed: the log stopped.
        """
        running: dict[str, asyncio.Task[None]] = {}
        try:
            await self._run(running)
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed  # whoever runs the service is told one thing, in words

    async def _run(self, running: dict[str, asyncio.Task[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._webhooks.changed.clear()
                for one in await self._all():
                    if one.state == "active" and one.name not in running:
                        running[one.name] = group.create_task(self._send(one.name), name=f"webhook {one.name} of {self._site}")
                        running[one.name].add_done_callback(lambda task, name=one.name: self._ended(running, name))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_every_s):
                        await self._webhooks.changed.wait()

    def _ended(self, running: dict[str, asyncio.Task[None]], name: str) -> None:
        del running[name]
        self._webhooks.changed.set()  # it may have been resumed just before it ended

    async def _all(self) -> list[Webhook]:
        n_failures = 0
        while True:
            try:
                return await self._webhooks.all()
            except LogClosed:
                raise
            except TwinError as wrong:
                n_failures += 1
                await self._pause(f"the webhooks of site '{self._site}' are not known", wrong, n_failures)

    async def _send(self, name: str) -> None:
        n_failures = 0
        while True:
            endpoint = _Endpoint(
                name, self._webhooks, self._subscriptions, self._receivers, self._consumer, told=self._told, clock=self._clock
            )
            try:
                return await endpoint.run()
            except NotFound:
                return await asyncio.sleep(_LOOK_S)  # it is being deleted, or made anew
            except (TwinError, ExceptionGroup) as failed:
                if not _may_pass(failed):
                    raise
                n_failures = 1 if endpoint.has_noted else n_failures + 1
                await self._pause(f"webhook {name} of site '{self._site}' waits", _first(failed), n_failures)

    async def _pause(self, what: str, wrong: BaseException, n_failures: int) -> None:
        wait_s = self._backoff.wait_s(n_failures)
        _logger.warning("%s: %s; asked again in %.1f s", what, wrong, wait_s)
        await asyncio.sleep(wait_s)


class _Endpoint:
    """One webhook while it is active."""

    def __init__(
        self,
        name: str,
        webhooks: Webhooks,
        subscriptions: Subscriptions,
        receivers: Receivers,
        consumer: str,
        *,
        told: Told,
        clock: Clock,
    ) -> None:
        self._name = name
        self._subscription = subscription_of(name)
        self._webhooks = webhooks
        self._subscriptions = subscriptions
        self._receivers = receivers
        self._told = told
        self._clock = clock
        self._consumers = [f"{consumer}/{number}" for number in range(_LEASES)]
        self._free: asyncio.Queue[str] = asyncio.Queue()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._receiver: tuple[str, Receiver] | None = None
        self._done: Batched[tuple[int, Attempt]] = Batched(self._acknowledge)
        self._lost: set[int] = set()  # leases that others have taken facts of
        self.has_noted = False
        """Whether the outcome of a request was stored."""

    async def run(self) -> None:
        """Lease and send until the webhook is paused, disabled or deleted; raises NotFound then."""
        await self._subscriptions.reclaim(self._subscription, self._consumers)
        for consumer in self._consumers:
            self._free.put_nowait(consumer)
        try:
            async with asyncio.TaskGroup() as group:
                while (webhook := await self._active()) is not None:
                    left_s = (webhook.held_until - self._clock()) / SECOND
                    if left_s > 0.0:
                        await asyncio.sleep(min(left_s, _LOOK_S))
                        continue
                    consumer = await self._free.get()
                    lease = await self._subscriptions.lease(
                        self._subscription, limit=_LEASED, lease_s=_LEASE_S, wait_s=_WAIT_S, consumer=consumer
                    )
                    if lease.number:
                        group.create_task(self._work(lease, consumer))
                    else:
                        self._free.put_nowait(consumer)
        except* NotFound:
            pass
        finally:
            if self._receiver is not None:
                await self._receiver[1].aclose()

    async def _active(self) -> Webhook | None:
        webhook = await self._webhooks.load(self._name)
        return webhook if webhook is not None and webhook.state == "active" else None

    async def _work(self, lease: Lease, consumer: str) -> None:
        """Send what a lease holds: of each order one after the other, orders beside each other."""
        keeping = asyncio.create_task(self._keep(lease))
        try:
            async with asyncio.TaskGroup() as group:
                for together in _by_order(lease.handed):
                    group.create_task(self._send_in_order(lease, together))
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            with suppress(NotFound):
                await self._subscriptions.release(self._subscription, lease.number)
            self._lost.discard(lease.number)
            self._free.put_nowait(consumer)

    async def _keep(self, lease: Lease) -> None:
        """Hold a lease for as long as its facts take."""
        while True:
            await asyncio.sleep(_LEASE_S / 3)
            with suppress(Overloaded):  # there is time for another try before it ends
                await self._subscriptions.extend(self._subscription, lease.number, _LEASE_S)

    async def _send_in_order(self, lease: Lease, together: Sequence[Handed]) -> None:
        for one in together:
            async with self._room:
                webhook = await self._active()
                at = self._clock()
                if webhook is None or webhook.held_until > at or lease.number in self._lost:
                    return
                answer = await self._post(webhook, one)
            if not await self._settle(lease, one, answer, at):
                return

    async def _post(self, webhook: Webhook, one: Handed) -> Answer:
        message = message_of(one.fact)
        try:
            receiver = await self._open(webhook.url)
            return await receiver.post(message.body, await self._webhooks.signed(webhook, message))
        except TwinError as wrong:  # what was allowed when it was put may be so no more
            return Answer(status=None, error=str(wrong))

    async def _open(self, url: str) -> Receiver:
        """Its endpoint, with connections that stay from one request to the next."""
        if self._receiver is None or self._receiver[0] != url:
            before, self._receiver = self._receiver, (url, self._receivers.open(url, n_at_once=AT_ONCE))
            if before is not None:
                await before[1].aclose()
        return self._receiver[1]

    async def _settle(self, lease: Lease, one: Handed, answer: Answer, at: int) -> bool:
        """Store what became of a request; gives whether the next of its order may be sent."""
        verdict = verdict_of(answer, self._clock())
        attempt = Attempt(
            position=one.fact.position,
            event_id=one.fact.event.id,
            n_attempts=one.delivery.n_attempts,
            at=at,
            outcome="delivered",
            status=answer.status,
            error=verdict.reason,
            duration_us=answer.duration_us,
        )
        if verdict.kind == "delivered":
            await self._done.add((lease.number, attempt))
            return True
        if verdict.kind == "gone":
            await self._webhooks.disable(self._name, verdict.reason)
        elif verdict.hold_us:
            await self._webhooks.hold(self._name, self._clock() + verdict.hold_us)
        await self._failed(lease, attempt, verdict.kind == "gone", verdict.hold_us)
        return False

    async def _failed(self, lease: Lease, attempt: Attempt, is_gone: bool, hold_us: int) -> None:
        stored = await self._subscriptions.fail(
            self._subscription, lease.number, attempt.position, attempt.error, least_pause_us=hold_us
        )
        is_parked = stored is not None and stored.state == "parked"
        outcome = "disabled" if is_gone else "parked" if is_parked else "failed"
        next_at = None if stored is None or is_parked or is_gone else stored.until
        await self._note([replace(attempt, outcome=outcome, next_at=next_at)])

    async def _acknowledge(self, done: Sequence[tuple[int, Attempt]]) -> None:
        for number, of_lease in groupby(sorted(done, key=lambda one: one[0]), key=lambda one: one[0]):
            positions = [attempt.position for _, attempt in of_lease]
            again = await self._subscriptions.acknowledge(self._subscription, number, positions)
            if again:
                self._lost.add(number)
                _logger.warning("%d facts are sent twice to webhook %s: their lease had ended", len(again), self._name)
        await self._note([attempt for _, attempt in done])

    async def _note(self, attempts: list[Attempt]) -> None:
        for one in attempts:
            self._told(self._name, one)
        await self._webhooks.note(self._name, attempts)
        self.has_noted = True


def _may_pass(failed: BaseException) -> bool:
    """Whether all that failed is of a kind that may go by itself: of the store, and no log that is closed."""
    if isinstance(failed, BaseExceptionGroup):
        return all(_may_pass(one) for one in failed.exceptions)
    return isinstance(failed, TwinError) and not isinstance(failed, LogClosed)


def _first(failed: BaseException) -> BaseException:
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return failed


def _by_order(handed: Sequence[Handed]) -> list[list[Handed]]:
    found: dict[str, list[Handed]] = {}
    for one in handed:
        found.setdefault(one.delivery.order, []).append(one)
    return list(found.values())
