"""What is due for a stay at a time: what gates decide by, from facts alone."""

from __future__ import annotations

from msgspec import Struct

from site_models.schema import Site
from twin.events.codec import micros, rfc3339
from twin.events.facts import SessionStatus
from twin.events.ids import Micros
from twin.projections.sessions import SessionView
from twin.rules.settlement import billed_until
from twin.rules.tariff import TariffBook


class DueView(Struct, frozen=True, kw_only=True):
    """One stay as if it ended at ``at``, or as it ended; money in minor units of ``currency``.

    Attributes:
        amount_minor, due_minor, currency: None where nothing is billed: there is no tariff, or it is no stay.
        due_minor: below 0: too much was paid.
        leave_until: all was paid, and it costs no more until then; None: it was not, or that is over.
    """

    session: str
    status: SessionStatus
    at: str
    tariff: str | None
    currency: str | None
    amount_minor: int | None
    paid_minor: int
    due_minor: int | None
    leave_until: str | None


def due_of(view: SessionView, site: Site, at: Micros) -> DueView:
    """What is due; a stay that is over costs what it cost."""
    pricing = TariffBook.of(site.tariffs).named(view.tariff)
    amount, leave_until = view.amount_minor, None
    if view.status == "open" and pricing is not None and view.entry_at is not None:
        entry_at, settled = micros(view.entry_at), None if view.settled_at is None else micros(view.settled_at)
        until = billed_until(pricing, max(at, entry_at), settled)
        amount = 0 if view.is_waived else pricing.amount_minor(entry_at, until)
        if settled is not None and settled <= at <= settled + pricing.exit_us:
            leave_until = rfc3339(settled + pricing.exit_us)
    return DueView(
        session=view.session,
        status=view.status,
        at=rfc3339(at),
        tariff=view.tariff,
        currency=view.currency or (None if amount is None or pricing is None else pricing.currency),
        amount_minor=amount,
        paid_minor=view.paid_minor,
        due_minor=None if amount is None else amount - view.paid_minor,
        leave_until=leave_until,
    )
