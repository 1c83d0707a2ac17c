"""Billable stays, as facts about them: answers to crossings, to names that become one or two, and to people's decisions.

The state keeps the boundary crossings of each vehicle and what was decided; each answer makes the vehicle's stays anew
from them (``twin.rules.stays``) and tells what differs from what was told before. A fact that supersedes a crossing takes
it out, so a part of the log that is fused again corrects the stays by telling the crossings that it differs in.

What is over is kept for ``CORRECTABLE``, and then forgotten with its crossings; who is inside never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

from msgspec.structs import replace

from site_models.schema import PortalId, Site
from twin.events.envelope import FactEvent
from twin.events.facts import (
    AmendReason,
    Fact,
    FactRetracted,
    IdentitiesMerged,
    IdentitiesSplit,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
)
from twin.events.ids import SECOND, EventId, Micros, PaymentId, SessionId, VehicleId, name_of
from twin.rules.passages import Passage, Pin, with_passage
from twin.rules.renaming import Crossed, Retold, reclaimed
from twin.rules.sessions_state import SessionsState as SessionsState
from twin.rules.settlement import Due, Payment, due
from twin.rules.stays import Merge, Stay, stays_of
from twin.rules.sweeping import swept
from twin.rules.tariff import TariffBook

SETTLE: Micros = 60 * SECOND
"""A stay without doubt is final so long after its exit: what comes late inside the horizon is fused again and told by then
(``FusionParameters``: ``horizon_us``, ``refuse_every_us`` and ``refuse_within_us`` after one another)."""

OF_STAYS = (PortalCrossed, IdentitiesMerged, IdentitiesSplit, FactRetracted)
"""Facts that stays rest on, and what takes them back."""

_LAST: Micros = 2**62  # after every payment

Told = list[tuple[Micros, Fact]]


class _Price(TypedDict, total=False):
    tariff: str | None
    currency: str
    amount_minor: int
    billed_until_at: Micros
    paid_minor: int


class Sessions:
    """Answers facts with facts about stays; ``state`` is the new state at any time, and no state is changed."""

    def __init__(self, site: Site, state: SessionsState, tariffs: TariffBook | None = None) -> None:
        self._boundaries = frozenset[PortalId](one.id for one in site.portals if one.role == "boundary")
        self._tariffs = tariffs or TariffBook.of(site.tariffs)
        self.state = state
        self._retold = Retold(0)

    def finished(self) -> SessionsState:
        """The new state."""
        return self.state

    def react(self, event: FactEvent) -> Told:
        """What a fact means for stays."""
        fact, touched = event.payload, set[VehicleId]()
        if not isinstance(fact, OF_STAYS):
            return []
        if event.cause != self._retold.cause:
            self._retold = Retold(event.cause)
        lost = list[Crossed]()
        if event.supersedes:
            touched, lost = self._taken_out(event.supersedes)
        if isinstance(fact, PortalCrossed) and fact.portal in self._boundaries:
            self.state = swept(self.state, event.occurred_at)
            touched |= self._crossed(event, fact, lost) | self._left_over(lost)
            return self._retell(event, touched | {self.state.root(fact.vehicle)}, "late_data")
        touched |= self._left_over(lost)
        if isinstance(fact, IdentitiesMerged):
            told = self._merged(event, fact)
            return [*told, *self._retell(event, touched, "late_data")]
        if isinstance(fact, IdentitiesSplit):
            return self._split(event, fact)
        return self._retell(event, touched, "late_data") if touched else []

    def pin(self, session: SessionId, pin: Pin, at: Micros, event: EventId) -> Told:
        """Hold a stay to what a person decided."""
        self.state = replace(self.state, pins={**self.state.pins, session: pin})
        vehicle = self.state.root(self.state.stays[session].vehicle)
        return self._told([vehicle], at, event, "operator")

    def set_aside(self, payment: PaymentId, at: Micros) -> None:
        """Note a payment that is for no stay."""
        self.state = replace(self.state, aside={**self.state.aside, payment: at})

    def credit(self, stay: Stay, named: SessionId, payment: Payment, at: Micros) -> Told:
        """Put a payment on a stay's account; one that is over, and costs less by it, is amended."""
        before = self._price(stay)
        payments = (*self.state.payments.get(named, ()), payment)
        self.state = replace(self.state, payments={**self.state.payments, named: payments})
        if named != stay.session and (void := self.state.stays.get(named)) is not None:
            self._keep(replace(void, sessions=()))  # it never had this money
        stay = self._keep(replace(stay, said_at=at))
        after = self._price(stay)
        is_repriced = any(before.get(name) != after.get(name) for name in ("amount_minor", "billed_until_at"))
        return self._amended(stay, stay, at, "payment") if is_repriced else []

    def currency_of(self, stay: Stay) -> str | None:
        """What a stay is paid in; None: it is not billed."""
        pricing = self._tariffs.named(stay.tariff)
        return None if pricing is None else pricing.currency

    def due(self, stay: Stay, at: Micros) -> Due | None:
        """What a stay costs if it ends at a time, under the tariff of its entry; None: it is not billed, or has no entry."""
        pricing = self._tariffs.named(stay.tariff)
        if pricing is None or stay.entry_at is None:
            return None
        found = due(pricing, stay.entry_at, max(at, stay.entry_at), self.state.payments_of(stay))
        return replace(found, amount_minor=0) if stay.is_waived else found

    def settled_at(self, stay: Stay) -> Micros | None:
        """When last nothing was left to pay for a stay; None: there is, or nothing is billed."""
        found = self.due(stay, _LAST if stay.exit_at is None else stay.exit_at)
        return None if found is None else found.settled_at

    def _crossed(self, event: FactEvent, fact: PortalCrossed, lost: list[Crossed]) -> set[VehicleId]:
        """Note a crossing. It takes the place of one that it supersedes, which is no longer ``lost`` then. Returns who loses a
        name to it."""
        passage = Passage(
            fact=event.id,
            session=SessionId(name_of("s", fact.vehicle, fact.portal, fact.direction, str(event.occurred_at))),
            at=event.occurred_at,
            direction=fact.direction,
            portal=fact.portal,
            certainty=fact.certainty,
            flags=fact.flags,
        )
        passages = with_passage(self.state.passages.get(fact.vehicle, ()), passage)
        state = replace(self.state, passages={**self.state.passages, fact.vehicle: passages})
        state, touched = reclaimed(state, Crossed(fact.vehicle, passage))
        self.state = self._retold.tell(state, Crossed(fact.vehicle, passage), lost)
        return touched

    def _taken_out(self, gone: Iterable[EventId]) -> tuple[set[VehicleId], list[Crossed]]:
        """Take crossings and merges out that others supersede; returns whose they were, and the crossings."""
        taken, passages = frozenset(gone), dict(self.state.passages)
        touched = self._parted(taken)
        lost = [Crossed(name, one) for name, had in passages.items() for one in had if one.fact in taken]
        for one in lost:
            passages[one.vehicle] = tuple(kept for kept in passages[one.vehicle] if kept.fact not in taken)
            touched.add(self.state.root(one.vehicle))
        if lost:
            self.state = replace(self.state, passages=passages)
        return touched, lost

    def _left_over(self, lost: list[Crossed]) -> set[VehicleId]:
        """Find who stands for crossings that were taken out; returns whose they are now."""
        touched = set[VehicleId]()
        for one in lost:
            self.state, heirs = self._retold.take_back(self.state, one)
            touched |= heirs
        return touched

    def _parted(self, taken: frozenset[EventId]) -> set[VehicleId]:
        """Take back merges that the twin no longer concludes; returns both names of each. A person's stand."""
        undone = [one for one in self.state.merges if one.fact in taken and not one.is_decided]
        if not undone:
            return set()
        names = {one.merged for one in undone}
        touched = {self.state.root(one.vehicle) for one in undone} | names
        self.state = replace(
            self.state,
            kept={name: kept for name, kept in self.state.kept.items() if name not in names},
            merges=tuple(one for one in self.state.merges if one not in undone),
        )
        return touched

    def _merged(self, event: FactEvent, fact: IdentitiesMerged) -> Told:
        """All that the two names did was done by one; not where a person said that they are two."""
        vehicle, merged = self.state.root(fact.vehicle), self.state.root(fact.merged)
        pair, is_decided = _pair(vehicle, merged), fact.decision is not None
        if vehicle == merged or (pair in self.state.apart and not is_decided) or fact.decision in self.state.undone:
            return []
        merge = Merge(vehicle, merged, event.occurred_at, event.id, fact.decision)
        self.state = replace(
            self.state,
            kept={**self.state.kept, merged: vehicle},
            merges=(*self.state.merges, merge),
            apart={one: at for one, at in self.state.apart.items() if one != pair},
        )
        return self._told([vehicle], event.occurred_at, event.id, "identities_merged", were=(merged,))

    def _split(self, event: FactEvent, fact: IdentitiesSplit) -> Told:
        """Each name has again what it did; as if they had never been one."""
        if fact.split not in self.state.kept:
            return []
        vehicle, at = self.state.root(fact.split), event.occurred_at
        parted = [one for one in self.state.merges if one.merged == fact.split]
        self.state = replace(
            self.state,
            kept={name: kept for name, kept in self.state.kept.items() if name != fact.split},
            merges=tuple(one for one in self.state.merges if one not in parted),
            apart={**self.state.apart, _pair(vehicle, fact.split): at},
            undone={**self.state.undone, **{one.decision: at for one in parted if one.decision is not None}},
        )
        return self._told([vehicle, fact.split], at, event.id, "identities_split")

    def _retell(self, event: FactEvent, vehicles: Iterable[VehicleId], reason: AmendReason) -> Told:
        roots = {self.state.root(vehicle) for vehicle in vehicles}
        return self._told(sorted(roots), event.occurred_at, event.id, reason)

    def _told(
        self,
        vehicles: list[VehicleId],
        at: Micros,
        cause: EventId,
        reason: AmendReason,
        were: tuple[VehicleId, ...] = (),
    ) -> Told:
        """Make the stays of some vehicles anew, and tell what differs: first what is void, then the rest in order of time."""
        before = {name: one for name, one in self.state.stays.items() if one.vehicle in (*vehicles, *were)}
        after = {one.session: one for name in vehicles for one in self._stays_of(name)}
        taken = self._taken(before, after)
        paid = (self.state.stays[name] for name in self.state.payments if name in self.state.stays)
        void = {one.session: one for one in paid if one.status == "void"}
        gone = [one for name, one in {**void, **before}.items() if name not in after and self._is_news(one, taken)]
        told: Told = []
        for stay in sorted(gone, key=lambda one: one.session):
            vehicle = self.state.root(stay.vehicle)
            none = replace(stay, vehicle=vehicle, status="void", exit_at=None, portal_out=None, confidence=0.0, exits=())
            own = () if stay.session in taken else (stay.session,)
            told += self._amended(stay, replace(none, evidence=(cause,), sessions=own), at, reason)
        for stay in sorted(after.values(), key=_begins):
            known = self.state.stays.get(stay.session)
            told += self._new(stay, at, reason) if known is None else self._changed(known, stay, at, cause, reason)
        return told

    def _taken(self, before: Mapping[SessionId, Stay], after: Mapping[SessionId, Stay]) -> set[SessionId]:
        """Names that are part of a stay when those of ``before`` are as ``after`` says."""
        others = (one for one in self.state.stays.values() if one.session not in before and one.status != "void")
        return {name for one in (*after.values(), *others) for name in one.sessions}

    def _is_news(self, gone: Stay, taken: set[SessionId]) -> bool:
        """Whether there is anything to say of a stay that is none: that it is void, or who has now what was paid for it."""
        if gone.status != "void":
            return True
        return gone.session in self.state.payments and bool(gone.sessions) == (gone.session in taken)

    def _stays_of(self, vehicle: VehicleId) -> list[Stay]:
        names = self.state.names(vehicle)
        merges = [one for one in self.state.merges if one.merged in names]
        return stays_of(vehicle, [self.state.passages.get(name, ()) for name in names], self.state.pins, merges)

    def _new(self, stay: Stay, at: Micros, reason: AmendReason) -> Told:
        if stay.entry_at is None:
            return self._orphaned(stay, at, reason)
        tariff = self._tariffs.held_at(stay.entry_at)
        entry_at, name = stay.entry_at, None if tariff is None else tariff.name
        stay = replace(stay, tariff=name, version=1, said_at=entry_at)
        begun = self._keep(replace(stay, status="open", exit_at=None))
        opened = SessionOpened(
            session=stay.session,
            vehicle=stay.vehicle,
            portal=stay.portal_in,
            entry_at=entry_at,
            confidence=stay.confidence,
            flags=stay.flags,
            evidence=stay.evidence,
            tariff=begun.tariff,
        )
        told: Told = [(entry_at, opened)]
        is_over = stay.status == "closed"
        if stay.pinned_at is not None and (is_over or stay.is_waived):
            return told + self._amended(begun, stay, at, "operator")
        if is_over and stay.pinned_at is None:
            return told + self._closed(begun, stay)
        return told + self._amended(begun, stay, at, reason) if stay.plate or self.state.paid_minor(stay) else told

    def _orphaned(self, stay: Stay, at: Micros, reason: AmendReason) -> Told:
        exit_at, portal = stay.exit_at, stay.portal_out
        assert portal is not None
        assert exit_at is not None
        stay = self._keep(replace(stay, version=1, said_at=exit_at))
        orphaned = SessionOrphaned(
            session=stay.session, vehicle=stay.vehicle, portal=portal, exit_at=exit_at, evidence=stay.evidence
        )
        told: Told = [(exit_at, orphaned)]
        return told + self._amended(stay, stay, at, reason) if self.state.paid_minor(stay) else told

    def _changed(self, known: Stay, stay: Stay, at: Micros, cause: EventId, reason: AmendReason) -> Told:
        stay = replace(stay, tariff=known.tariff, version=known.version, said_at=known.said_at)
        is_same_paid = self.state.paid_minor(stay) == self.state.paid_minor(known)
        if is_same_paid and stay == replace(known, sessions=stay.sessions):
            if stay != known:
                self._keep(stay)
            return []
        is_exit_seen = known.status == "open" and stay.status == "closed" and cause in stay.exits and stay.pinned_at is None
        if is_exit_seen and reason == "late_data":
            return self._closed(known, stay)
        if reason == "late_data" and stay.pinned_at is not None:
            reason = "operator"
        return self._amended(known, stay, at, reason)

    def _closed(self, known: Stay, stay: Stay) -> Told:
        assert stay.exit_at is not None
        stay = self._keep(replace(stay, version=known.version + 1, said_at=max(known.said_at, stay.exit_at)))
        assert stay.entry_at is not None
        assert stay.exit_at is not None
        closed = SessionClosed(
            session=stay.session,
            vehicle=stay.vehicle,
            portal=stay.portal_out,
            entry_at=stay.entry_at,
            exit_at=stay.exit_at,
            confidence=stay.confidence,
            flags=stay.flags,
            evidence=stay.evidence,
            version=stay.version,
            final_at=_final_at(stay),
            **self._price(stay),
        )
        return [(stay.said_at, closed)]

    def _amended(self, known: Stay, stay: Stay, at: Micros, reason: AmendReason) -> Told:
        said_at = max(known.said_at, at)
        stay = self._keep(replace(stay, version=known.version + 1, said_at=said_at))
        amended = SessionAmended(
            session=stay.session,
            vehicle=stay.vehicle,
            version=stay.version,
            status=stay.status,
            was=known.status,
            reason=reason,
            entry_at=stay.entry_at,
            exit_at=stay.exit_at,
            portal_out=stay.portal_out,
            confidence=stay.confidence,
            flags=stay.flags,
            evidence=stay.evidence,
            is_waived=stay.is_waived,
            plate=stay.plate,
            settled_at=self.settled_at(stay) if self.state.payments_of(stay) else None,
            final_at=_final_at(stay),
            **self._price(stay),
        )
        return [(said_at, amended)]

    def _keep(self, stay: Stay) -> Stay:
        self.state = replace(self.state, stays={**self.state.stays, stay.session: stay})
        return stay

    def _price(self, stay: Stay) -> _Price:
        """What a stay costs under the tariff of its entry; nothing is said of one that is not over, or has none."""
        price = _Price(tariff=stay.tariff)
        if payments := self.state.payments_of(stay):
            price |= _Price(currency=payments[-1].currency, paid_minor=sum(one.amount_minor for one in payments))
        if stay.status != "closed" or stay.exit_at is None or (found := self.due(stay, stay.exit_at)) is None:
            return price
        price |= _Price(currency=found.currency, amount_minor=found.amount_minor)
        return price if found.billed_until_at == stay.exit_at else price | _Price(billed_until_at=found.billed_until_at)


def _final_at(stay: Stay) -> Micros | None:
    """From when on nothing but a person, or the repair of late data, changes it; None: a person must look at it first."""
    if stay.status == "void" or stay.exit_at is None:
        return None
    if stay.pinned_at is not None:
        return max(stay.pinned_at, stay.exit_at)
    return None if "unverified" in stay.flags or stay.entry_at is None else stay.exit_at + SETTLE


def _begins(stay: Stay) -> tuple[Micros, SessionId]:
    at = stay.exit_at if stay.entry_at is None else stay.entry_at
    return at or 0, stay.session


def _pair(one: VehicleId, other: VehicleId) -> str:
    """Two names in either order; a name has no space."""
    return " ".join(sorted((one, other)))
