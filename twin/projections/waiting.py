"""Read your writes: wait until the fold has taken what the reader knows to be in a log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, Literal

from msgspec import Struct

from twin.errors import BadInput, NotFound, NotYet
from twin.events.ids import SiteId
from twin.log.port import Heads, Log

DEFAULT_WAIT_S = 5.0
MOST_WAIT_S = 9.0  # many who stand between give a request up after ten
FAR = 1_000
"""Facts that may be still to come: a fact position farther beyond the log's head is a mistake, not a wait."""

_LOOK_EVERY_S = 0.5  # a cursor that moves without a fact, in another process, tells nobody

Which = Literal["observation", "fact"]


class Awaited(Struct, frozen=True, kw_only=True):
    """A position of one of a site's logs."""

    which: Which
    position: int


def awaited(text: str) -> Awaited:
    """``57`` and ``observation:57`` (as a receipt gives it), or ``fact:12``; raises BadInput."""
    which, _, digits = text.rpartition(":")
    if which not in ("", "observation", "fact") or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise BadInput(
            f"wait_for='{text[:60]}' is no position; give digits as a receipt has them, or 'fact:' and a fact's position"
        )
    return Awaited(which="fact" if which == "fact" else "observation", position=int(digits))


def wait_of(text: str | None) -> float:
    """How long to wait, seconds; raises BadInput."""
    if text is None:
        return DEFAULT_WAIT_S
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0.0 <= wait_s <= MOST_WAIT_S:
        raise BadInput(f"wait_s='{text[:60]}' cannot be used; give 0 to {MOST_WAIT_S:g} seconds")
    return wait_s


async def wait_for(log: Log, site: SiteId, wanted: Awaited, *, wait_s: float) -> None:
    """Return once an observation is folded, or a fact is there; it looks again whenever either log grows.

    Raises:
        NotFound: the observation log does not reach that far, or the fact log by more than ``FAR``.
        NotYet: it did not come within ``wait_s``.
    """
    heads = await log.heads(site)
    _check_reach(site, wanted, heads)
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            while not _is_there(wanted, heads):
                await _growth(log, site, heads)
                heads = await log.heads(site)
    if not _is_there(wanted, heads):
        stands = heads.cursor if wanted.which == "observation" else heads.facts
        raise NotYet(
            f"{wanted.which} {wanted.position} of site '{site}' was not folded within {wait_s:g} s: it stands at {stands}."
            " Ask again, or wait longer"
        )


def _is_there(wanted: Awaited, heads: Heads) -> bool:
    return wanted.position <= (heads.cursor if wanted.which == "observation" else heads.facts)


def _check_reach(site: SiteId, wanted: Awaited, heads: Heads) -> None:
    reach = heads.observations if wanted.which == "observation" else heads.facts + FAR
    if wanted.position > reach:
        raise NotFound(
            f"wait_for: site '{site}' has no {wanted.which} {wanted.position}; the last observation is {heads.observations},"
            f" the last fact {heads.facts}. Wait for the position of a receipt, or for a fact that is about to come"
        )


async def _growth(log: Log, site: SiteId, heads: Heads) -> None:
    """Return when either log has grown: the fold's clock is an observation, so its cursor is never far behind that."""

    async def grown(tail: AsyncGenerator[list[Any], None]) -> None:
        async with aclosing(tail):
            await anext(tail, None)

    tails = (log.tail_observations(site, after=heads.observations), log.tail_facts(site, after=heads.facts))
    tasks = [asyncio.ensure_future(grown(one)) for one in tails]
    try:
        await asyncio.wait(tasks, timeout=_LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
