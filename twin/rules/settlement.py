"""What was paid for a stay, until when it is billed, and what is still due. Integers only."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from twin.events.ids import EventId, Micros, PaymentId
from twin.rules.tariff import Pricing


class Payment(Struct, frozen=True, array_like=True):
    """Money that was received for a stay; ``at`` is the payment system's time."""

    payment: PaymentId
    at: Micros
    amount_minor: int
    currency: str
    observation: EventId


class Due(Struct, frozen=True):
    """What a stay costs if it ends at a time, and what of that is paid.

    Attributes:
        settled_at: when last nothing was left to pay; None: never.
        billed_until_at: that time, while the time to leave is not over; else the end.
    """

    amount_minor: int
    paid_minor: int
    currency: str
    settled_at: Micros | None
    billed_until_at: Micros

    @property
    def due_minor(self) -> int:
        """What is still to be paid; less than 0: too much was."""
        return self.amount_minor - self.paid_minor


def due(pricing: Pricing, entry_at: Micros, at: Micros, payments: Iterable[Payment]) -> Due:
    """What is due for a stay that ends at ``at``, which is not before ``entry_at``."""
    known = sorted(payments, key=lambda one: (one.at, one.payment))
    settled = settled_at(pricing, entry_at, at, known)
    until = billed_until(pricing, at, settled)
    paid = sum(one.amount_minor for one in known)
    return Due(pricing.amount_minor(entry_at, until), paid, pricing.currency, settled, until)


def billed_until(pricing: Pricing, at: Micros, settled: Micros | None) -> Micros:
    """Until when a stay that ends at ``at`` is billed, if nothing was left to pay at ``settled``."""
    return settled if settled is not None and settled <= at <= settled + pricing.exit_us else at


def settled_at(pricing: Pricing, entry_at: Micros, at: Micros, payments: Iterable[Payment]) -> Micros | None:
    """When, up to ``at``, a payment last left nothing to pay; what is paid before anything costs does not count as such.

    Args:
        payments: in the order of their times.
    """
    paid, settled = 0, None
    for one in payments:
        paid_at = max(one.at, entry_at)
        if paid_at > at:
            break
        paid += one.amount_minor
        if 0 < pricing.amount_minor(entry_at, paid_at) <= paid:
            settled = paid_at
    return settled
