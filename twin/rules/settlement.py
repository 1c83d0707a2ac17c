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
        billed_until_at: earlier than the time where all was paid then, and the time to leave is not over.
    """

    amount_minor: int
    paid_minor: int
    currency: str
    billed_until_at: Micros

    @property
    def due_minor(self) -> int:
        """What is still to be paid; less than 0: too much was."""
        return self.amount_minor - self.paid_minor


def due(pricing: Pricing, entry_at: Micros, at: Micros, payments: Iterable[Payment]) -> Due:
    """What is due for a stay that ends at ``at``, which is not before ``entry_at``."""
    known = sorted(payments, key=lambda one: (one.at, one.payment))
    until = billed_until(pricing, entry_at, at, known)
    paid = sum(one.amount_minor for one in known)
    return Due(pricing.amount_minor(entry_at, until), paid, pricing.currency, until)


def billed_until(pricing: Pricing, entry_at: Micros, at: Micros, payments: Iterable[Payment]) -> Micros:
    """Until when a stay that ends at ``at`` is billed: then, or the last time before at which nothing was left to pay.

    Args:
        payments: in the order of their times. What is paid before anything costs leaves the time to leave as it is.
    """
    paid, settled_at = 0, None
    for one in payments:
        paid_at = max(one.at, entry_at)
        if paid_at > at:
            break
        paid += one.amount_minor
        if 0 < pricing.amount_minor(entry_at, paid_at) <= paid:
            settled_at = paid_at
    return settled_at if settled_at is not None and at - settled_at <= pricing.exit_us else at
