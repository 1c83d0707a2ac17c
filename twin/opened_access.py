"""Who is let in, as the settings say."""

from __future__ import annotations

from contextlib import AsyncExitStack

from twin.access.keys import Chance
from twin.access.opened import Access, open_access
from twin.access.rates import RateLimits
from twin.log.clock import system_clock
from twin.process import Background
from twin.settings import Settings


def rate_limits(settings: Settings) -> RateLimits:
    """What one key may ask for, or one address where access is open."""
    reads, searches, ingest_mb = settings.reads_per_s, settings.searches_per_s, settings.ingest_mb_per_s
    sends = settings.ingest_per_s
    if settings.has_keys:
        sends = sends or 1_000
        reads, searches, ingest_mb = reads or 200, searches or 20, ingest_mb or 64
    return RateLimits(
        reads_per_s=reads,
        searches_per_s=searches,
        sends_per_s=sends,
        ingest_bytes_per_s=ingest_mb and ingest_mb * 1_000_000,
        failures_per_minute=30 if settings.has_keys else None,
    )


async def opened_access(settings: Settings, stack: AsyncExitStack, background: Background, chance: Chance) -> Access:
    """Access as the settings say, closed with ``stack``; its record forgets what is old in the background.

    Raises:
        BadInput: the store or the secret cannot be used.
        Overloaded: the store does not answer.
    """
    access = await stack.enter_async_context(
        open_access(
            settings.access_location,
            settings.data_dir / "session.secret" if settings.has_keys else None,
            rates=rate_limits(settings),
            session_s=round(settings.session_hours * 3600),
            clock=system_clock,
            chance=chance,
        )
    )
    assert access.audit is not None
    background.start("audit retention", access.audit.keep(settings.audit_days, system_clock))
    return access
