"""Webhooks: what of each is kept beside its subscription, and the port of where.

What a webhook delivers is a subscription of its own (``subscription_of``); here is where to, signed with what, whether at all,
and what became of the last attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from twin.events.ids import EventId, Micros, SiteId

T = TypeVar("T")

PREFIX = "webhook."
MOST_ATTEMPTS_KEPT = 500

WebhookState = Literal["active", "paused", "disabled"]
AttemptOutcome = Literal["delivered", "failed", "parked", "disabled"]


class Secret(Struct, frozen=True, kw_only=True):
    """What requests are signed with, sealed under a key of its own.

    Attributes:
        until: it signs up to here; None: until another takes its place.
    """

    key_id: str
    ciphertext: bytes
    until: Micros | None = None


class Webhook(Struct, frozen=True, kw_only=True):
    """An endpoint that facts are sent to.

    Attributes:
        state: paused by a person, disabled by the endpoint's answer (``reason``).
        held_until: the endpoint asked for no request before.
        secrets: the newest first.
        n_attempts: all so far; they number the attempts that are kept.
    """

    site: SiteId
    name: str
    url: str
    created_at: Micros
    secrets: tuple[Secret, ...]
    state: WebhookState = "active"
    reason: str = ""
    held_until: Micros = 0
    n_attempts: int = 0


class Attempt(Struct, frozen=True, kw_only=True):
    """One request to a webhook's endpoint.

    Attributes:
        position: of the fact; 0 for a test.
        n_attempts: how many times this fact was sent, this time included.
        at: when it began.
        status: of the answer; None where there was none.
        error: why it failed; empty where it did not.
        next_at: when it is tried again; None: never.
    """

    position: int
    event_id: EventId
    n_attempts: int
    at: Micros
    outcome: AttemptOutcome
    status: int | None = None
    error: str = ""
    duration_us: int = 0
    next_at: Micros | None = None


def subscription_of(webhook: str) -> str:
    """The name of the subscription that a webhook delivers."""
    return PREFIX + webhook


WebhookChange = Callable[[Webhook | None], tuple[Webhook | None, T]]


class WebhookStore(Protocol):
    """Where webhooks are kept; every adapter passes ``tests/twin/log/test_webhooks.py``."""

    async def change(self, site: SiteId, name: str, change: WebhookChange[T]) -> T:
        """Apply ``change`` to a webhook (None: there is none) and keep what it gives (None: delete, with its attempts).

        Alone and durably; ``change`` decides only, and what it raises on purpose leaves all as it was.
        """
        ...

    async def load(self, site: SiteId, name: str) -> Webhook | None:
        """One webhook; None when there is none."""
        ...

    async def all(self, site: SiteId) -> list[Webhook]:
        """A site's webhooks, by name."""
        ...

    async def note(self, site: SiteId, name: str, attempts: Sequence[Attempt]) -> None:
        """Keep attempts, in this order, and of all the last ``MOST_ATTEMPTS_KEPT``; nothing where there is no such webhook."""
        ...

    async def attempts(self, site: SiteId, name: str, *, limit: int) -> list[Attempt]:
        """The last attempts, the newest first."""
        ...


class MemoryWebhooks:
    """The reference adapter."""

    def __init__(self) -> None:
        self._kept: dict[tuple[SiteId, str], Webhook] = {}
        self._attempts: dict[tuple[SiteId, str], list[Attempt]] = {}

    async def change(self, site: SiteId, name: str, change: WebhookChange[T]) -> T:
        """See ``WebhookStore``."""
        after, answer = change(self._kept.get((site, name)))
        if after is None:
            self._kept.pop((site, name), None)
            self._attempts.pop((site, name), None)
        else:
            self._kept[site, name] = after
        return answer

    async def load(self, site: SiteId, name: str) -> Webhook | None:
        """See ``WebhookStore``."""
        return self._kept.get((site, name))

    async def all(self, site: SiteId) -> list[Webhook]:
        """See ``WebhookStore``."""
        return [one for key, one in sorted(self._kept.items()) if key[0] == site]

    async def note(self, site: SiteId, name: str, attempts: Sequence[Attempt]) -> None:
        """See ``WebhookStore``."""
        if (there := self._kept.get((site, name))) is None:
            return
        self._kept[site, name] = replace(there, n_attempts=there.n_attempts + len(attempts))
        kept = self._attempts.setdefault((site, name), [])
        kept += attempts
        del kept[:-MOST_ATTEMPTS_KEPT]

    async def attempts(self, site: SiteId, name: str, *, limit: int) -> list[Attempt]:
        """See ``WebhookStore``."""
        return self._attempts.get((site, name), [])[::-1][:limit]
