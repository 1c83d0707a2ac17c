"""How long the oldest fact waits that a subscription has still to do."""

from __future__ import annotations

from collections.abc import Callable

from twin.events.envelope import RecordedFact
from twin.events.ids import Micros
from twin.log.port import Log
from twin.log.subscriptions import Subscription

PAGES = (50, 1_000)
"""So many facts that were not read yet are looked at for one that fits, in turn: most that wait are among the first."""


async def waits_since(log: Log, there: Subscription, fits: Callable[[RecordedFact], bool]) -> Micros | None:
    """When the oldest fact was recorded that fits and is not done; None: there is none.

    Where none of ``PAGES`` fits and there are more, when the last of them was: nothing that fits waits for longer.

    Raises:
        Cut: retention took it, or what would tell: nobody knows when it came.
    """
    queued = min(there.queue, default=None)
    if queued is not None and queued <= there.read_to:
        return (await log.facts_at(there.site, [queued]))[0].recorded_at
    return await _unread(log, there, fits)


async def _unread(log: Log, there: Subscription, fits: Callable[[RecordedFact], bool]) -> Micros | None:
    after = there.read_to
    last: RecordedFact | None = None
    for limit in PAGES:
        page = await log.facts(there.site, after=after, limit=limit, types=there.filter.types)
        found = next((fact for fact in page if fits(fact)), None)
        if found is not None:
            return found.recorded_at
        if len(page) < limit:
            return None
        last, after = page[-1], page[-1].position
    return None if last is None else last.recorded_at
