"""Corrections: where, of what was said of the past, something else came to be known; by whom, and when it was learned.

One correction is what one observation made of the past: the facts that follow from it, when one of them supersedes another,
says that names are one or two vehicles, amends a stay, or says that something is no longer so. Money received amends what a
stay has paid, which is no news of the past, so it is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from itertools import pairwise
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from twin.errors import Cut
from twin.events.codec import rfc3339
from twin.events.envelope import RecordedFact
from twin.events.facts import Fact, FactRetracted, IdentitiesMerged, IdentitiesSplit, SessionAmended
from twin.events.ids import Micros, SiteId
from twin.events.observations import Decision, OperatorDecided, RefuseRequested
from twin.log.port import Log

MOST_READ = 20_000
"""Facts read for one page, and ten times as many that correct nothing; one that goes on beyond is read to its end in pages."""
MOST_NAMES = 20
"""Told of each kind of thing in one correction; ``n_vehicles`` and its like count all."""
_PAGE = 5_000
_CALM_SHARE = 10  # what it costs to see that nothing of a page of facts is a correction, of what reading it does
_CHUNK = 100
_KINDS = ("vehicle", "stall", "session")
_LATER_TYPES = ("identities.merged.v1", "identities.split.v1", "fact.retracted.v1", "session.amended.v1")

By = Literal["operator", "refusion", "twin"]
_LATER = IdentitiesMerged | IdentitiesSplit | FactRetracted


class NamesChange(Struct, frozen=True, kw_only=True):
    """Two names that were found to be one vehicle, or two after all (``is_split``)."""

    vehicle: str
    other: str
    is_split: bool


class Correction(Struct, frozen=True, kw_only=True):
    """What one observation made of the past.

    Attributes:
        before, after: fact positions: what was known before it, and with it; for ``known_at`` and ``/changes``.
        known_at: when it was learned.
        at, until_at: the first and the last valid time of what it added and of what was not true any more.
        by: a person's decision, a person's wish to fuse a stretch of time again, or the twin itself.
        author, reason: of that person; None where the twin found out, or retention took the observation.
        decision: what the person decided.
        vehicles, stalls, sessions: names in what changed, the first ones of each kind.
        n_facts, n_superseded: how many facts changed the past, and how many were not true any more.
    """

    before: str
    after: str
    known_at: str
    at: str
    until_at: str
    by: By
    author: str | None
    reason: str | None
    decision: Decision | None
    names: list[NamesChange]
    vehicles: list[str]
    stalls: list[str]
    sessions: list[str]
    n_vehicles: int
    n_stalls: int
    n_sessions: int
    n_facts: int
    n_superseded: int


class Corrections(Struct, frozen=True, kw_only=True):
    """A page of corrections, in the order in which they were learned.

    Attributes:
        next: ask again with ``after`` of this value for the next page; absent on the last one.
    """

    site: str
    position: str
    corrections: list[Correction]
    next: str | UnsetType = UNSET


async def corrections(
    log: Log, site: SiteId, *, from_at: Micros, until_at: Micros, after: int, until: int, limit: int
) -> tuple[list[Correction], int | None]:
    """Corrections learned in positions (``after``, ``until``] that touch a stretch of valid time, ``limit`` at most.

    Returns:
        Them, and the position to go on after; None where that was all. A page may have none and still not be the last.
    """
    found, place, n_read = list[Correction](), after, 0
    later = _Later(log, site)
    while place < until and n_read < MOST_READ and len(found) < limit:
        calm = await _calm(log, site, later, place, until)
        if calm > place:
            place, n_read = calm, n_read + _PAGE // _CALM_SHARE
            continue
        causes, n_facts = await _causes(log, site, place, until)
        if not causes:
            return found, None
        n_read += n_facts
        for one in causes:
            place = one.last
            if one.n_facts == 0 or one.at > until_at or one.until_at < from_at:
                continue
            found.append(await _told(log, site, one))
            if len(found) == limit:
                break
    return found, place if place < until else None


class _Later:
    """Where the next fact is whose type alone says that it is of the past; asked only once it is passed."""

    def __init__(self, log: Log, site: SiteId) -> None:
        self._log, self._site = log, site
        self._asked_at, self._next = -1, 0

    async def after(self, place: int) -> int | None:
        """Its position, if there is one after a place."""
        if self._asked_at < 0 or 0 < self._next <= place:
            facts = await self._log.facts(self._site, after=place, limit=1, types=_LATER_TYPES)
            self._asked_at, self._next = place, facts[0].position if facts else 0
        return self._next or None


async def _calm(log: Log, site: SiteId, later: _Later, place: int, until: int) -> int:
    """Up to where nothing of the past changes after a place, and a cause ends; the place itself where it does at once."""
    ends = min(place + _PAGE, until)
    following = await later.after(place)
    if (following is not None and following <= ends) or await log.facts_superseded(site, after=place, until=ends):
        return place
    return ends if ends == until else await _border(log, site, place, ends)


async def _border(log: Log, site: SiteId, low: int, position: int) -> int:
    """The last position up to this one at which a cause ends, or ``low``."""
    high = position + 1
    while high > low:
        facts = await log.facts(site, after=max(low, high - _CHUNK), limit=min(_CHUNK, high - low), thinned=True)
        facts = [one for one in facts if one.position <= position + 1]
        for before, after in reversed(list(pairwise(facts))):
            if before.event.cause != after.event.cause:
                return before.position
        high -= _CHUNK - 1  # the first one is the last one of the chunk before
    return low


class _Cause:
    """What the facts of a cause change of the past. They are counted one by one and not kept: there may be days of them.

    Attributes:
        first, last, known_at: the first and the last position that it told, and when it told that.
        at, until_at: the first and the last valid time of what changes the past, and of what that superseded.
        named: all names of each kind, for their numbers; these are of vehicles and places, and few beside facts.
    """

    def __init__(self, first: RecordedFact) -> None:
        self.cause, self.first = first.event.cause, first.position
        self.last, self.known_at = first.position, first.recorded_at
        self.n_facts, self.n_superseded = 0, 0
        self.at, self.until_at = first.event.occurred_at, first.event.occurred_at
        self.names: list[NamesChange] = []
        self.named: Mapping[str, set[str]] = {}

    def take(self, fact: RecordedFact, gone: Sequence[Micros]) -> None:
        """The next fact, and the valid times of those that it supersedes."""
        self.last, self.known_at = fact.position, fact.recorded_at
        if not gone and not is_later(fact):
            return
        times = (fact.event.occurred_at, *gone)
        if self.n_facts == 0:
            self.at, self.until_at, self.named = min(times), max(times), {kind: set() for kind in _KINDS}
        self.at, self.until_at = min(self.at, *times), max(self.until_at, *times)
        self.n_facts += 1
        self.n_superseded += len(gone)
        self._name(fact)

    def _name(self, fact: RecordedFact) -> None:
        payload = fact.event.payload
        for kind, names in self.named.items():
            if (name := getattr(payload, kind, None)) is not None:
                names.add(name)
        if (change := _change_of(payload)) is not None:
            self.named["vehicle"].add(change.other)
            if len(self.names) < MOST_NAMES:
                self.names.append(change)

    def first_names(self, kind: str) -> list[str]:
        """Those of a kind that are told, sorted."""
        return nsmallest(MOST_NAMES, self.named[kind])


async def _causes(log: Log, site: SiteId, after: int, until: int) -> tuple[list[_Cause], int]:
    """What the causes of some thousand facts after a position change, the last one told to its end; and how many facts."""
    found, n_read = list[_Cause](), 0
    while True:
        place = found[-1].last if found else after
        page = [one for one in await log.facts(site, after=place, limit=_PAGE, thinned=True) if one.position <= until]
        gone = await _superseded(log, site, place, page[-1].position) if page else {}
        is_first = not found
        for one in page:
            if not found or one.event.cause != found[-1].cause:
                if not is_first:
                    return found, n_read
                found.append(_Cause(one))
            found[-1].take(one, gone.get(one.position, ()))
            n_read += 1
        if len(page) < _PAGE:
            return found, n_read


async def _superseded(log: Log, site: SiteId, after: int, until: int) -> Mapping[int, list[Micros]]:
    """The valid times of what facts supersede, by their positions."""
    found = defaultdict[int, list[Micros]](list)
    for one in await log.facts_superseded(site, after=after, until=until):
        found[one.by_position].append(one.occurred_at)
    return found


def is_later(fact: RecordedFact) -> bool:
    """Whether a fact says something of the past even where it supersedes nothing."""
    payload = fact.event.payload
    if isinstance(payload, SessionAmended):
        return payload.reason != "payment"
    return isinstance(payload, _LATER)


async def _told(log: Log, site: SiteId, cause: _Cause) -> Correction:
    by, author, reason, decision = await _who(log, site, cause.cause)
    return Correction(
        before=str(cause.first - 1),
        after=str(cause.last),
        known_at=rfc3339(cause.known_at),
        at=rfc3339(cause.at),
        until_at=rfc3339(cause.until_at),
        by=by,
        author=author,
        reason=reason,
        decision=decision,
        names=cause.names,
        vehicles=cause.first_names("vehicle"),
        stalls=cause.first_names("stall"),
        sessions=cause.first_names("session"),
        n_vehicles=len(cause.named["vehicle"]),
        n_stalls=len(cause.named["stall"]),
        n_sessions=len(cause.named["session"]),
        n_facts=cause.n_facts,
        n_superseded=cause.n_superseded,
    )


def _change_of(payload: Fact) -> NamesChange | None:
    if isinstance(payload, IdentitiesMerged):
        return NamesChange(vehicle=payload.vehicle, other=payload.merged, is_split=False)
    if isinstance(payload, IdentitiesSplit):
        return NamesChange(vehicle=payload.vehicle, other=payload.split, is_split=True)
    return None


async def _who(log: Log, site: SiteId, cause: int) -> tuple[By, str | None, str | None, Decision | None]:
    try:
        seen = await log.observations(site, after=cause - 1, limit=1)
    except Cut:
        return "twin", None, None, None
    payload = seen[0].event.payload if seen and seen[0].position == cause else None
    if isinstance(payload, OperatorDecided):
        return "operator", payload.author, payload.reason, payload.decision
    if isinstance(payload, RefuseRequested):
        return "refusion", payload.author, payload.reason, None
    return "twin", None, None, None
