"""Corrections: where, of what was said of the past, something else came to be known; by whom, and when it was learned.

One correction is what one observation made of the past: the facts that follow from it, when one of them supersedes another,
says that names are one or two vehicles, amends a stay, or says that something is no longer so. Money received amends what a
stay has paid, which is no news of the past, so it is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from twin.errors import Cut
from twin.events.codec import rfc3339
from twin.events.envelope import RecordedFact
from twin.events.facts import FactRetracted, IdentitiesMerged, IdentitiesSplit, SessionAmended
from twin.events.ids import Micros, SiteId
from twin.events.observations import Decision, OperatorDecided, RefuseRequested
from twin.log.port import Log

MOST_READ = 20_000
"""Facts read for one page, and ten times as many that correct nothing; a correction that goes on beyond is read to its end."""
MOST_NAMES = 20
"""Told of each kind of thing in one correction; ``n_vehicles`` and its like count all."""
_PAGE = 5_000
_CALM_SHARE = 10  # what it costs to see that nothing of a page of facts is a correction, of what reading it does
_CHUNK = 100
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
        facts = await _whole(log, site, place, until)
        if not facts:
            return found, None
        n_read += len(facts)
        told = defaultdict[int, list[Micros]](list)
        for one in await log.facts_superseded(site, after=place, until=facts[-1].position):
            told[one.by_position].append(one.occurred_at)
        for group in _by_cause(facts):
            place = group[-1].position
            changed = _changed(group, told)
            if changed is None or changed.at > until_at or changed.until_at < from_at:
                continue
            found.append(await _told(log, site, group, changed))
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


class _Changed(Struct, frozen=True):
    """The facts of a cause that change the past, how many they superseded, and the valid times of both."""

    facts: list[RecordedFact]
    n_superseded: int
    at: Micros
    until_at: Micros


async def _whole(log: Log, site: SiteId, after: int, until: int) -> list[RecordedFact]:
    """Facts after a position, some thousand, until the last cause among them is told to its end."""
    facts: list[RecordedFact] = []
    while True:
        place = facts[-1].position if facts else after
        page = [one for one in await log.facts(site, after=place, limit=_PAGE, thinned=True) if one.position <= until]
        cause = facts[-1].event.cause if facts else None
        rest = next((n for n, one in enumerate(page) if one.event.cause != cause), len(page)) if facts else len(page)
        facts += page[:rest]
        if len(page) < _PAGE or (cause is not None and rest < len(page)):
            return facts


def _by_cause(facts: Sequence[RecordedFact]) -> list[list[RecordedFact]]:
    groups: list[list[RecordedFact]] = []
    for fact in facts:
        if groups and groups[-1][-1].event.cause == fact.event.cause:
            groups[-1].append(fact)
        else:
            groups.append([fact])
    return groups


def _changed(group: Sequence[RecordedFact], told: Mapping[int, list[Micros]]) -> _Changed | None:
    facts = [one for one in group if one.position in told or is_later(one)]
    if not facts:
        return None
    gone = [at for one in facts for at in told.get(one.position, ())]
    times = [*gone, *(one.event.occurred_at for one in facts)]
    return _Changed(facts, len(gone), min(times), max(times))


def is_later(fact: RecordedFact) -> bool:
    """Whether a fact says something of the past even where it supersedes nothing."""
    payload = fact.event.payload
    if isinstance(payload, SessionAmended):
        return payload.reason != "payment"
    return isinstance(payload, _LATER)


async def _told(log: Log, site: SiteId, group: Sequence[RecordedFact], changed: _Changed) -> Correction:
    named = {kind: _named(changed.facts, kind) for kind in ("vehicle", "stall", "session")}
    by, author, reason, decision = await _who(log, site, group[0].event.cause)
    return Correction(
        before=str(group[0].position - 1),
        after=str(group[-1].position),
        known_at=rfc3339(group[-1].recorded_at),
        at=rfc3339(changed.at),
        until_at=rfc3339(changed.until_at),
        by=by,
        author=author,
        reason=reason,
        decision=decision,
        names=_names(changed.facts)[:MOST_NAMES],
        vehicles=named["vehicle"][:MOST_NAMES],
        stalls=named["stall"][:MOST_NAMES],
        sessions=named["session"][:MOST_NAMES],
        n_vehicles=len(named["vehicle"]),
        n_stalls=len(named["stall"]),
        n_sessions=len(named["session"]),
        n_facts=len(changed.facts),
        n_superseded=changed.n_superseded,
    )


def _names(facts: Sequence[RecordedFact]) -> list[NamesChange]:
    found = list[NamesChange]()
    for payload in (one.event.payload for one in facts):
        if isinstance(payload, IdentitiesMerged):
            found.append(NamesChange(vehicle=payload.vehicle, other=payload.merged, is_split=False))
        elif isinstance(payload, IdentitiesSplit):
            found.append(NamesChange(vehicle=payload.vehicle, other=payload.split, is_split=True))
    return found


def _named(facts: Sequence[RecordedFact], kind: str) -> list[str]:
    """Names of a kind in the facts, sorted."""
    found = {getattr(one.event.payload, kind, None) for one in facts}
    if kind == "vehicle":
        found |= {name for one in _names(facts) for name in (one.vehicle, one.other)}
    return sorted(one for one in found if one is not None)


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
