"""The difference between what was known at two positions: the facts that made it, and what it made of the state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from twin.errors import Contradiction, TooLarge
from twin.events.codec import subject_of, to_cloudevent
from twin.events.envelope import RecordedFact
from twin.events.ids import Micros, SiteId
from twin.events.state import CountersView, StallView, VehicleView, ZoneView
from twin.log.port import Log
from twin.projections.change_answers import (
    SessionChange,
    StallChange,
    StateChange,
    SupersededFact,
    VehicleChange,
    ZoneChange,
)
from twin.projections.moment import Moment
from twin.projections.sessions import MOST_STAYS, SESSION_TYPES, sessions
from twin.projections.timeline import Timeline

MOST_READ = 20_000
_PAGE = 5_000
_STRETCH = 20_000  # positions whose corrections are looked at together


class Span(Struct, frozen=True, kw_only=True):
    """Facts after a valid time, until and with another."""

    after_at: Micros
    until_at: Micros

    def has(self, fact: RecordedFact) -> bool:
        """Whether a fact is of it."""
        return self.has_time(fact.event.occurred_at)

    def has_time(self, at: Micros) -> bool:
        """Whether a valid time is of it."""
        return self.after_at < at <= self.until_at


async def changed_facts(
    log: Log, site: SiteId, span: Span, *, after: int, until: int, limit: int
) -> tuple[list[dict[str, Any]], list[SupersededFact], int | None]:
    """A page: facts of a stretch of time that were added in positions (``after``, ``until``], those that these supersede.

    Returns:
        Both, and the position to go on after; None where that was all.

    Raises:
        Cut: retention took facts of these positions.
    """
    added, ends = list[RecordedFact](), min(until, after + MOST_READ)
    place = after
    while place < ends and len(added) < limit:
        page = [one for one in await log.facts(site, after=place, limit=min(_PAGE, ends - place)) if one.position <= ends]
        for one in page:
            place = one.position
            if span.has(one):
                added.append(one)
                if len(added) == limit:
                    break
        if not page:
            place = ends
    told = [one for one in await log.facts_superseded(site, after=after, until=place) if span.has_time(one.occurred_at)]
    facts = await log.facts_at(site, [one.position for one in told])
    superseded = [
        SupersededFact(fact=to_cloudevent(fact), by=str(one.by_position)) for one, fact in zip(told, facts, strict=True)
    ]
    return [to_cloudevent(one) for one in added], superseded, place if place < until else None


async def changed_state(log: Log, timeline: Timeline, at: Micros | None, *, before: int, after: int, limit: int) -> StateChange:
    """What differs in the state at a valid time between what was known at two positions; ``limit`` of each kind at most.

    Raises:
        Cut: retention took movement that one of the states would need.
    """
    site = timeline.site.name
    states = [await timeline.state(at, position) for position in (before, after)]
    names = await _told_between(log, site, before=before, after=after)
    stays = [await sessions(log, site, Moment(at=at, known_at=position), names=names) for position in (before, after)]
    vehicles = _unlike(*({one["vehicle"]: one for one in state["vehicles"]} for state in states))
    stalls = _unlike(*({one["stall"]: one for one in state["stalls"]} for state in states))
    zones = _unlike(*({one["zone"]: one for one in state["zones"]} for state in states))
    known = _unlike(*({one.session: one for one in some} for some in stays))
    return StateChange(
        vehicles=[
            VehicleChange(vehicle=name, before=_as(was, VehicleView), after=_as(now, VehicleView))
            for name, was, now in vehicles[:limit]
        ],
        stalls=[
            StallChange(stall=name, before=_as(was, StallView), after=_as(now, StallView)) for name, was, now in stalls[:limit]
        ],
        zones=[ZoneChange(zone=name, before=_as(was, ZoneView), after=_as(now, ZoneView)) for name, was, now in zones[:limit]],
        sessions=[SessionChange(session=name, before=was, after=now) for name, was, now in known[:limit]],
        counters_before=_as(states[0]["counters"], CountersView),
        counters_after=_as(states[1]["counters"], CountersView),
        is_whole=max(len(vehicles), len(stalls), len(zones), len(known)) <= limit,
    )


async def _told_between(log: Log, site: SiteId, *, before: int, after: int) -> set[str]:
    """Names of the sessions that facts of these positions are about, or correct: no other one can differ.

    Raises:
        TooLarge: there are more than can be held at once.
    """
    found = set[str]()
    async for facts in _of_stays(log, site, before=before, after=after):
        found |= {subject_of(one.event.payload) or "" for one in facts}
        if len(found) > MOST_STAYS:
            raise TooLarge(
                f"between positions {before} and {after} more than {MOST_STAYS} stays of site '{site}' were told anew;"
                " ask for positions that are nearer to each other"
            )
    return found


async def _of_stays(log: Log, site: SiteId, *, before: int, after: int) -> AsyncIterator[list[RecordedFact]]:
    """Pages of the facts of stays at these positions, and of those that facts at these positions supersede."""
    place = before
    while place < after:
        page = await log.facts(site, after=place, limit=_PAGE, types=SESSION_TYPES)
        yield [one for one in page if one.position <= after]
        place = page[-1].position if page else after
    for start in range(before, after, _STRETCH):
        told = await log.facts_superseded(site, after=start, until=min(start + _STRETCH, after))
        corrected = sorted({one.position for one in told})
        for n in range(0, len(corrected), _PAGE):
            yield await log.facts_among(site, corrected[n : n + _PAGE], types=SESSION_TYPES)


def check_order(before: int, after: int) -> None:
    """Raise Contradiction where the first position is after the second."""
    if before > after:
        raise Contradiction(f"from_known_at is position {before}, after to_known_at, position {after}; swap them")


def _unlike(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[tuple[str, Any, Any]]:
    names = sorted(before.keys() | after.keys())
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _as(told: Any, kind: Any) -> Any:
    return None if told is None else msgspec.convert(told, kind)
