"""Durable subscriptions of one site: facts that fit a filter, handed out under leases until they are acknowledged.

At least once, and in order within each session; see ``twin.feeds.delivery``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import BadInput, Conflict, Cut, NotFound
from twin.events.codec import FACT_TYPES, subject_of
from twin.events.envelope import RecordedFact
from twin.events.ids import Micros
from twin.feeds import delivery, lag
from twin.log.clock import Clock, system_clock
from twin.log.cuts import check_facts
from twin.log.port import Log
from twin.log.subscriptions import Delivery, Filter, Subscription, SubscriptionStore

T = TypeVar("T")

MOST_SUBSCRIPTIONS = 100
MOST_OF_ONE = 25
"""Of one owner that may not delete those of others."""
N_QUEUED = 1_000
MOST_BLOCKED = 10_000
_PAGE = 1_000
_PAGES = 20
_LOOK_EVERY_S = 1.0  # what other processes do to the queue tells nobody here
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_US = 1_000_000


class Handed(Struct, frozen=True, kw_only=True):
    """A delivery with its fact."""

    delivery: Delivery
    fact: RecordedFact


class Lease(Struct, frozen=True, kw_only=True):
    """Facts handed out, in position order; nobody else is given them until ``until``. ``number`` is 0 when there are none."""

    number: int
    until: Micros
    handed: tuple[Handed, ...]


class Standing(Struct, frozen=True, kw_only=True):
    """How far a subscription is.

    Attributes:
        acknowledged_to: every fitting fact up to here is acknowledged or discarded.
        is_full: so much waits behind parked facts that nothing more is read until they are retried or discarded.
    """

    subscription: Subscription
    acknowledged_to: int
    head: int
    tally: delivery.Tally
    is_full: bool

    @property
    def lag(self) -> int:
        """Facts after the last acknowledged, whether or not they fit the filter."""
        return self.head - self.acknowledged_to


class _Found(NamedTuple):
    """Facts (position, order) in what was read after a position, up to another."""

    after: int
    facts: list[tuple[int, str]]
    read_to: int


class Subscriptions:
    """One site's subscriptions; any number of processes may have one over the same store."""

    def __init__(self, log: Log, store: SubscriptionStore, site: Site, *, clock: Clock = system_clock) -> None:
        self._log = log
        self._store = store
        self._site = site
        self._clock = clock
        self._zone_by_stall = {str(stall.id): str(stall.zone) for stall in site.stalls}

    async def put(
        self,
        name: str,
        wanted: Filter,
        *,
        after: int | None = None,
        most_attempts: int = 5,
        pauses_s: tuple[float, ...] = (),
        owner: str = "",
        most_of_owner: int | None = None,
    ) -> Standing:
        """Make a subscription to what follows position ``after`` (None: to what is still to come), or change one's filter.

        An owner has ``most_of_owner`` at most (None: as many as there may be).

        A changed filter holds for what was not read yet; ``after`` and ``owner`` are not looked at then. For
        ``pauses_s`` and ``owner`` see ``Subscription``.

        Raises:
            BadInput: a name, type, zone, or number that cannot be.
            Cut: ``after`` is before what retention keeps of what is wanted.
            Conflict: the site, or this owner, has as many as it may, or ``after`` is beyond the fact log's head.
        """
        self._check(name, wanted, most_attempts)
        head = (await self._log.heads(self._site.name)).facts
        start = head if after is None else after
        if not 0 <= start <= head:
            raise Conflict(f"a subscription cannot begin after position {start}: the log's last is {head}")
        is_new = await self._store.load(self._site.name, name) is None
        if is_new:
            check_facts(self._site.name, start, wanted.types, (await self._log.cuts(self._site.name)).movement)
        if is_new:
            await self._check_room(owner, most_of_owner)

        def put(there: Subscription | None) -> tuple[Subscription, None]:
            if there is not None:
                return replace(there, filter=wanted, most_attempts=most_attempts, pauses_s=pauses_s), None
            new = Subscription(
                site=self._site.name,
                name=name,
                filter=wanted,
                most_attempts=most_attempts,
                created_at=self._clock(),
                read_to=start,
                pauses_s=pauses_s,
                owner=owner,
            )
            return new, None

        await self._store.change(self._site.name, name, put)
        return await self.standing(name)

    async def _check_room(self, owner: str, most_of_owner: int | None) -> None:
        names = await self.names()
        if len(names) >= MOST_SUBSCRIPTIONS:
            raise Conflict(f"site '{self._site.name}' has {MOST_SUBSCRIPTIONS} subscriptions, the most; delete one first")
        if most_of_owner is None or not owner or len(names) < most_of_owner:
            return
        own = [name for name in names if await self.owner(name) == owner]
        if len(own) >= most_of_owner:
            raise Conflict(
                f"'{owner}' has {len(own)} subscriptions at site '{self._site.name}', the most of one key; delete one of them"
                f" first, such as '{own[0]}'"
            )

    async def begins(self) -> int:
        """The position after which every fact is still there."""
        return (await self._log.cuts(self._site.name)).movement

    async def names(self) -> list[str]:
        """All of them, sorted."""
        return await self._store.names(self._site.name)

    async def owner(self, name: str) -> str:
        """For whom one is; empty where there is none, or it is nobody's in particular."""
        there = await self._store.load(self._site.name, name)
        return "" if there is None else there.owner

    async def standing(self, name: str) -> Standing:
        """How far one is; raises NotFound."""
        subscription = delivery.settled(await self._load(name), self._clock())
        tally = delivery.tally(subscription, self._clock())
        return Standing(
            subscription=subscription,
            acknowledged_to=delivery.acknowledged_to(subscription),
            head=(await self._log.heads(self._site.name)).facts,
            tally=tally,
            is_full=tally.blocked >= MOST_BLOCKED,
        )

    async def lag_s(self, standing: Standing) -> float | None:
        """For how long the oldest fact waits that fits and is not done, seconds since it was recorded; 0 where none does.

        None: for longer than what is kept, as retention took facts that were not read yet.
        """
        there = standing.subscription
        try:
            since = await lag.waits_since(self._log, there, lambda fact: self._fits(fact, there.filter))
        except Cut:
            return None
        return 0.0 if since is None else max(0, self._clock() - since) / _US

    async def standings(self) -> list[Standing]:
        """How far each is, but for those that are deleted meanwhile."""
        found = list[Standing]()
        for name in await self.names():
            with suppress(NotFound):
                found.append(await self.standing(name))
        return found

    async def pause(self, name: str) -> Standing:
        """Hand nothing out until it is resumed; what is leased may still be acknowledged. Raises NotFound."""
        now = self._clock()

        def pause(there: Subscription) -> tuple[Subscription, None]:
            return there if there.paused_at is not None else replace(there, paused_at=now), None

        await self._change(name, pause)
        return await self.standing(name)

    async def resume(self, name: str) -> Standing:
        """Go on after a pause, with all that fits since; raises NotFound."""
        await self._change(name, lambda there: (replace(there, paused_at=None), None))
        return await self.standing(name)

    async def delete(self, name: str) -> None:
        """Forget one, and what it had not acknowledged; raises NotFound."""

        def delete(there: Subscription) -> tuple[None, None]:
            return None, None

        await self._change(name, delete)

    async def lease(
        self, name: str, *, limit: int = 100, lease_s: float = 30.0, wait_s: float = 0.0, consumer: str = ""
    ) -> Lease:
        """Take what is to be delivered, waiting up to ``wait_s`` for something, or for the end of a pause; raises NotFound.

        ``consumer`` names who asks; what it still held under an earlier lease is taken back.
        """
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            head = (await self._log.heads(self._site.name)).facts
            taken = await self._lease(name, limit, round(lease_s * _US), consumer)
            left_s = deadline - asyncio.get_running_loop().time()
            if taken.number or left_s <= 0.0:
                return taken
            await self._something_new(name, head, left_s)

    async def acknowledge(self, name: str, number: int, positions: Sequence[int]) -> list[int]:
        """These are done; gives those that this lease no longer held, which will be delivered again. Raises NotFound."""
        return await self._change(name, lambda there: delivery.acknowledge(there, number, positions))

    async def refuse(self, name: str, number: int, position: int, reason: str) -> bool:
        """This one could not be done; gives whether the lease held it. Raises NotFound."""
        return await self.fail(name, number, position, reason) is not None

    async def fail(self, name: str, number: int, position: int, reason: str, *, least_pause_us: Micros = 0) -> Delivery | None:
        """As ``refuse``; gives when it is delivered again, or that it is parked; None where the lease had lost it."""
        now = self._clock()

        def fail(there: Subscription) -> tuple[Subscription, Delivery | None]:
            after, held = delivery.refuse(there, number, position, reason[:500], now, least_pause_us=least_pause_us)
            return after, after.queue[position] if held else None

        return await self._change(name, fail)

    async def reclaim(self, name: str, consumers: Sequence[str]) -> None:
        """Take back what these consumers hold: they are no more. Raises NotFound."""
        now = self._clock()

        def reclaim(there: Subscription) -> tuple[Subscription, None]:
            for consumer in consumers:
                there = delivery.settled(there, now, consumer)
            return there, None

        await self._change(name, reclaim)

    async def hasten(self, name: str) -> None:
        """Deliver at once what waits after a failure; raises NotFound."""
        await self._change(name, lambda there: (delivery.hastened(there), None))

    async def release(self, name: str, number: int) -> None:
        """Give a lease back untried; raises NotFound."""
        await self._change(name, lambda there: (delivery.release(there, number), None))

    async def extend(self, name: str, number: int, lease_s: float) -> bool:
        """Hold a lease for longer; gives whether it still held anything. Raises NotFound."""
        until = self._clock() + round(lease_s * _US)
        return await self._change(name, lambda there: delivery.extend(there, number, until))

    async def retry(self, name: str, position: int) -> None:
        """Deliver a parked fact again; raises NotFound."""
        await self._change(name, lambda there: (delivery.retry(there, position), None))

    async def discard(self, name: str, position: int) -> None:
        """Give a parked fact up; raises NotFound."""
        await self._change(name, lambda there: (delivery.discard(there, position), None))

    async def replay(self, name: str, *, after: int, until: int | None = None) -> None:
        """Deliver facts (``after``, ``until``] again; raises NotFound, Conflict, and Cut where retention took some of them."""
        wanted = (await self._load(name)).filter
        check_facts(self._site.name, after, wanted.types, (await self._log.cuts(self._site.name)).movement)
        await self._change(name, lambda there: (delivery.replay(there, after=after, until=until), None))

    async def _lease(self, name: str, limit: int, lease_us: int, consumer: str) -> Lease:
        there = await self._load(name)
        if there.paused_at is not None:
            return Lease(number=0, until=0, handed=())
        found = await self._find(there, limit)
        now = self._clock()

        def take(there: Subscription) -> tuple[Subscription, delivery.Leased]:
            if found is not None and there.read_to == found.after:
                there = delivery.queued(there, found.facts, found.read_to)
            return delivery.lease(there, now, limit=limit, lease_us=lease_us, holder=consumer)

        if found is None and not _is_due(await self._load(name), now, consumer):
            return Lease(number=0, until=0, handed=())
        leased = await self._change(name, take)
        facts = await self._log.facts_at(self._site.name, [one.position for one in leased.deliveries])
        handed = (Handed(delivery=one, fact=fact) for one, fact in zip(leased.deliveries, facts, strict=True))
        return Lease(number=leased.number, until=leased.until, handed=tuple(handed))

    async def _find(self, there: Subscription, limit: int) -> _Found | None:
        """Read on until enough fits; None when enough waits already, or the log has nothing new that is worth a write."""
        tally = delivery.tally(there, self._clock())
        if tally.waiting - tally.blocked >= limit:
            return None
        room = min(N_QUEUED - (tally.waiting - tally.blocked) - tally.leased, MOST_BLOCKED - tally.blocked)
        found: list[tuple[int, str]] = []
        read_to, end = there.read_to, there.replay.until if there.replay else None
        for _ in range(_PAGES if room > 0 else 0):
            page, read_to = await self._page(there.filter, read_to, end)
            found += page
            if len(found) >= room or read_to >= (await self._end(end)):
                break
        is_worth_it = found or read_to >= there.read_to + _PAGE or read_to == end
        return _Found(there.read_to, found, read_to) if is_worth_it and read_to > there.read_to else None

    async def _end(self, end: int | None) -> int:
        return (await self._log.heads(self._site.name)).facts if end is None else end

    async def _page(self, wanted: Filter, after: int, end: int | None) -> tuple[list[tuple[int, str]], int]:
        last = await self._end(end)
        facts = await self._log.facts(self._site.name, after=after, limit=_PAGE, types=wanted.types)
        within = [fact for fact in facts if fact.position <= last]
        read_to = within[-1].position if len(within) == _PAGE else last
        return [(fact.position, order_of(fact)) for fact in within if self._fits(fact, wanted)], read_to

    def _fits(self, fact: RecordedFact, wanted: Filter) -> bool:
        payload = fact.event.payload
        if wanted.subjects and not {subject_of(payload), getattr(payload, "vehicle", None)} & set(wanted.subjects):
            return False
        zone = getattr(payload, "zone", None) or self._zone_by_stall.get(str(getattr(payload, "stall", None)))
        return not wanted.zones or zone in wanted.zones

    async def _something_new(self, name: str, head: int, wait_s: float) -> None:
        """Return when a fact after ``head`` is stored, when a lease or a wait ends, or after ``wait_s``; in a pause so only."""
        wait_s, there = min(wait_s, _LOOK_EVERY_S), await self._load(name)
        if there.paused_at is not None:
            await asyncio.sleep(wait_s)
            return
        change_at = delivery.next_change_at(there)
        if change_at is not None:
            wait_s = min(wait_s, max(change_at - self._clock(), 0) / _US + 0.001)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s), aclosing(self._log.tail_facts(self._site.name, after=head)) as tail:
                await anext(tail, None)

    async def _load(self, name: str) -> Subscription:
        return self._there(name, await self._store.load(self._site.name, name))

    async def _change(self, name: str, change: Callable[[Subscription], tuple[Subscription | None, T]]) -> T:
        return await self._store.change(self._site.name, name, lambda there: change(self._there(name, there)))

    def _there(self, name: str, there: Subscription | None) -> Subscription:
        if there is None:
            raise NotFound(f"site '{self._site.name}' has no subscription '{name[:80]}'; PUT it first")
        return there

    def _check(self, name: str, wanted: Filter, most_attempts: int) -> None:
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"subscription '{name[:80]}' is no name; use up to 63 of a-z 0-9 . _ - and begin with a letter or digit"
            )
        for what, given, there in (
            ("type", wanted.types, set(FACT_TYPES)),
            ("zone", wanted.zones, {str(zone.id) for zone in self._site.zones}),
        ):
            if unknown := sorted(set(given) - there):
                raise BadInput(f"{what} '{unknown[0][:80]}' is not known; use of {', '.join(sorted(there))}")
        if len(wanted.subjects) > _PAGE:
            raise BadInput(f"{len(wanted.subjects)} subjects are too many; name at most {_PAGE}")
        if not 1 <= most_attempts <= 100:
            raise BadInput(f"most_attempts={most_attempts} cannot be; give 1 to 100")


def order_of(fact: RecordedFact) -> str:
    """What a fact stays in order with: its session, else its vehicle, else what it is about."""
    payload = fact.event.payload
    for name in ("session", "vehicle"):
        if (value := getattr(payload, name, None)) is not None:
            return f"{name} {value}"
    return subject_of(payload) or ""


def _is_due(subscription: Subscription, now: Micros, consumer: str) -> bool:
    """Whether anything in the queue can be handed out now, or be taken back from this consumer."""
    queue = subscription.queue.values()
    return any(one.state != "parked" and (one.until <= now or (consumer and one.holder == consumer)) for one in queue)
