"""The ledger: what stays cost and what was paid, as lines that are only ever added. A pure fold of facts, in the log's order.

A version of a stay that costs something is one charge; the version after it takes the charge back with a reversal, and
charges anew if there is anything to charge. So what stands is what the latest version of each stay costs. A payment is a
negative line; where another stay takes over what was paid for one, two transfers say so. The sum of all of a stay's lines
is its balance: what is still due, or, below 0, what is to be paid back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from twin.events.envelope import FactEvent
from twin.events.facts import LedgerClosed, PaymentBooked, SessionAmended, SessionClosed
from twin.events.ids import EventId, Micros, PaymentId, SessionId

LineKind = Literal["charge", "reversal", "payment", "transfer", "unassigned"]


class LedgerLine(Struct, frozen=True, kw_only=True):
    """One line. A version is charged once at most, and taken back once at most; a payment is booked once.

    Attributes:
        version: of the stay, that is charged or taken back, or by which a payment went from or to another; 0 of a payment.
        kind: "unassigned": money that was received for no stay, under the session that was named; it is in no balance.
        amount_minor: negative of a reversal, and of what was received.
        tariff: empty of payments.
        exit_at: when the stay ended, and the invoice that it belongs to depends on it; of payments, when they were made.
        adjusts: the closed invoice that a charge or reversal changes; None: it is still to be invoiced.
        cause: the fact that made the line.
        payment: the one that was received.
    """

    session: SessionId
    version: int
    kind: LineKind
    amount_minor: int
    currency: str
    tariff: str
    exit_at: Micros
    adjusts: str | None
    cause: EventId
    fold_version: str
    payment: PaymentId | None = None


class LedgerState(Struct, frozen=True):
    """What the next line depends on: standing charges, what was received in which currency, and closed invoices in order."""

    charges: dict[SessionId, LedgerLine] = field(default_factory=dict[SessionId, LedgerLine])
    paid: dict[SessionId, tuple[int, str]] = field(default_factory=dict[SessionId, tuple[int, str]])
    invoices: tuple[tuple[str, Micros], ...] = ()

    def invoice_of(self, exit_at: Micros) -> str | None:
        """The closed invoice that a stay belongs to which ended then; None: that one is not closed yet."""
        return next((invoice for invoice, until_at in self.invoices if exit_at <= until_at), None)


def post(state: LedgerState, event: FactEvent) -> tuple[LedgerState, tuple[LedgerLine, ...]]:
    """The lines that a fact adds; the given state is left as it was."""
    match fact := event.payload:
        case LedgerClosed():
            return replace(state, invoices=(*state.invoices, (fact.invoice, fact.until_at))), ()
        case PaymentBooked():
            return _received(state, event, fact)
        case SessionClosed() | SessionAmended():
            charged, lines = _charged(state, event, fact)
            return _transferred(charged, event, fact, lines)
        case _:
            return state, ()


def _charged(
    state: LedgerState, event: FactEvent, fact: SessionClosed | SessionAmended
) -> tuple[LedgerState, tuple[LedgerLine, ...]]:
    lines = list[LedgerLine]()
    charges = dict(state.charges)
    if (charged := charges.pop(fact.session, None)) is not None:
        invoice, amount = state.invoice_of(charged.exit_at), -charged.amount_minor
        source = {"cause": event.id, "fold_version": event.fold_version}
        lines.append(replace(charged, kind="reversal", amount_minor=amount, adjusts=invoice, **source))
    if fact.amount_minor is not None and fact.exit_at is not None:
        charges[fact.session] = LedgerLine(
            session=fact.session,
            version=fact.version,
            kind="charge",
            amount_minor=fact.amount_minor,
            currency=fact.currency or "",
            tariff=fact.tariff or "",
            exit_at=fact.exit_at,
            adjusts=state.invoice_of(fact.exit_at),
            cause=event.id,
            fold_version=event.fold_version,
        )
        lines.append(charges[fact.session])
    return replace(state, charges=charges) if lines else state, tuple(lines)


def _received(state: LedgerState, event: FactEvent, fact: PaymentBooked) -> tuple[LedgerState, tuple[LedgerLine, ...]]:
    if fact.fate == "already_booked":
        return state, ()
    is_held = fact.fate in ("credited", "no_stay")
    line = _of_money(event, fact.session, "payment" if is_held else "unassigned", fact.amount_minor, fact.currency)
    line = replace(line, exit_at=fact.paid_at, payment=fact.payment)
    if not is_held:
        return state, (line,)
    before, _ = state.paid.get(fact.session, (0, fact.currency))
    return replace(state, paid={**state.paid, fact.session: (before + fact.amount_minor, fact.currency)}), (line,)


def _transferred(
    state: LedgerState, event: FactEvent, fact: SessionClosed | SessionAmended, lines: tuple[LedgerLine, ...]
) -> tuple[LedgerState, tuple[LedgerLine, ...]]:
    """What a stay has gained or lost of what was paid, because it is part of another now, or no longer."""
    known, currency = state.paid.get(fact.session, (0, ""))
    if fact.paid_minor == known:
        return state, lines
    currency = fact.currency or currency
    line = _of_money(event, fact.session, "transfer", fact.paid_minor - known, currency)
    paid = {**state.paid, fact.session: (fact.paid_minor, currency)}
    return replace(state, paid=paid), (*lines, replace(line, version=fact.version))


def _of_money(event: FactEvent, session: SessionId, kind: LineKind, received_minor: int, currency: str) -> LedgerLine:
    return LedgerLine(
        session=session,
        version=0,
        kind=kind,
        amount_minor=-received_minor,
        currency=currency,
        tariff="",
        exit_at=event.occurred_at,
        adjusts=None,
        cause=event.id,
        fold_version=event.fold_version,
    )


def net_minor(lines: Iterable[LedgerLine]) -> dict[tuple[SessionId, str], int]:
    """What stands for each stay, by currency: what it costs, whatever was paid."""
    return _sums(line for line in lines if line.kind in ("charge", "reversal"))


def balance_minor(lines: Iterable[LedgerLine]) -> dict[tuple[SessionId, str], int]:
    """What is still due for each stay, by currency; below 0: what is to be paid back."""
    return _sums(line for line in lines if line.kind != "unassigned")


def _sums(lines: Iterable[LedgerLine]) -> dict[tuple[SessionId, str], int]:
    sums: dict[tuple[SessionId, str], int] = {}
    for line in lines:
        key = (line.session, line.currency)
        sums[key] = sums.get(key, 0) + line.amount_minor
    return sums
