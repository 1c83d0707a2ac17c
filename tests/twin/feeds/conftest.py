"""Webhooks of the lot over a log in memory, that send to real sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from twin.backoff import Backoff
from twin.evaluation.proofs import part
from twin.feeds import subscriptions as subscriptions_module
from twin.feeds.receiver_address import allowed_of
from twin.feeds.receivers import Receivers
from twin.feeds.subscriptions import Subscriptions
from twin.feeds.webhook_secrets import WebhookSecrets
from twin.feeds.webhook_sender import WebhookSender
from twin.feeds.webhooks import Webhooks
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.subscriptions import MemorySubscriptions
from twin.log.webhooks import MemoryWebhooks

NOON = 1_767_268_800_000_000


@dataclass
class Place:
    """What outlives the sender, and a clock that is set by hand."""

    log: MemoryLog
    lot: Any
    now: int = NOON
    timeout_s: float = 15.0
    store: MemoryWebhooks = field(default_factory=MemoryWebhooks)
    subscribed: MemorySubscriptions = field(default_factory=MemorySubscriptions)
    keys: MemoryKeyRing = field(default_factory=MemoryKeyRing)
    told: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = itertools.count(1)
        self.receivers = Receivers(allowed_of("127.0.0.0/8"), timeout_s=self.timeout_s)
        self.subscriptions = Subscriptions(self.log, self.subscribed, self.lot, clock=lambda: self.now)
        secrets = WebhookSecrets(self.keys, "lot", lambda n: next(numbers).to_bytes(n, "big"))
        self.webhooks = Webhooks(self.subscriptions, self.store, secrets, self.receivers, "lot", clock=lambda: self.now)

    @asynccontextmanager
    async def sending(self, consumer: str = "here") -> AsyncIterator[asyncio.Task[None]]:
        """A sender, until the block ends."""
        sender = WebhookSender(
            self.webhooks,
            self.subscriptions,
            self.receivers,
            "lot",
            consumer=consumer,
            told=lambda name, attempt: self.told.append((name, attempt)),
            clock=lambda: self.now,
            backoff=Backoff(lambda: 0.0, first_s=0.002, longest_s=0.02),
        )
        running = asyncio.create_task(sender.run())
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled(), running.exception()

    async def until_acknowledged(self, name: str, position: int) -> None:
        """Wait for a webhook to have delivered all up to a position."""
        await self.until(lambda one: one.standing.acknowledged_to >= position, name)

    async def failed(self, position: int, name: str = "x") -> Any:
        """The delivery of a fact, once it has failed and is settled."""
        standing = await self.until(lambda one: (there := one.standing.subscription.queue.get(position)) and there.reason, name)
        return standing.standing.subscription.queue[position]

    async def until(self, is_so: Callable[[Any], bool], name: str = "x") -> Any:
        """Wait for a webhook to stand so."""
        async with asyncio.timeout(20):
            while not is_so(standing := await self.webhooks.standing(name)):  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        return standing


@pytest.fixture
def place(lot, story, monkeypatch) -> Callable[..., AbstractAsyncContextManager[Place]]:
    """``async with place(events) as here``."""
    monkeypatch.setattr(subscriptions_module, "_LOOK_EVERY_S", 0.02)

    @asynccontextmanager
    async def opened(events=(), **given: Any) -> AsyncIterator[Place]:
        log = await story.log(events)
        try:
            yield Place(log, lot, **given)
        finally:
            await log.aclose()

    return opened


@pytest.fixture
def receiver() -> Any:
    """A receiver that is not listening yet: ``ops/prove/receiver.py``'s."""
    return part("receiver").Receiver()


@pytest.fixture
def reaction() -> Any:
    return part("receiver").Reaction


@pytest.fixture
def is_signed() -> Any:
    return part("receiver").is_signed
