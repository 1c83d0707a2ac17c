"""The fold without any shortcut: every fact from the first. ``twin replay`` runs it, and the timeline is tested against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from site_models.schema import Site
from twin.events.envelope import RecordedFact
from twin.events.facts import (
    SessionAmended,
    SessionClosed,
    SessionFlag,
    SessionOpened,
    SessionOrphaned,
    SessionStatus,
)
from twin.events.ids import Micros, SessionId, VehicleId
from twin.graph.apply import apply
from twin.graph.model import site_graph
from twin.graph.query import state
from twin.log.port import Log
from twin.projections.moment import Moment, check_moment, known_position

PAGE = 10_000


async def replay(log: Log, site: Site, *, at: Micros | None = None, known_at: int | None = None) -> dict[str, Any]:
    """The state of a site at a valid time, as known at a fact position; as ``Timeline.state``, which equals it.

    Raises:
        NotFound: ``known_at`` is beyond the fact log's head.
        Cut: retention took movement that the answer would need.
    """
    known = await known_position(log, site.name, known_at)
    await check_moment(log, site.name, Moment(at=at, known_at=known))
    return folded(site, await _facts_until(log, site, known), at=at, position=known)


def folded(site: Site, facts: list[RecordedFact], *, at: Micros | None, position: int) -> dict[str, Any]:
    """The state that these facts tell, which are those up to a position."""
    graph = site_graph(site)
    for fact in net_of(facts):
        if at is None or fact.event.occurred_at <= at:
            apply(graph, fact)
    return state(graph, at=at, position=position)


def net_of(facts: list[RecordedFact]) -> list[RecordedFact]:
    """Facts that none of these facts supersedes, by (occurred_at, position)."""
    superseded = {event_id for fact in facts for event_id in fact.event.supersedes}
    net = [fact for fact in facts if fact.event.id not in superseded]
    return sorted(net, key=lambda fact: (fact.event.occurred_at, fact.position))


async def _facts_until(log: Log, site: Site, known: int) -> list[RecordedFact]:
    facts: list[RecordedFact] = []
    while page := await log.facts(site.name, after=facts[-1].position if facts else 0, limit=PAGE, thinned=True):
        facts += (fact for fact in page if fact.position <= known)
        if page[-1].position >= known:
            break
    return facts


class StandingStay(Struct, frozen=True, kw_only=True):
    """A stay as it was told last."""

    vehicle: VehicleId
    status: SessionStatus
    entry_at: Micros | None
    exit_at: Micros | None
    flags: tuple[SessionFlag, ...] = ()
    amount_minor: int | None = None


def stays_of(facts: Iterable[RecordedFact]) -> dict[SessionId, StandingStay]:
    """Each stay as the last fact about it says, in order of position; what is void is none."""
    latest = dict[SessionId, StandingStay]()
    for fact in facts:
        match told := fact.event.payload:
            case SessionOpened():
                stay = StandingStay(vehicle=told.vehicle, status="open", entry_at=told.entry_at, exit_at=None, flags=told.flags)
            case SessionClosed():
                stay = StandingStay(
                    vehicle=told.vehicle,
                    status="closed",
                    entry_at=told.entry_at,
                    exit_at=told.exit_at,
                    flags=told.flags,
                    amount_minor=told.amount_minor,
                )
            case SessionOrphaned():
                stay = StandingStay(vehicle=told.vehicle, status="orphan", entry_at=None, exit_at=told.exit_at)
            case SessionAmended():
                stay = StandingStay(
                    vehicle=told.vehicle,
                    status=told.status,
                    entry_at=told.entry_at,
                    exit_at=told.exit_at,
                    flags=told.flags,
                    amount_minor=told.amount_minor,
                )
            case _:
                continue
        latest[told.session] = stay
    return {session: stay for session, stay in latest.items() if stay.status != "void"}
