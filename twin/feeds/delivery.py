"""What a subscription delivers next, and what becomes of it: pure functions of a subscription and the time.

A fact is delivered until it is acknowledged or parked. Facts of one order (a session, a vehicle) are delivered and acknowledged
in position order: what waits behind an earlier one that is leased elsewhere, failed or parked, waits with it, and nothing else
does. Who takes a lease and is never heard of again may have died of any fact in it, or of none: so such facts come again in
ever smaller leases and after ever longer pauses; each alone before it is parked, after twice as many tries as a refused one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple
from zlib import crc32

from msgspec.structs import replace

from twin.errors import Conflict, NotFound
from twin.events.ids import SECOND, Micros
from twin.log.subscriptions import Delivery, Replay, Subscription

FIRST_BACKOFF_US = 1_000_000
LONGEST_BACKOFF_US = 60_000_000
JITTER = 0.1  # of a scheduled pause: so much longer at most, that what failed together does not come back together
_SHRINK = 4
_NO_ANSWER = "its lease ended without an answer"


class Leased(NamedTuple):
    """What was handed out; ``number`` is 0 when there was nothing."""

    number: int
    until: Micros
    deliveries: tuple[Delivery, ...]


class Tally(NamedTuple):
    """How many of a queue wait, are leased, are parked, and wait behind one that is not delivered now."""

    waiting: int
    leased: int
    parked: int
    blocked: int


def queued(subscription: Subscription, found: Iterable[tuple[int, str]], read_to: int) -> Subscription:
    """Add facts (position, order) that fit the filter; all up to ``read_to`` were looked at."""
    new = {position: Delivery(position=position, order=order) for position, order in found}
    queue = dict(sorted({**new, **subscription.queue}.items()))
    if subscription.replay and read_to >= subscription.replay.until:
        return replace(subscription, queue=queue, read_to=subscription.replay.resume, replay=None)
    return replace(subscription, queue=queue, read_to=read_to)


def lease(
    subscription: Subscription, now: Micros, *, limit: int, lease_us: int, holder: str = ""
) -> tuple[Subscription, Leased]:
    """Hand out up to ``limit`` deliveries until ``now + lease_us``; of a paused subscription none.

    A consumer that says its name holds one lease at a time: what it still held is taken back, since it never got the answer, or
    has started anew.
    """
    subscription = settled(subscription, now, holder)
    chosen = _choose(subscription, now, limit) if subscription.paused_at is None else []
    if not chosen:
        return subscription, Leased(0, 0, ())
    number, until = subscription.n_leases + 1, now + lease_us
    handed = tuple(
        replace(one, state="leased", lease=number, holder=holder, until=until, n_attempts=one.n_attempts + 1, reason="")
        for one in chosen
    )
    return replace(_with(subscription, handed), n_leases=number), Leased(number, until, handed)


def acknowledge(subscription: Subscription, number: int, positions: Iterable[int]) -> tuple[Subscription, list[int]]:
    """Take acknowledged facts out of the queue; gives the positions that this lease no longer holds, or not yet in order.

    An acknowledgement after the lease ended counts, as long as nobody else was given the fact. One that comes twice is none
    that was lost.
    """
    queue, lost, n_taken = dict(subscription.queue), list[int](), 0
    first = _first_by_order(queue.values())
    for position in sorted(set(positions)):
        one = queue.get(position)
        if one is None:
            continue
        if one.lease != number or one.state != "leased" or first[one.order][0] != position:
            lost.append(position)
            continue
        del queue[position]
        del first[one.order][0]
        n_taken += 1
    return replace(subscription, queue=queue, n_acknowledged=subscription.n_acknowledged + n_taken), lost


def refuse(
    subscription: Subscription, number: int, position: int, reason: str, now: Micros, *, least_pause_us: Micros = 0
) -> tuple[Subscription, bool]:
    """A consumer failed at a fact: deliver it again later, or park it; gives whether the lease held it.

    Later facts of its order in the same lease were not tried: they count no attempt.

    Args:
        least_pause_us: it waits at least so long, whatever its subscription says.
    """
    failed = subscription.queue.get(position)
    if failed is None or failed.lease != number or failed.state != "leased":
        return subscription, False
    behind = [
        _untried(one)
        for one in subscription.queue.values()
        if one.order == failed.order and one.position > position and one.state == "leased" and one.lease == number
    ]
    pause = max(pause_us(subscription, position, failed.n_attempts), least_pause_us)
    return _with(subscription, [_failed(failed, subscription.most_attempts, reason, now + pause), *behind]), True


def release(subscription: Subscription, number: int) -> Subscription:
    """Give a lease back: what it holds was not tried, and can be delivered at once."""
    return _with(subscription, [_untried(one) for one in _held(subscription, number)])


def extend(subscription: Subscription, number: int, until: Micros) -> tuple[Subscription, bool]:
    """Hold a lease until a later time; gives whether it still holds anything."""
    held = _held(subscription, number)
    return _with(subscription, [replace(one, until=max(until, one.until)) for one in held]), bool(held)


def retry(subscription: Subscription, position: int) -> Subscription:
    """Deliver a parked fact again, as if for the first time; raises NotFound."""
    return _with(subscription, [Delivery(position=position, order=_parked(subscription, position).order)])


def discard(subscription: Subscription, position: int) -> Subscription:
    """Give a parked fact up; what waits behind it is delivered. Raises NotFound."""
    _parked(subscription, position)
    rest = {one: delivery for one, delivery in subscription.queue.items() if one != position}
    return replace(subscription, queue=rest, n_discarded=subscription.n_discarded + 1)


def replay(subscription: Subscription, *, after: int, until: int | None) -> Subscription:
    """Deliver facts (``after``, ``until``] again; what came after ``until`` and was read is not.

    Raises:
        Conflict: another replay is not over, or the positions were not read yet.
    """
    if subscription.replay is not None:
        raise Conflict(
            f"subscription '{subscription.name}' still reads again up to position {subscription.replay.until}; wait for it"
        )
    until = subscription.read_to if until is None else until
    if not after < until <= subscription.read_to:
        raise Conflict(
            f"positions after {after} up to {until} cannot be delivered again: subscription '{subscription.name}' has read"
            f" up to {subscription.read_to}; give after < until <= {subscription.read_to}"
        )
    return replace(subscription, read_to=after, replay=Replay(until=until, resume=subscription.read_to))


def settled(subscription: Subscription, now: Micros, holder: str = "") -> Subscription:
    """What the time has decided: leases that ended, and those of ``holder``, give back what they held, or park it."""
    ended = [
        _failed(one, 2 * subscription.most_attempts, _NO_ANSWER, now + pause_us(subscription, one.position, one.n_attempts - 1))
        for one in subscription.queue.values()
        if one.state == "leased" and (one.until <= now or (holder and one.holder == holder))
    ]
    return _with(subscription, ended)


def hastened(subscription: Subscription) -> Subscription:
    """What waits after a failure is delivered at once."""
    return _with(subscription, [replace(one, until=0) for one in subscription.queue.values() if one.state == "waiting"])


def pause_us(subscription: Subscription, position: int, n_failures: int) -> Micros:
    """How long a fact waits after so many failures: as its subscription says and up to a tenth longer, else 1, 2, 4 … 60 s.

    How much longer follows from the fact, so that the same history gives the same times.
    """
    if n_failures <= 0:
        return 0
    if not subscription.pauses_s:
        return min(FIRST_BACKOFF_US << (n_failures - 1), LONGEST_BACKOFF_US)
    scheduled_s = subscription.pauses_s[min(n_failures, len(subscription.pauses_s)) - 1]
    share = crc32(f"{subscription.name} {position} {n_failures}".encode()) / 2**32
    return round(scheduled_s * SECOND * (1.0 + JITTER * share))


def next_change_at(subscription: Subscription) -> Micros | None:
    """When a lease or a wait ends next; None when neither is running."""
    ends = [one.until for one in subscription.queue.values() if one.state != "parked" and one.until]
    return min(ends, default=None)


def tally(subscription: Subscription, now: Micros) -> Tally:
    """Count a queue."""
    states = [one.state for one in subscription.queue.values()]
    deliverable = sum(1 for _ in _deliverable(subscription, now))
    waiting, leased, parked = (states.count(state) for state in ("waiting", "leased", "parked"))
    return Tally(waiting, leased, parked, waiting - deliverable)


def acknowledged_to(subscription: Subscription) -> int:
    """All that fits, up to here, was acknowledged or discarded."""
    read_to = subscription.replay.resume if subscription.replay else subscription.read_to
    return min(chain((position - 1 for position in subscription.queue), (read_to, subscription.read_to)))


def _choose(subscription: Subscription, now: Micros, limit: int) -> list[Delivery]:
    chosen: list[Delivery] = []
    most = limit
    for one in _deliverable(subscription, now):
        most = min(most, _together(one, limit, subscription.most_attempts))
        if len(chosen) >= most:
            break
        chosen.append(one)
    return chosen


def _deliverable(subscription: Subscription, now: Micros) -> Iterable[Delivery]:
    held: set[str] = set()
    for one in subscription.queue.values():
        if one.state != "waiting" or one.until > now:
            held.add(one.order)
        elif one.order not in held:
            yield one


def _together(delivery: Delivery, limit: int, most_attempts: int) -> int:
    """With how many others a fact is delivered that so many leases were lost with: alone before it is parked."""
    return 1 if delivery.n_attempts + 1 >= most_attempts else max(1, limit // _SHRINK**delivery.n_attempts)


def _failed(delivery: Delivery, most_attempts: int, reason: str, until: Micros) -> Delivery:
    """Parked, or to be delivered again from ``until`` on."""
    if delivery.n_attempts >= most_attempts:
        return replace(delivery, state="parked", until=0, reason=reason)
    return replace(delivery, state="waiting", until=until, reason=reason)


def _untried(delivery: Delivery) -> Delivery:
    return replace(delivery, state="waiting", until=0, n_attempts=delivery.n_attempts - 1)


def _held(subscription: Subscription, number: int) -> list[Delivery]:
    return [one for one in subscription.queue.values() if one.state == "leased" and one.lease == number]


def _parked(subscription: Subscription, position: int) -> Delivery:
    one = subscription.queue.get(position)
    if one is None or one.state != "parked":
        parked = [str(at) for at, other in subscription.queue.items() if other.state == "parked"][:10]
        raise NotFound(
            f"subscription '{subscription.name}' has not parked position {position}; parked: {', '.join(parked) or 'none'}"
        )
    return one


def _first_by_order(deliveries: Iterable[Delivery]) -> Mapping[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for one in deliveries:
        positions.setdefault(one.order, []).append(one.position)
    return positions


def _with(subscription: Subscription, changed: Iterable[Delivery]) -> Subscription:
    return replace(subscription, queue={**subscription.queue, **{one.position: one for one in changed}})
