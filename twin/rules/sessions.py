"""Billable stays, from boundary crossings. An exit without an entry is an orphan, never an invented time."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from site_models.schema import Portal, PortalId, Site
from twin.events.envelope import FactEvent
from twin.events.facts import (
    Fact,
    IdentitiesMerged,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionFlag,
    SessionOpened,
    SessionOrphaned,
)
from twin.events.ids import EventId, Micros, SessionId, VehicleId, name_of


class OpenSession(Struct, frozen=True, array_like=True):
    """A stay that has begun."""

    session: SessionId
    entry_at: Micros
    confidence: float
    flags: tuple[SessionFlag, ...]
    evidence: tuple[EventId, ...]
    version: int = 1


class SessionsState(Struct, frozen=True):
    """Open stays by vehicle: at most one each."""

    open: dict[VehicleId, OpenSession] = field(default_factory=dict[VehicleId, OpenSession])


class Sessions:
    """Opens and closes stays as facts are made."""

    def __init__(self, site: Site, state: SessionsState) -> None:
        self._boundaries: dict[PortalId, Portal] = {one.id: one for one in site.portals if one.role == "boundary"}
        self._open = state.open

    def finished(self) -> SessionsState:
        """The new state."""
        return SessionsState(open=self._open)

    def react(self, event: FactEvent) -> list[tuple[Micros, Fact]]:
        """What a fact means for stays."""
        fact = event.payload
        if isinstance(fact, IdentitiesMerged):
            return [(event.occurred_at, amended) for amended in self._merged(event, fact)]
        if not isinstance(fact, PortalCrossed) or fact.portal not in self._boundaries:
            return []
        known = self._open.get(fact.vehicle)
        if fact.direction == "in":
            return [] if known is not None else [self._opened(event, fact)]
        return [self._orphaned(event, fact) if known is None else self._closed(event, fact, known)]

    def _opened(self, event: FactEvent, fact: PortalCrossed) -> tuple[Micros, Fact]:
        session = _named(event, fact)
        stay = OpenSession(session, event.occurred_at, fact.certainty, _flags(fact), (event.id,))
        self._open = {**self._open, fact.vehicle: stay}
        opened = SessionOpened(
            session=session,
            vehicle=fact.vehicle,
            portal=fact.portal,
            entry_at=event.occurred_at,
            confidence=stay.confidence,
            flags=stay.flags,
            evidence=stay.evidence,
        )
        return event.occurred_at, opened

    def _closed(self, event: FactEvent, fact: PortalCrossed, stay: OpenSession) -> tuple[Micros, Fact]:
        self._open = {vehicle: one for vehicle, one in self._open.items() if vehicle != fact.vehicle}
        flags: set[SessionFlag] = {*stay.flags, *_flags(fact)}
        if event.occurred_at < stay.entry_at:
            flags.add("unverified")
        closed = SessionClosed(
            session=stay.session,
            vehicle=fact.vehicle,
            portal=fact.portal,
            entry_at=stay.entry_at,
            exit_at=max(event.occurred_at, stay.entry_at),
            confidence=min(stay.confidence, fact.certainty),
            flags=tuple(sorted(flags)),
            evidence=(*stay.evidence, event.id),
        )
        return event.occurred_at, closed

    def _merged(self, event: FactEvent, fact: IdentitiesMerged) -> list[Fact]:
        """Of two stays of one vehicle the one that began first is it; a single one goes on under the vehicle's name."""
        stays = [stay for name in (fact.vehicle, fact.merged) if (stay := self._open.get(name)) is not None]
        self._open = {vehicle: stay for vehicle, stay in self._open.items() if vehicle not in (fact.vehicle, fact.merged)}
        if not stays:
            return []
        first, *others = sorted(stays, key=lambda stay: (stay.entry_at, stay.session))
        evidence = (*first.evidence, event.id)
        kept = replace(first, version=first.version + 1, flags=_with_doubt(first.flags), evidence=evidence)
        self._open = {**self._open, fact.vehicle: kept}
        voided = [replace(one, version=one.version + 1, flags=_with_doubt(one.flags), evidence=(event.id,)) for one in others]
        return [*(_amended(one, fact.vehicle, "void") for one in voided), _amended(kept, fact.vehicle, "open")]

    def _orphaned(self, event: FactEvent, fact: PortalCrossed) -> tuple[Micros, Fact]:
        orphaned = SessionOrphaned(
            session=_named(event, fact),
            vehicle=fact.vehicle,
            portal=fact.portal,
            exit_at=event.occurred_at,
            evidence=(event.id,),
        )
        return event.occurred_at, orphaned


def _named(event: FactEvent, fact: PortalCrossed) -> SessionId:
    """A stay's name: of its vehicle, and of the crossing that began it or, for an orphan, ended it."""
    return SessionId(name_of("s", fact.vehicle, fact.portal, fact.direction, str(event.occurred_at)))


def _amended(stay: OpenSession, vehicle: VehicleId, status: Literal["open", "void"]) -> SessionAmended:
    return SessionAmended(
        session=stay.session,
        vehicle=vehicle,
        version=stay.version,
        status=status,
        reason="identities_merged",
        entry_at=stay.entry_at,
        confidence=stay.confidence if status == "open" else 0.0,
        flags=stay.flags,
        evidence=stay.evidence,
    )


def _with_doubt(flags: tuple[SessionFlag, ...]) -> tuple[SessionFlag, ...]:
    return tuple(sorted({*flags, "ambiguous_identity", "unverified"}))


_UNSURE = 0.9


def _flags(fact: PortalCrossed) -> tuple[SessionFlag, ...]:
    """A crossing that is not sure makes the stay one to be looked at."""
    flags: set[SessionFlag] = set(fact.flags)
    if fact.certainty < _UNSURE or flags:
        flags.add("unverified")
    return tuple(sorted(flags))
