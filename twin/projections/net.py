"""Net facts read in pages: what the log port gives at most at once is not a limit on what can be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from twin.errors import TooLarge
from twin.events.envelope import RecordedFact
from twin.events.ids import SiteId
from twin.log.port import Log
from twin.projections.moment import BEFORE_ALL, Moment

PAGE = 5_000
LARGEST_PAGE = 640_000


async def net_facts(
    log: Log,
    site: SiteId,
    moment: Moment,
    *,
    after_at: int = BEFORE_ALL,
    types: Sequence[str] = (),
    subject: str | None = None,
    page: int = PAGE,
) -> AsyncIterator[list[RecordedFact]]:
    """Pages of facts after a valid time until the moment's, as known at it, by (occurred_at, position).

    All facts of one instant are in the same page.

    Raises:
        TooLarge: more facts than fit in memory occurred at one instant.
    """
    limit = page
    while True:
        facts = await log.facts_between(
            site,
            after_at=after_at,
            until_at=moment.until_at,
            until_position=moment.known_at,
            types=types,
            subject=subject,
            limit=limit,
        )
        if len(facts) < limit:
            if facts:
                yield facts
            return
        last_at = facts[-1].event.occurred_at
        whole = [fact for fact in facts if fact.event.occurred_at < last_at]
        if whole:
            yield whole
            after_at, limit = last_at - 1, page
        else:
            limit = _grown(limit, site, last_at)


def _grown(limit: int, site: SiteId, at: int) -> int:
    if limit >= LARGEST_PAGE:
        raise TooLarge(f"more than {limit} facts of site '{site}' occurred at {at} µs; check the clocks of its cameras")
    return limit * 8
