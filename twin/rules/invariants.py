"""The billing invariants, found out from facts alone, as they are made: without the rules' state, and without the truth.

Of the twelve (``ops/docs/billing.md``), those about stays and money. That stays equal true visits takes the truth, and is
scored; what holds between vehicles and stalls is checked by the simulation, beside this.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from twin.events.envelope import FactEvent
from twin.events.facts import (
    Fact,
    IdentitiesMerged,
    IdentitiesSplit,
    LedgerClosed,
    PaymentBooked,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionFlag,
    SessionOpened,
    SessionOrphaned,
)
from twin.events.ids import EventId, Micros, PaymentId, PortalId, SessionId, VehicleId
from twin.rules.ledger import LedgerState, post
from twin.rules.passages import UNSURE
from twin.rules.renaming import SAME
from twin.rules.stays import StayStatus
from twin.rules.tariff import Pricing, TariffBook


class Violation(Exception):
    """A promise is broken."""


def must(holds: bool, what: str) -> None:
    """Raise Violation unless it holds."""
    if not holds:
        raise Violation(what)


@dataclass(frozen=True)
class _Stay:
    """A stay as the last fact about it says."""

    vehicle: VehicleId
    status: StayStatus
    version: int
    entry_at: Micros | None
    exit_at: Micros | None
    tariff: str | None = None
    is_decided: bool = False

    def covers(self, at: Micros) -> bool:
        return self.entry_at is not None and self.entry_at <= at and (self.exit_at is None or at <= self.exit_at)


_Told = SessionOpened | SessionClosed | SessionOrphaned | SessionAmended


@dataclass
class Billing:
    """Facts of one site, one by one; ``end_of_cause`` when all facts of one observation are known.

    Args:
        boundaries: portals that open and close stays.
        tariffs: to count amounts again; without them only their form is checked.
    """

    boundaries: frozenset[PortalId]
    tariffs: TariffBook | None = None
    stays: dict[SessionId, _Stay] = field(default_factory=dict[SessionId, _Stay])
    _by_vehicle: dict[VehicleId, set[SessionId]] = field(default_factory=dict[VehicleId, set[SessionId]])
    _kept: dict[VehicleId, VehicleId] = field(default_factory=dict[VehicleId, VehicleId])
    _merges: dict[EventId, VehicleId] = field(default_factory=dict[EventId, VehicleId])  # those that the twin concluded
    _decided: dict[VehicleId, EventId] = field(default_factory=dict[VehicleId, EventId])  # who is another by a person's word
    _undone: set[EventId] = field(default_factory=set[EventId])  # which were taken back by a split
    _entries: dict[SessionId, EventId] = field(default_factory=dict[SessionId, EventId])
    _superseded: set[EventId] = field(default_factory=set[EventId])
    _apart: set[tuple[VehicleId, VehicleId]] = field(default_factory=set[tuple[VehicleId, VehicleId]])
    _crossings: dict[EventId, PortalCrossed] = field(default_factory=dict[EventId, PortalCrossed])
    _crossed_at: dict[EventId, Micros] = field(default_factory=dict[EventId, Micros])
    _waiting: dict[EventId, Micros] = field(default_factory=dict[EventId, Micros])  # crossings of this cause without an answer
    _touched: set[VehicleId] = field(default_factory=set[VehicleId])
    _rests: list[tuple[SessionId, int, EventId, str]] = field(default_factory=list[tuple[SessionId, int, EventId, str]])
    _voided: list[tuple[SessionId, _Stay]] = field(default_factory=list[tuple[SessionId, _Stay]])  # by a merge, in this cause
    _is_retold: bool = False  # stays are made anew in this cause: names became one or two, or a crossing is late or superseded
    _is_crossed: bool = False  # this cause has crossings; without any, a person's decision has stays made anew
    _newest: dict[VehicleId, Micros] = field(default_factory=dict[VehicleId, Micros])
    _counted: Counter[str] = field(default_factory=Counter[str])
    _ledger: LedgerState = field(default_factory=LedgerState)
    _lines: set[tuple[SessionId, int, str]] = field(default_factory=set[tuple[SessionId, int, str]])
    _net: Counter[SessionId] = field(default_factory=Counter[SessionId])
    _moved: Counter[SessionId] = field(default_factory=Counter[SessionId])  # what lines of payments and transfers say
    _invoices: list[tuple[str, Micros]] = field(default_factory=list[tuple[str, Micros]])
    _paid: Counter[SessionId] = field(default_factory=Counter[SessionId])  # what stands on each stay's account
    _received: dict[PaymentId, PaymentBooked] = field(default_factory=dict[PaymentId, PaymentBooked])
    _n_received: int = 0  # in minor units, for stays

    @property
    def merged(self) -> dict[VehicleId, VehicleId]:
        """For each name that is no more, the one that it became."""
        return dict(self._kept)

    @property
    def decided(self) -> set[VehicleId]:
        """Vehicles about whose stays people decided."""
        return {self._root(one.vehicle) for one in self.stays.values() if one.is_decided}

    def check(self, event: FactEvent, where: str) -> None:
        """The next fact; ``where`` names it. Raises Violation."""
        fact = event.payload
        self._is_retold = self._is_retold or bool(event.supersedes)
        self._superseded |= set(event.supersedes)
        for one in event.supersedes:
            self._kept.pop(self._merges.pop(one, VehicleId("")), None)
        match fact:
            case PortalCrossed() if fact.portal in self.boundaries:
                self._crossings[event.id] = fact
                self._crossed_at[event.id] = event.occurred_at
                self._waiting[event.id] = event.occurred_at
                self._is_crossed = True
                self._note_lateness(fact.vehicle, event.occurred_at)
            case IdentitiesMerged():
                self._is_retold = True
                self._note_merge(event.id, fact)
            case IdentitiesSplit():
                self._is_retold = True
                must(fact.split in self._kept, f"{where} splits {fact.split} off, which was not merged")
                vehicle = self._root(fact.split)
                self._apart |= {(vehicle, fact.split), (fact.split, vehicle)}
                self._undone |= {self._decided.pop(fact.split)} if fact.split in self._decided else set()
                del self._kept[fact.split]
            case SessionOpened() | SessionClosed() | SessionOrphaned():
                self._check_crossing(fact, where)
                self._check_told(fact, event.occurred_at, where)
            case SessionAmended():
                self._check_amended(fact, where)
            case PaymentBooked():
                self._check_payment(fact, where)
            case LedgerClosed():
                self._invoices.append((fact.invoice, fact.until_at))
            case _:
                pass
        if isinstance(fact, _Told):
            self._check_doubt(fact, where)
        self._check_ledger(event, where)

    def end_of_cause(self) -> None:
        """What must hold between two observations."""
        for crossing, at in self._waiting.items():
            around = [one for one in self._of(self._root(self._crossings[crossing].vehicle)) if one.covers(at)]
            is_inside = self._crossings[crossing].direction == "in" or any(one.is_decided for one in around)
            is_so = (bool(around) and is_inside) or self.may_be_denied(crossing, at)
            must(is_so, f"crossing {crossing} did nothing to any stay")
        for session, version, crossing, where in self._rests:
            stay = self.stays[session]
            is_its_own = self._root(self._crossings[crossing].vehicle) == self._root(stay.vehicle)
            must(is_its_own or stay.version > version, f"{where} is of {stay.vehicle}, its crossing of another")
        for vehicle in sorted(self._touched):
            self._check_apart(vehicle)
        for session, stay in self._voided:
            self._check_taken_over(session, stay)
        inside = self._counted["opened"] - self._counted["closed"] - self._counted["void"]
        n_open = sum(one.status == "open" for one in self.stays.values())
        must(inside == n_open, f"{inside} more entries than exits, but {n_open} stays are open")
        held = sum(self._paid.values())
        must(held == self._n_received, f"{self._n_received} was received for stays, but {held} is on their accounts")
        self._waiting.clear()
        self._touched.clear()
        self._voided.clear()
        self._rests.clear()
        self._is_retold = self._is_crossed = False

    def may_be_denied(self, crossing: EventId, at: Micros) -> bool:
        """Whether it stands for an exit, of a stay that people decided about, that is none any more."""
        told = self._crossings.get(crossing)
        return (
            told is not None
            and told.direction == "out"
            and any(
                other.direction == "out"
                and other.portal == told.portal
                and one in self._superseded
                and abs(self._crossed_at[one] - at) <= SAME
                and any(stay.is_decided for stay in self._of(self._root(other.vehicle)))
                for one, other in self._crossings.items()
            )
        )

    def _note_merge(self, event: EventId, fact: IdentitiesMerged) -> None:
        """Two names are one from now on, unless a person said that they are two, after whoever said that they are one."""
        vehicle, merged = self._root(fact.vehicle), self._root(fact.merged)
        if vehicle == merged or fact.decision in self._undone:
            return
        if fact.decision is not None:
            self._kept[merged], self._decided[merged] = vehicle, fact.decision
            self._apart -= {(vehicle, merged), (merged, vehicle)}
        elif (vehicle, merged) not in self._apart:
            self._kept[merged], self._merges[event] = vehicle, merged

    def _note_lateness(self, vehicle: VehicleId, at: Micros) -> None:
        """A crossing before one that is known gives all that came after it another meaning."""
        root = self._root(vehicle)
        self._touched.add(root)
        newest = max((self._newest[one] for one in self._newest if self._root(one) == root), default=at)
        self._is_retold = self._is_retold or at < newest
        self._newest[vehicle] = max(self._newest.get(vehicle, at), at)

    def _check_crossing(self, fact: SessionOpened | SessionClosed | SessionOrphaned, where: str) -> None:
        """Each rests on a crossing, of this cause unless all is told anew; whose it is, is known when all of it is told."""
        direction = "in" if isinstance(fact, SessionOpened) else "out"
        pool = self._crossings if self._is_anew(fact.vehicle) else self._waiting
        rests_on = [one for one in fact.evidence if one in pool and self._crossings[one].direction == direction]
        is_enough = len(rests_on) == 1 if pool is self._waiting else len(rests_on) >= 1
        must(is_enough, f"{where} rests on {len(rests_on)} crossings")
        for one in rests_on:
            is_its_own = self._root(self._crossings[one].vehicle) == fact.vehicle
            must(is_its_own or self._is_retold, f"{where} is of {fact.vehicle}, its crossing of another")
            self._rests.append((fact.session, fact.version if isinstance(fact, SessionClosed) else 1, one, where))
            self._waiting.pop(one, None)

    def _is_anew(self, vehicle: VehicleId) -> bool:
        """Its stays may be made anew in this cause, from crossings of earlier ones."""
        return self._is_retold or not self._is_crossed or any(one.is_decided for one in self._of(vehicle))

    def _check_told(self, fact: SessionOpened | SessionClosed | SessionOrphaned, at: Micros, where: str) -> None:
        known = self.stays.get(fact.session)
        match fact:
            case SessionOpened():
                is_open = not self._is_anew(fact.vehicle) and any(one.status == "open" for one in self._of(fact.vehicle))
                must(not is_open, f"{where} opens a second stay of {fact.vehicle}")
                must(known is None, f"{where} opens {fact.session} again")
                self._entries[fact.session] = next(one for one in fact.evidence if one in self._crossings)
                must(fact.entry_at == at, f"{where} opened at {at} says {fact.entry_at}")
                self._set(fact.session, _Stay(fact.vehicle, "open", 1, fact.entry_at, None, fact.tariff))
                self._counted["opened"] += 1
            case SessionClosed():
                must(known is not None and known.status == "open", f"{where} closes a stay of {fact.vehicle}, which has none")
                assert known is not None
                must(known.entry_at == fact.entry_at, f"{where} has another entry time than its stay")
                must(fact.exit_at >= fact.entry_at, f"{where}: a stay of {fact.exit_at - fact.entry_at} us")
                is_told_later = (known.version > 1 or fact.session in self._paid) and fact.exit_at < at
                is_sure = fact.exit_at == at or "unverified" in fact.flags or is_told_later
                must(is_sure, f"{where}: the exit is not the crossing's, and nothing says so")
                must(fact.version == known.version + 1, f"{where} is version {fact.version}, after {known.version}")
                closed = _Stay(fact.vehicle, "closed", fact.version, fact.entry_at, fact.exit_at, fact.tariff)
                self._check_price(fact, known, False, where)
                self._set(fact.session, closed)
                self._counted["closed"] += 1
            case SessionOrphaned():
                is_open = not self._is_anew(fact.vehicle) and any(one.status == "open" for one in self._of(fact.vehicle))
                must(not is_open, f"{where}: the exit of {fact.vehicle} is an orphan, though its stay is open")
                must(known is None, f"{where} tells {fact.session} again")
                self._set(fact.session, _Stay(fact.vehicle, "orphan", 1, None, fact.exit_at))

    def _check_amended(self, fact: SessionAmended, where: str) -> None:
        known = self.stays.get(fact.session)
        must(known is not None, f"{where} amends {fact.session}, which there is not")
        assert known is not None
        must(fact.version == known.version + 1, f"{where} is version {fact.version}, after {known.version}")
        must(fact.was == known.status, f"{where} says that it was {fact.was}, but it was {known.status}")
        must(fact.entry_at == known.entry_at, f"{where} moves an entry")
        must(fact.exit_at is None or fact.exit_at >= (fact.entry_at or fact.exit_at), f"{where}: a stay of less than nothing")
        is_told = fact.reason not in ("identities_merged", "identities_split") or self._is_retold
        must(is_told, f"{where} is for {fact.reason}, and no fact of its cause says so")
        self._check_price(fact, known, fact.is_waived, where)
        for one in fact.evidence:
            self._waiting.pop(one, None)
        if fact.status == "void" and fact.reason == "identities_merged" and known.entry_at is not None:
            self._voided.append((fact.session, known))
        if fact.entry_at is not None:
            self._counted[fact.was] -= 1
            self._counted[fact.status] += 1
        is_decided = known.is_decided or fact.reason == "operator"
        stay = _Stay(fact.vehicle, fact.status, fact.version, fact.entry_at, fact.exit_at, fact.tariff, is_decided)
        self._set(fact.session, stay)

    def _check_price(self, fact: SessionClosed | SessionAmended, known: _Stay, is_waived: bool, where: str) -> None:
        must(fact.tariff == known.tariff, f"{where} has tariff {fact.tariff}, its entry had {known.tariff}")
        has_amount = fact.amount_minor is not None
        must(not has_amount or type(fact.amount_minor) is int, f"{where}: an amount of {fact.amount_minor!r}")
        is_of_money = has_amount or fact.paid_minor != 0
        must(is_of_money == (fact.currency is not None), f"{where}: amount {fact.amount_minor} of currency {fact.currency}")
        pricing = None if self.tariffs is None else self.tariffs.named(fact.tariff)
        is_over = fact.exit_at is not None and fact.entry_at is not None
        if pricing is not None and is_over and (isinstance(fact, SessionClosed) or fact.status == "closed"):
            assert fact.entry_at is not None
            assert fact.exit_at is not None
            until = fact.exit_at if fact.billed_until_at is None else self._settled_at(fact, pricing, where)
            amount = 0 if is_waived else pricing.amount_minor(fact.entry_at, until)
            must(fact.amount_minor == amount, f"{where} costs {fact.amount_minor}, its tariff says {amount}")
        must(is_over or not has_amount, f"{where} costs {fact.amount_minor}, and is not over")

    def _settled_at(self, fact: SessionClosed | SessionAmended, pricing: Pricing, where: str) -> Micros:
        """Until when a stay is billed that ended later: nothing was due then, and it left in time."""
        until = fact.billed_until_at
        assert until is not None
        assert fact.entry_at is not None
        assert fact.exit_at is not None
        is_in_time = fact.entry_at <= until < fact.exit_at <= until + pricing.exit_us
        must(is_in_time, f"{where} is billed until {until}, and ended at {fact.exit_at}")
        paid = sum(one.amount_minor for one in self._received.values() if one.paid_at <= until)
        must(paid >= pricing.amount_minor(fact.entry_at, until), f"{where} is billed until {until}, when it was not paid")
        return until

    def _check_payment(self, fact: PaymentBooked, where: str) -> None:
        """Each is booked once, to a stay that is known and in its currency, and no account has more than was received."""
        is_known = fact.payment in self._received
        must(is_known == (fact.fate == "already_booked"), f"{where}: {fact.fate}, but {fact.payment} was known: {is_known}")
        self._received.setdefault(fact.payment, fact)
        if fact.fate in ("credited", "no_stay"):
            must(fact.session in self.stays, f"{where} is for {fact.session}, which there is not")
            self._n_received += fact.amount_minor
            self._paid[fact.session] += fact.amount_minor
            must(fact.paid_minor == self._paid[fact.session], f"{where}: {fact.paid_minor} was paid for {fact.session}")

    def _check_doubt(self, fact: Fact, where: str) -> None:
        """A stay that rests on a crossing in doubt says so."""
        if not isinstance(fact, SessionOpened | SessionClosed | SessionAmended):
            return
        if isinstance(fact, SessionAmended) and fact.status in ("void", "orphan"):
            return
        rests_on = [self._crossings[one] for one in fact.evidence if one in self._crossings]
        flags: set[SessionFlag] = {flag for one in rests_on for flag in one.flags}
        is_in_doubt = bool(flags) or any(one.certainty < UNSURE for one in rests_on)
        must(not is_in_doubt or "unverified" in fact.flags, f"{where} rests on a crossing in doubt, and does not say so")

    def _check_apart(self, vehicle: VehicleId) -> None:
        """At most one stay at any time, so at most one is open, and no minute is billed twice; all under its present name."""
        stays = sorted(
            (one for one in self._of(vehicle) if one.entry_at is not None and one.status != "void"),
            key=lambda one: (one.entry_at or 0, one.exit_at is None, one.exit_at or 0),
        )
        must(not stays or self._root(vehicle) == vehicle, f"{vehicle}, which is {self._root(vehicle)}, has stays of its own")
        for one, after in pairwise(stays):
            is_over = one.exit_at is not None and after.entry_at is not None and one.exit_at <= after.entry_at
            must(is_over, f"two stays of {vehicle} at once: {one.entry_at} to {one.exit_at}, and from {after.entry_at}")

    def _check_taken_over(self, session: SessionId, stay: _Stay) -> None:
        """Both ends of a stay that a merge made void are in stays that stand, or the exit is an orphan: nothing is lost.

        Unless its entry is none any more.
        """
        assert stay.entry_at is not None
        if self._entries[session] in self._superseded:
            return
        its = [one for one in self._of(self._root(stay.vehicle)) if one.status != "void"]
        must(any(one.covers(stay.entry_at) for one in its), f"no stay takes over from {session}, which is void")
        end = stay.exit_at
        is_told = end is None or any(one.covers(end) or (one.status == "orphan" and one.exit_at == end) for one in its)
        is_decided = any(one.is_decided for one in self._of(self._root(stay.vehicle)))
        must(is_told or is_decided, f"the exit at {end} of {session}, which is void, is in no other stay")

    def _check_ledger(self, event: FactEvent, where: str) -> None:
        """Each version is charged once and taken back once; what stands is what the latest version costs."""
        self._ledger, lines = post(self._ledger, event)
        for line in lines:
            key = (line.session, line.version, line.payment or line.kind)
            must(key not in self._lines, f"{where} makes a second {line.kind} of version {line.version} of {line.session}")
            must(bool(line.cause and line.fold_version), f"{where} makes a line that names no cause")
            if line.kind in ("charge", "reversal"):
                must(bool(line.tariff), f"{where} makes a line that names no tariff")
                invoice = next((name for name, until_at in self._invoices if line.exit_at <= until_at), None)
                must(line.adjusts == invoice, f"{where} changes invoice {invoice}, which is closed, and does not say so")
            self._lines.add(key)
            if line.kind in ("charge", "reversal"):
                self._net[line.session] += line.amount_minor
            elif line.kind != "unassigned":
                self._moved[line.session] -= line.amount_minor
        fact = event.payload
        if isinstance(fact, SessionClosed | SessionAmended):
            amount = fact.amount_minor or 0
            must(
                self._net[fact.session] == amount, f"{where}: the ledger has {self._net[fact.session]}, the stay costs {amount}"
            )
            self._paid[fact.session] = fact.paid_minor
        if isinstance(fact, SessionClosed | SessionAmended | PaymentBooked):
            moved = self._moved[fact.session]
            must(moved == self._paid[fact.session], f"{where}: the ledger has {moved} paid, not {self._paid[fact.session]}")

    def _set(self, session: SessionId, stay: _Stay) -> None:
        before = self.stays.get(session)
        if before is not None:
            self._by_vehicle[before.vehicle].discard(session)
        self.stays[session] = stay
        self._by_vehicle.setdefault(stay.vehicle, set()).add(session)
        self._touched.add(stay.vehicle)

    def _of(self, vehicle: VehicleId) -> list[_Stay]:
        return [self.stays[one] for one in sorted(self._by_vehicle.get(vehicle, ()))]

    def _root(self, vehicle: VehicleId) -> VehicleId:
        while vehicle in self._kept:
            vehicle = self._kept[vehicle]
        return vehicle
