"""A stay as the book knows it: one version of it for each fact of the twin, or as the twin tells it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from twin.events.codec import micros
from twin.events.facts import Fact, SessionAmended, SessionClosed, SessionOpened, SessionOrphaned, SessionStatus
from twin.events.ids import Micros

TYPES = ("session.opened.v1", "session.closed.v1", "session.orphaned.v1", "session.amended.v1", "payment.booked.v1")
"""What billing subscribes to."""


class Stay(Struct, frozen=True, kw_only=True):
    """One version of a stay.

    Attributes:
        version: 1 when it was first told, 1 more with each fact about it.
        billed_until_at: it was paid then and left in time: it costs what it cost then. None: until its exit.
        is_doubtful: nobody may be billed for it before a person looked at it.
        twin_minor: what it costs by the twin's own tariff; None: nothing is billed there.
        paid_minor: what the twin received for it.
    """

    session: str
    version: int
    status: SessionStatus
    entry_at: Micros | None
    exit_at: Micros | None = None
    billed_until_at: Micros | None = None
    is_doubtful: bool = False
    is_waived: bool = False
    tariff: str = ""
    currency: str = ""
    twin_minor: int | None = None
    paid_minor: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it can be billed: it has an entry and an exit, and stands."""
        return self.status == "closed" and self.entry_at is not None and self.exit_at is not None


def stay_of(fact: Fact | None) -> Stay | None:
    """The version that a fact tells; None where it tells none."""
    match fact:
        case SessionOpened():
            return Stay(session=fact.session, version=1, status="open", entry_at=fact.entry_at, tariff=fact.tariff or "")
        case SessionOrphaned():
            return Stay(session=fact.session, version=1, status="orphan", entry_at=None, exit_at=fact.exit_at)
        case SessionClosed():
            return _billable(fact, status="closed", is_waived=False)
        case SessionAmended():
            return _billable(fact, status=fact.status, is_waived=fact.is_waived)
        case _:
            return None


def stay_told(view: Mapping[str, Any]) -> Stay:
    """A row of ``GET /v1/sites/{site}/sessions``; it does not say until when a stay is billed that was paid before its exit."""
    return Stay(
        session=view["session"],
        version=view["version"],
        status=view["status"],
        entry_at=None if view["entry_at"] is None else micros(view["entry_at"]),
        exit_at=None if view["exit_at"] is None else micros(view["exit_at"]),
        is_doubtful="unverified" in view["flags"] and view["final_at"] is None,
        is_waived=view["is_waived"],
        tariff=view["tariff"] or "",
        currency=view["currency"] or "",
        twin_minor=view["amount_minor"],
        paid_minor=view["paid_minor"],
    )


def _billable(fact: SessionClosed | SessionAmended, *, status: SessionStatus, is_waived: bool) -> Stay:
    return Stay(
        session=fact.session,
        version=fact.version,
        status=status,
        entry_at=fact.entry_at,
        exit_at=fact.exit_at,
        billed_until_at=fact.billed_until_at,
        is_doubtful="unverified" in fact.flags and fact.final_at is None,
        is_waived=is_waived,
        tariff=fact.tariff or "",
        currency=fact.currency or "",
        twin_minor=fact.amount_minor,
        paid_minor=fact.paid_minor,
    )
