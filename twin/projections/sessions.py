"""Billable stays, as of a moment: the net session facts, one row a session."""

from __future__ import annotations

import asyncio
from collections.abc import Container

from msgspec import Struct
from msgspec.structs import replace

from twin.errors import TooLarge
from twin.events.codec import rfc3339, subject_of
from twin.events.envelope import RecordedFact
from twin.events.facts import (
    Fact,
    PaymentBooked,
    SessionAmended,
    SessionClosed,
    SessionFlag,
    SessionOpened,
    SessionOrphaned,
    SessionStatus,
)
from twin.events.ids import SECOND, Micros, SiteId
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts

SESSION_TYPES = (
    "session.opened.v1",
    "session.closed.v1",
    "session.orphaned.v1",
    "session.amended.v1",
    "payment.booked.v1",
)
_LENGTH_TYPES = tuple(one for one in SESSION_TYPES if one != "payment.booked.v1")
_FACTS_AT_ONCE = 1_000


MOST_STAYS = 250_000
"""Held in memory for one read, some 750 bytes each."""


class SessionView(Struct, frozen=True, kw_only=True):
    """One stay; times RFC 3339.

    Attributes:
        portal_in: None where no entry was seen.
        duration_s: exit minus entry in valid time; None unless closed.
        confidence: of the latest fact; None for an orphan, which claims no stay.
        version: 1 when it was first told, 1 more with each fact about it.
        final_at: it is provisional until then; None while it is open, or in doubt until a person decides.
        amount_minor: what it costs, in minor units of ``currency``; None while it is open, and without a tariff.
        paid_minor: what was received for it.
        balance_minor: what it costs less what is paid; below 0, it is to be paid back. None without an amount.
        settled_at: when last nothing was left to pay.
        plate: the decision that last set its number plate; the plate itself is personal, and read apart.
    """

    session: str
    vehicle: str
    status: SessionStatus
    portal_in: str | None
    portal_out: str | None
    entry_at: str | None
    exit_at: str | None
    duration_s: float | None
    confidence: float | None
    flags: tuple[SessionFlag, ...]
    version: int = 1
    final_at: str | None = None
    tariff: str | None = None
    currency: str | None = None
    amount_minor: int | None = None
    paid_minor: int = 0
    balance_minor: int | None = None
    settled_at: str | None = None
    is_waived: bool = False
    plate: str | None = None


async def sessions(
    log: Log,
    site: SiteId,
    moment: Moment,
    *,
    vehicle: str | None = None,
    names: Container[str] | None = None,
    most: int = MOST_STAYS,
) -> list[SessionView]:
    """Sessions (of one vehicle, or of these names alone) at a moment, in the order in which they first occurred.

    Raises:
        TooLarge: more than ``most``: so many are held in memory.
    """
    views: dict[str, SessionView] = {}
    async for facts in net_facts(log, site, moment, types=SESSION_TYPES):
        for n, fact in enumerate(facts, 1):
            if names is None or (subject_of(fact.event.payload) or "") in names:
                _fold(views, fact, vehicle)
            if n % _FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        _check_few(len(views), site, most)
    return list(views.values())


async def session_at(log: Log, site: SiteId, session: str, moment: Moment) -> SessionView | None:
    """One session at a moment, from its own facts alone; None where there is none of that id then."""
    views: dict[str, SessionView] = {}
    async for facts in net_facts(log, site, moment, types=SESSION_TYPES, subject=session):
        for fact in facts:
            _fold(views, fact, None)
    return views.get(session)


async def told_since(log: Log, site: SiteId, moment: Moment, since: Micros, *, most: int = MOST_STAYS) -> set[str]:
    """Names of the sessions of which something was told after a valid time: opened, closed, amended, paid. Raises TooLarge."""
    found = set[str]()
    async for facts in net_facts(log, site, moment, after_at=since, types=SESSION_TYPES):
        found |= {subject_of(fact.event.payload) or "" for fact in facts}
        _check_few(len(found), site, most)
    return found


async def names_within(log: Log, site: SiteId, known_at: int, from_at: Micros, *, most: int = MOST_STAYS) -> set[str]:
    """Names of all sessions, as known at a position, that touch a time or a later one, and maybe others.

    Such a one was told of since ``from_at``, or by what was told before that it was not over yet. Raises TooLarge.
    """
    found = set[str]()
    async for facts in net_facts(log, site, Moment(at=from_at - 1, known_at=known_at), types=_LENGTH_TYPES):
        for n, fact in enumerate(facts, 1):
            _touch(found, fact.event.payload, from_at)
            if n % _FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        _check_few(len(found), site, most)
    return found | await told_since(log, site, Moment(at=None, known_at=known_at), from_at - 1, most=most)


async def unpaired_names(log: Log, site: SiteId, moment: Moment, *, most: int = MOST_STAYS) -> set[str]:
    """Names of the sessions that have one end at a moment: open ones and orphans. Raises TooLarge."""
    found = set[str]()
    async for facts in net_facts(log, site, moment, types=_LENGTH_TYPES):
        for n, fact in enumerate(facts, 1):
            _pair(found, fact.event.payload)
            if n % _FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        _check_few(len(found), site, most)
    return found


def _pair(found: set[str], fact: Fact) -> None:
    match fact:
        case SessionOpened() | SessionOrphaned():
            found.add(fact.session)
        case SessionClosed():
            found.discard(fact.session)
        case SessionAmended():
            (found.add if fact.status in ("open", "orphan") else found.discard)(fact.session)
        case _:
            return


def _touch(found: set[str], fact: Fact, from_at: Micros) -> None:
    match fact:
        case SessionOpened():
            lasts = True
        case SessionClosed() | SessionOrphaned():
            lasts = fact.exit_at >= from_at
        case SessionAmended():
            lasts = fact.status != "void" and (fact.exit_at is None or fact.exit_at >= from_at)
        case _:
            return
    (found.add if lasts else found.discard)(fact.session)


def _check_few(n_stays: int, site: SiteId, most: int) -> None:
    if n_stays > most:
        raise TooLarge(
            f"site '{site}' has more than {most} stays by then, which are not read at once; ask for those of which something"
            " was told since a time (GET …/sessions?from=), of one vehicle, or at an earlier moment (at=)"
        )


def _fold(views: dict[str, SessionView], recorded: RecordedFact, vehicle: str | None) -> None:
    fact = recorded.event.payload
    if isinstance(fact, SessionAmended):
        _amend(views, fact, vehicle)
        return
    if isinstance(fact, PaymentBooked):
        _pay(views, fact)
        return
    if not isinstance(fact, SessionOpened | SessionClosed | SessionOrphaned) or vehicle not in (None, fact.vehicle):
        return
    if isinstance(fact, SessionOpened):
        views[fact.session] = _opened(fact)
    elif isinstance(fact, SessionClosed):
        views[fact.session] = _closed(views.get(fact.session), fact)
    else:
        views[fact.session] = _orphaned(fact)


def _opened(fact: SessionOpened) -> SessionView:
    return SessionView(
        session=fact.session,
        vehicle=fact.vehicle,
        status="open",
        portal_in=fact.portal,
        portal_out=None,
        entry_at=rfc3339(fact.entry_at),
        exit_at=None,
        duration_s=None,
        confidence=fact.confidence,
        flags=fact.flags,
        tariff=fact.tariff,
    )


def _closed(before: SessionView | None, fact: SessionClosed) -> SessionView:
    return SessionView(
        session=fact.session,
        vehicle=fact.vehicle,
        status="closed",
        portal_in=before.portal_in if before else None,
        portal_out=fact.portal,
        entry_at=rfc3339(fact.entry_at),
        exit_at=rfc3339(fact.exit_at),
        duration_s=(fact.exit_at - fact.entry_at) / SECOND,
        confidence=fact.confidence,
        flags=fact.flags,
        version=fact.version,
        final_at=_text(fact.final_at),
        tariff=fact.tariff,
        currency=fact.currency,
        amount_minor=fact.amount_minor,
        paid_minor=fact.paid_minor,
        balance_minor=None if fact.amount_minor is None else fact.amount_minor - fact.paid_minor,
        settled_at=before.settled_at if before else None,
        plate=before.plate if before else None,
    )


def _pay(views: dict[str, SessionView], fact: PaymentBooked) -> None:
    """What is paid now; what is for no stay is in the ledger alone."""
    before = views.get(fact.session)
    if before is None or fact.fate not in ("credited", "no_stay"):
        return
    balance = None if before.amount_minor is None else before.amount_minor - fact.paid_minor
    views[fact.session] = replace(
        before,
        currency=fact.currency,
        paid_minor=fact.paid_minor,
        balance_minor=balance,
        settled_at=_text(fact.settled_at),
    )


def _amend(views: dict[str, SessionView], fact: SessionAmended, vehicle: str | None) -> None:
    """What is known now; a stay that is another vehicle's now is no longer among those of the one that was named."""
    before = views.pop(fact.session, None)
    if vehicle not in (None, fact.vehicle):
        return
    views[fact.session] = SessionView(
        session=fact.session,
        vehicle=fact.vehicle,
        status=fact.status,
        portal_in=before.portal_in if before else None,
        portal_out=fact.portal_out,
        entry_at=_text(fact.entry_at),
        exit_at=_text(fact.exit_at),
        duration_s=None if fact.exit_at is None or fact.entry_at is None else (fact.exit_at - fact.entry_at) / SECOND,
        confidence=None if fact.status == "orphan" else fact.confidence,
        flags=fact.flags,
        version=fact.version,
        final_at=_text(fact.final_at),
        tariff=fact.tariff,
        currency=fact.currency,
        amount_minor=fact.amount_minor,
        paid_minor=fact.paid_minor,
        balance_minor=None if fact.amount_minor is None else fact.amount_minor - fact.paid_minor,
        settled_at=_text(fact.settled_at),
        is_waived=fact.is_waived,
        plate=fact.plate,
    )


def _text(at: Micros | None) -> str | None:
    return None if at is None else rfc3339(at)


def _orphaned(fact: SessionOrphaned) -> SessionView:
    return SessionView(
        session=fact.session,
        vehicle=fact.vehicle,
        status="orphan",
        portal_in=None,
        portal_out=fact.portal,
        entry_at=None,
        exit_at=rfc3339(fact.exit_at),
        duration_s=None,
        confidence=None,
        flags=(),
    )
