"""The ledger: what stays cost, as lines that are only ever added. A pure fold of facts in the order of the fact log.

A version of a stay that costs something is one charge; the version after it takes the charge back with a reversal, and
charges anew if there is anything to charge. So what stands is what the latest version of each stay costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from twin.events.envelope import FactEvent
from twin.events.facts import LedgerClosed, SessionAmended, SessionClosed
from twin.events.ids import EventId, Micros, SessionId


class LedgerLine(Struct, frozen=True, kw_only=True):
    """One line. (session, version, kind) is unique: a version is charged once at most, and taken back once at most.

    Attributes:
        version: of the stay, that is charged or taken back.
        amount_minor: of a reversal, negative.
        exit_at: when the stay ended; the invoice that it belongs to depends on it.
        adjusts: the closed invoice that this line changes; None: it is still to be invoiced.
        cause: the fact that made the line.
    """

    session: SessionId
    version: int
    kind: Literal["charge", "reversal"]
    amount_minor: int
    currency: str
    tariff: str
    exit_at: Micros
    adjusts: str | None
    cause: EventId
    fold_version: str


class LedgerState(Struct, frozen=True):
    """What the next line depends on: the charge that stands for each stay, and closed invoices in order of closing."""

    charges: dict[SessionId, LedgerLine] = field(default_factory=dict[SessionId, LedgerLine])
    invoices: tuple[tuple[str, Micros], ...] = ()

    def invoice_of(self, exit_at: Micros) -> str | None:
        """The closed invoice that a stay belongs to which ended then; None: that one is not closed yet."""
        return next((invoice for invoice, until_at in self.invoices if exit_at <= until_at), None)


def post(state: LedgerState, event: FactEvent) -> tuple[LedgerState, tuple[LedgerLine, ...]]:
    """The lines that a fact adds; the given state is left as it was."""
    fact = event.payload
    if isinstance(fact, LedgerClosed):
        return replace(state, invoices=(*state.invoices, (fact.invoice, fact.until_at))), ()
    if not isinstance(fact, SessionClosed | SessionAmended):
        return state, ()
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


def net_minor(lines: Iterable[LedgerLine]) -> dict[tuple[SessionId, str], int]:
    """What stands for each stay, by currency."""
    net: dict[tuple[SessionId, str], int] = {}
    for line in lines:
        key = (line.session, line.currency)
        net[key] = net.get(key, 0) + line.amount_minor
    return net
