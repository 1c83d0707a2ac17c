"""The two times of every read, from the text of a query: ``at`` (valid time) and ``known_at`` (knowledge)."""

from __future__ import annotations

from msgspec import Struct

from twin.errors import BadInput, Cut, NotFound
from twin.events.codec import micros, rfc3339
from twin.events.ids import Micros, SiteId
from twin.log.cuts import Cuts
from twin.log.port import Log

FOREVER: Micros = 2**62
"""A valid time after every fact's."""

BEFORE_ALL: Micros = -(2**62)
"""A valid time before every fact's."""


class Moment(Struct, frozen=True, kw_only=True):
    """What was true at ``at`` (None: at the latest known time), as known at fact position ``known_at``."""

    at: Micros | None
    known_at: int

    @property
    def until_at(self) -> Micros:
        """Facts that occurred later are not part of the answer."""
        return FOREVER if self.at is None else self.at


async def read_moment(log: Log, site: SiteId, *, at: str | None, known_at: str | None) -> Moment:
    """Read both times; what is absent means everything known.

    Raises:
        BadInput: a time that is neither RFC 3339 nor, for ``known_at``, a position.
        NotFound: ``known_at`` is a position that the fact log has not reached.
    """
    valid = None if at is None else read_time("at", at)
    if known_at is None:
        return Moment(at=valid, known_at=(await log.heads(site)).facts)
    if known_at.isascii() and known_at.isdigit():
        return Moment(at=valid, known_at=await known_position(log, site, _position(known_at)))
    return Moment(at=valid, known_at=await log.position_at(site, read_time("known_at", known_at)))


async def known_position(log: Log, site: SiteId, known_at: int | None) -> int:
    """A position that the fact log has reached; None is its head. Raises NotFound beyond the head, BadInput below 0."""
    head = (await log.heads(site)).facts
    if known_at is None:
        return head
    if known_at < 0:
        raise BadInput(f"known_at={known_at} is not a position; positions of site '{site}' run from 0 to its head {head}")
    if known_at > head:
        raise NotFound(f"known_at={known_at} is beyond the fact log's head {head} of site '{site}'; ask for {head} or less")
    return known_at


async def check_moment(log: Log, site: SiteId, moment: Moment) -> Cuts:
    """Raise Cut where the state at a moment rests on movement that retention took; gives what it took."""
    cuts = await log.cuts(site)
    made = cuts.thinning
    if made is None or (moment.until_at >= made.from_at and moment.known_at >= made.position):
        return cuts
    at = "the latest time" if moment.at is None else rfc3339(moment.at)
    raise Cut(
        f"the movement of site '{site}' is kept from {rfc3339(made.from_at)} and fact position {made.position} on; its "
        f"state at {at} as known at {moment.known_at} is not known any more. "
        "Ask for a later moment; sessions are known of any"
    )


def _position(text: str) -> int:
    if len(text) > 18:
        raise BadInput(f"known_at has {len(text)} digits, which no position has; give a fact position or an RFC 3339 time")
    return int(text)


def read_time(name: str, text: str) -> Micros:
    """A time from the text of a query; raises BadInput."""
    wanted = "an RFC 3339 time such as 2026-01-01T09:00:00Z" + (" or a fact position" if name == "known_at" else "")
    try:
        return micros(text)
    except ValueError:
        hint = "; in a URL, write '+' as %2B" if " " in text else ""
        raise BadInput(f"{name}='{text[:60]}' cannot be read; give {wanted}{hint}") from None
