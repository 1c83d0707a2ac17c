"""The ledger as known at a position: every line, in the order in which it was added."""

from __future__ import annotations

from msgspec import Struct

from twin.events.codec import rfc3339
from twin.events.ids import Micros, SessionId, SiteId
from twin.log.port import Log
from twin.projections.moment import FOREVER
from twin.rules.ledger import LedgerLine, LedgerState, post

PAGE = 10_000
_TYPES = ("session.closed.v1", "session.amended.v1", "ledger.closed.v1", "payment.booked.v1")


class LedgerLineView(Struct, frozen=True, kw_only=True):
    """One line; amounts in minor units of ``currency``, negative of a reversal and of what was received.

    Attributes:
        version: of the session, that is charged or taken back, or by which money went from or to another; 0 of a payment.
        kind: charge, reversal, payment, transfer or unassigned; the last is in no session's balance.
        exit_at: when the session ended; of payments, when they were made.
        payment: the payment system's id of what was received.
        adjusts: the closed invoice that this line changes; None: it is still to be invoiced.
        cause: id of the fact that made the line.
    """

    session: str
    version: int
    kind: str
    amount_minor: int
    currency: str
    tariff: str
    exit_at: str
    adjusts: str | None
    cause: str
    fold_version: str
    payment: str | None = None


async def ledger(
    log: Log, site: SiteId, known_at: int, *, until_at: Micros = FOREVER, session: str | None = None
) -> list[LedgerLineView]:
    """Lines (of one session, if named) that facts up to a position made. What was once a line stays one.

    Args:
        until_at: lines of stays that ended, and of payments that were made, until then.
    """
    state, lines, after = LedgerState(), list[LedgerLine](), 0
    while page := await log.facts(site, after=after, limit=PAGE, types=_TYPES):
        for fact in page:
            if fact.position <= known_at:
                state, added = post(state, fact.event)
                lines += added
        after = page[-1].position
        if after >= known_at:
            break
    return [_view(line) for line in lines if session in (None, line.session) and line.exit_at <= until_at]


async def is_named(log: Log, site: SiteId, known_at: int, session: str) -> bool:
    """Whether facts up to a position are about this name; by the index of subjects, where ``ledger`` reads all stays."""
    about = await log.facts_between(
        site, after_at=-FOREVER, until_at=FOREVER, until_position=known_at, subject=session, limit=1
    )
    return bool(about)


def _view(line: LedgerLine) -> LedgerLineView:
    return LedgerLineView(
        session=SessionId(line.session),
        version=line.version,
        kind=line.kind,
        amount_minor=line.amount_minor,
        currency=line.currency,
        tariff=line.tariff,
        exit_at=rfc3339(line.exit_at),
        adjusts=line.adjusts,
        cause=line.cause,
        fold_version=line.fold_version,
        payment=line.payment,
    )
