"""Durable subscriptions to facts: what of each is kept, and the port of where.

A subscription has read the fact log up to a position; what fits its filter waits in its queue until it is acknowledged. Both
change in one transaction of the log's own database, so that the fact log itself is the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from twin.events.ids import Micros, SiteId

T = TypeVar("T")

DeliveryState = Literal["waiting", "leased", "parked"]


class Filter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which facts; an empty tuple is all of them.

    Attributes:
        types: such as "session.closed.v1".
        zones: facts that name one of these zones, or a stall in it.
        subjects: facts that are about one of these: a session, vehicle, stall or camera.
    """

    types: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class Delivery(Struct, frozen=True, kw_only=True):
    """A fact that a subscription has not acknowledged.

    Attributes:
        order: what it stays in order with: its session, or its vehicle, or what else it is about.
        n_attempts: how many times it was delivered.
        lease: the number of its last lease; 0 when there was none.
        holder: the consumer that took it, if it said its name.
        until: when a lease ends, or before when it is not delivered again.
        reason: why its last attempt failed.
    """

    position: int
    order: str
    state: DeliveryState = "waiting"
    n_attempts: int = 0
    lease: int = 0
    holder: str = ""
    until: Micros = 0
    reason: str = ""


class Replay(Struct, frozen=True, kw_only=True):
    """Positions up to ``until`` are read again, then reading goes on after ``resume``."""

    until: int
    resume: int


class Subscription(Struct, frozen=True, kw_only=True):
    """A durable cursor with a name.

    Attributes:
        most_attempts: after so many failed deliveries a fact is parked.
        pauses_s: how long a fact waits after its first failure, its second, …; the last holds for all that follow. Empty: 1, 2,
            4 … 60 s.
        read_to: facts up to here were looked at: they are in the queue, acknowledged, or do not fit.
        owner: the name of the key that made it, for which it is; empty: nobody's in particular.
        paused_at: when a person stopped it: nothing is handed out; None: it is not stopped.
        n_leases: leases are numbered; a later one takes over what an earlier one lost.
        queue: what is not acknowledged, by position.
    """

    site: SiteId
    name: str
    filter: Filter
    most_attempts: int
    created_at: Micros
    read_to: int
    pauses_s: tuple[float, ...] = ()
    replay: Replay | None = None
    n_leases: int = 0
    n_acknowledged: int = 0
    n_discarded: int = 0
    queue: Mapping[int, Delivery] = {}
    owner: str = ""
    paused_at: Micros | None = None


Change = Callable[[Subscription | None], tuple[Subscription | None, T]]


class SubscriptionStore(Protocol):
    """Where subscriptions are kept; every adapter passes ``tests/twin/log/test_subscriptions.py``."""

    async def change(self, site: SiteId, name: str, change: Change[T]) -> T:
        """Apply ``change`` to a subscription (None: there is none) and keep what it gives (None: delete), alone and durably.

        ``change`` decides only: it does no IO, and what it raises on purpose leaves all as it was.
        """
        ...

    async def load(self, site: SiteId, name: str) -> Subscription | None:
        """One subscription; None when there is none."""
        ...

    async def names(self, site: SiteId) -> list[str]:
        """A site's subscriptions, sorted."""
        ...


class MemorySubscriptions:
    """The reference adapter."""

    def __init__(self) -> None:
        self._kept: dict[tuple[SiteId, str], Subscription] = {}

    async def change(self, site: SiteId, name: str, change: Change[T]) -> T:
        """See ``SubscriptionStore``."""
        after, answer = change(self._kept.get((site, name)))
        if after is None:
            self._kept.pop((site, name), None)
        else:
            self._kept[site, name] = after
        return answer

    async def load(self, site: SiteId, name: str) -> Subscription | None:
        """See ``SubscriptionStore``."""
        return self._kept.get((site, name))

    async def names(self, site: SiteId) -> list[str]:
        """See ``SubscriptionStore``."""
        return sorted(name for of, name in self._kept if of == site)
