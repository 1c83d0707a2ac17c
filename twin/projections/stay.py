"""One stay with all that is known of it at a moment: what it rests on, where it stood, and how it came to be what it is."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from twin.errors import NotFound
from twin.events.codec import micros, rfc3339
from twin.events.envelope import RecordedFact
from twin.events.facts import (
    AmendReason,
    SessionAmended,
    SessionClosed,
    SessionFlag,
    SessionOpened,
    SessionOrphaned,
    SessionStatus,
    VehicleParked,
)
from twin.events.ids import SECOND, Micros, SiteId
from twin.log.port import Log
from twin.projections.evidence import BEFORE, TYPES, CrossingView, Evidence, NameView, facts_of
from twin.projections.moment import BEFORE_ALL, Moment
from twin.projections.sessions import SESSION_TYPES, SessionView, session_at

_SEEN = ("vehicle.parked.v1",)
_MERGED = "identities.merged.v1"
AFTER: Micros = 3_600 * SECOND
"""What was seen so long after a stay ended is looked through for what belongs to it; of decisions, all."""
_INSTEAD = "ask for the stay at a moment (at=) soon after it began"


class VersionView(Struct, frozen=True, kw_only=True):
    """What was told of the stay once.

    Attributes:
        position: of the fact that told it: as ``known_at``, all that was believed then.
        told_at: when the twin told it.
        reason: why it was amended; None: it was not.
    """

    version: int
    position: str
    told_at: str
    status: SessionStatus
    reason: AmendReason | None
    vehicle: str
    entry_at: str | None
    exit_at: str | None
    amount_minor: int | None
    flags: tuple[SessionFlag, ...]


class ParkedView(Struct, frozen=True, kw_only=True):
    """Where it stood, and since when."""

    at: str
    zone: str | None
    stall: str | None


class StayTold(Struct, frozen=True, kw_only=True):
    """One stay; ``entry`` and ``exit`` are the crossings that it rests on, ``names`` those that were found to be one."""

    session: SessionView
    entry: CrossingView | None
    exit: CrossingView | None
    names: tuple[NameView, ...]
    parked: tuple[ParkedView, ...]
    versions: tuple[VersionView, ...]


async def stay(log: Log, site: SiteId, session: str, moment: Moment) -> StayTold:
    """One stay at a moment.

    Raises:
        NotFound: there is none of that id then.
        TooLarge: more facts of its time than can be read.
    """
    view = await session_at(log, site, session, moment)
    if view is None:
        raise NotFound(f"site '{site}' has no session '{session[:80]}' at that moment; see the list of its sessions")
    return told(view, await _facts(log, site, view, moment))


async def _facts(log: Log, site: SiteId, view: SessionView, moment: Moment) -> list[RecordedFact]:
    """What was seen while it lasted, and what was told and decided of it later."""
    began, ended = view.entry_at or view.exit_at, view.exit_at
    after_at = BEFORE_ALL if began is None else micros(began) - BEFORE
    until_at = moment.until_at if ended is None else min(moment.until_at, micros(ended) + AFTER)
    seen = await facts_of(
        log, site, Moment(at=until_at, known_at=moment.known_at), after_at=after_at, types=(*TYPES, *_SEEN), instead=_INSTEAD
    )
    if until_at >= moment.until_at:
        return seen
    of_it = await facts_of(log, site, moment, after_at=until_at, types=SESSION_TYPES, subject=view.session, instead=_INSTEAD)
    merged = await facts_of(log, site, moment, after_at=until_at, types=(_MERGED,), instead=_INSTEAD)
    return seen + sorted((*of_it, *merged), key=lambda one: (one.event.occurred_at, one.position))


def told(view: SessionView, facts: Sequence[RecordedFact]) -> StayTold:
    """A stay by net facts of ``evidence.TYPES`` and of who parked, in order of time."""
    known = Evidence(facts)
    ends, names = known.ends(view.session, view.vehicle), known.names(view.session)
    return StayTold(
        session=view,
        entry=ends.get("entry"),
        exit=ends.get("exit"),
        names=names,
        parked=_parked(view, {view.vehicle, *(one.merged for one in names)}, facts),
        versions=tuple(one for fact in facts if (one := _version(view.session, fact)) is not None),
    )


def _parked(view: SessionView, vehicles: set[str], facts: Sequence[RecordedFact]) -> tuple[ParkedView, ...]:
    found: list[ParkedView] = []
    for fact in facts:
        payload, at = fact.event.payload, rfc3339(fact.event.occurred_at)
        is_within = (view.entry_at or "") <= at and (view.exit_at is None or at <= view.exit_at)
        if isinstance(payload, VehicleParked) and payload.vehicle in vehicles and is_within:
            found.append(ParkedView(at=at, zone=payload.zone, stall=payload.stall))
    return tuple(found)


def _version(session: str, recorded: RecordedFact) -> VersionView | None:
    fact = recorded.event.payload
    if not isinstance(fact, SessionOpened | SessionClosed | SessionOrphaned | SessionAmended) or fact.session != session:
        return None
    entry_at = None if isinstance(fact, SessionOrphaned) else fact.entry_at
    exit_at = None if isinstance(fact, SessionOpened) else fact.exit_at
    has_price = isinstance(fact, SessionClosed | SessionAmended)
    return VersionView(
        version=fact.version if has_price else 1,
        position=str(recorded.position),
        told_at=rfc3339(recorded.recorded_at),
        status=_status(fact),
        reason=fact.reason if isinstance(fact, SessionAmended) else None,
        vehicle=fact.vehicle,
        entry_at=None if entry_at is None else rfc3339(entry_at),
        exit_at=None if exit_at is None else rfc3339(exit_at),
        amount_minor=fact.amount_minor if has_price else None,
        flags=() if isinstance(fact, SessionOrphaned) else fact.flags,
    )


def _status(fact: SessionOpened | SessionClosed | SessionOrphaned | SessionAmended) -> SessionStatus:
    match fact:
        case SessionAmended():
            return fact.status
        case SessionOpened():
            return "open"
        case SessionClosed():
            return "closed"
        case SessionOrphaned():
            return "orphan"
