"""How far subscriptions and webhooks are, as the API tells it: what both have, and what they have parked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from twin.events.codec import rfc3339, subject_of, type_name
from twin.events.envelope import RecordedFact
from twin.events.ids import Micros, SiteId
from twin.feeds.subscriptions import Standing
from twin.log.port import Log
from twin.log.subscriptions import Delivery

MOST_PARKED = 1_000
MOST_PARKED_IN_LISTS = 100


def standing_view(name: str, standing: Standing, lag_s: float | None) -> dict[str, Any]:
    """What ``StandingView`` tells."""
    one, tally = standing.subscription, standing.tally
    return {
        "name": name,
        **msgspec.to_builtins(one.filter),
        "owner": one.owner,
        "created_at": rfc3339(one.created_at),
        "acknowledged_to": str(standing.acknowledged_to),
        "head": str(standing.head),
        "lag": standing.lag,
        "lag_s": lag_s,
        "n_waiting": tally.waiting,
        "n_blocked": tally.blocked,
        "n_leased": tally.leased,
        "n_parked": tally.parked,
        "n_acknowledged": one.n_acknowledged,
        "n_discarded": one.n_discarded,
        "is_full": standing.is_full,
        "holders": sorted({waits.holder for waits in one.queue.values() if waits.state == "leased"} - {""}),
        "next_try_at": _next_try_at(one.queue.values()),
        "replays_to": None if one.replay is None else str(one.replay.until),
    }


def subscription_standing(standing: Standing, lag_s: float | None) -> dict[str, Any]:
    """What ``SubscriptionStanding`` tells."""
    one = standing.subscription
    state = "active" if one.paused_at is None else "paused"
    paused_at = None if one.paused_at is None else rfc3339(one.paused_at)
    own = {"state": state, "paused_at": paused_at, "most_attempts": one.most_attempts}
    return {**standing_view(one.name, standing, lag_s), **own}


async def parked_views(log: Log, site: SiteId, standing: Standing, *, most: int = MOST_PARKED) -> list[dict[str, Any]]:
    """What is parked, the oldest first, as ``ParkedView`` tells it."""
    queue = standing.subscription.queue.values()
    parked = [one for one in queue if one.state == "parked"][:most]
    facts = await facts_told(log, site, [one.position for one in parked])
    waiting = Counter(one.order for one in queue)
    before = Counter[str]()
    found = list[dict[str, Any]]()
    for one in parked:
        before[one.order] += 1
        found.append(_parked_view(one, waiting[one.order] - before[one.order], facts.get(one.position)))
    return found


async def facts_told(log: Log, site: SiteId, positions: Sequence[int]) -> Mapping[int, RecordedFact]:
    """Facts by position, without those that retention took."""
    return {fact.position: fact for fact in await log.facts_among(site, positions)}


def _parked_view(one: Delivery, n_behind: int, fact: RecordedFact | None) -> dict[str, Any]:
    event = None if fact is None else fact.event
    return {
        "position": str(one.position),
        "order": one.order,
        "n_attempts": one.n_attempts,
        "reason": one.reason,
        "n_behind": n_behind,
        "type": None if event is None else type_name(event.payload),
        "subject": None if event is None else subject_of(event.payload),
        "at": None if event is None else rfc3339(event.occurred_at),
        "recorded_at": None if fact is None else rfc3339(fact.recorded_at),
    }


def _next_try_at(queue: Any) -> str | None:
    tries: list[Micros] = [one.until for one in queue if one.state == "waiting" and one.until]
    return rfc3339(min(tries)) if tries else None
