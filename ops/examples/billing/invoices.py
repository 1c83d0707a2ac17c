"""Invoices: what is closed stays closed. Later changes of a stay that is on one are adjustments on the account's next one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, func, select, update

from ops.examples.billing.book import account_of, move_all_money, stay_in
from ops.examples.billing.schema import carried, closings, invoices, lines, reviews, versions
from ops.examples.billing.stay import Stay
from twin.errors import BadInput
from twin.events.codec import rfc3339
from twin.events.ids import Micros


class Line(Struct, frozen=True, kw_only=True):
    """One line of an invoice.

    Attributes:
        kind: charge, reversal, payment, or transfer: money that went along with a stay into another one, or to another account.
        amount_minor: below 0 of what was taken back, and of what was paid.
        adjusts: the earlier invoice that this line corrects.
    """

    session: str
    kind: str
    amount_minor: int
    terms: str
    adjusts: str | None


class Invoice(Struct, frozen=True, kw_only=True):
    """What one account owes of one period; ``total_minor`` is the sum of its lines: below 0, it is to be paid back.

    Attributes:
        carried: stays that are not on it yet: still open, or held until a person looked at them.
    """

    invoice: str
    period: str
    account: str
    currency: str
    total_minor: int
    lines: tuple[Line, ...]
    carried: Mapping[str, str]


def close(
    connection: Connection,
    period: str,
    until_at: Micros,
    now: Micros,
    *,
    is_caught_up: bool = False,
    holds_doubtful: bool = True,
) -> list[Invoice]:
    """Invoice what ended by ``until_at`` and is on no invoice, and what changed in stays that are; once a period.

    Closing a period again gives the invoices that it has.

    Args:
        is_caught_up: the twin said at ``now`` or later that the book has all of its facts; else only the entries and exits that
            the book has tell how far it is.

    Raises:
        BadInput: the period was closed until another time, or a later one was; or its end is in the future, or later than what
            the book knows of.
    """
    known = connection.execute(select(closings).where(closings.c.period == period)).first()
    if known is not None:
        if known.until_at != until_at:
            raise BadInput(f"period '{period}' was closed with another end; what is closed stays so, close a new period")
        return of_period(connection, period)
    if until_at > now:
        raise BadInput(
            f"the end of period '{period}', {rfc3339(until_at)}, is in the future: it is {rfc3339(now)}; "
            "read --until again, or close the period when it is over"
        )
    # An end that was in the future is a slip that earlier releases took: it holds up no other one.
    in_order = (closings.c.until_at <= closings.c.closed_at) | (closings.c.until_at == until_at)
    latest = connection.scalar(select(func.max(closings.c.until_at)).where(in_order))
    if latest is not None and latest >= until_at:
        raise BadInput(f"a period that ends at or after the end of '{period}' is closed; periods are closed in order")
    if not is_caught_up:
        _must_reach(connection, period, until_at)
    connection.execute(closings.insert().values(period=period, until_at=until_at, closed_at=now))
    move_all_money(connection)
    _put_on_invoices(connection, period, until_at, holds_doubtful=holds_doubtful)
    return of_period(connection, period)


def reached_at(connection: Connection) -> Micros | None:
    """The latest entry or exit that the book knows of; None: it knows of none."""
    found = connection.execute(select(func.max(versions.c.entry_at), func.max(versions.c.exit_at))).one()
    return max((at for at in found if at is not None), default=None)


def _must_reach(connection: Connection, period: str, until_at: Micros) -> None:
    reached = reached_at(connection)
    if reached is None or reached < until_at:
        far = "knows of no stay yet" if reached is None else f"is as far as {rfc3339(reached)}, its latest entry or exit"
        raise BadInput(
            f"the book {far}, and period '{period}' ends at {rfc3339(until_at)}; wait until `run` has followed to there, "
            "or give --site, so that the twin says whether the book has all there is"
        )


def of_period(connection: Connection, period: str) -> list[Invoice]:
    """The invoices of a closed period, by account."""
    found = connection.execute(select(invoices).where(invoices.c.period == period).order_by(invoices.c.invoice))
    return [_read(connection, row) for row in found.all()]


def is_held(connection: Connection, stay: Stay) -> bool:
    """Whether a person must look at a stay before it is invoiced."""
    if not (stay.is_doubtful and stay.is_over):
        return False
    reviewed = select(reviews.c.author).where(reviews.c.session == stay.session, reviews.c.version == stay.version)
    return connection.execute(reviewed).first() is None


def _put_on_invoices(connection: Connection, period: str, until_at: Micros, *, holds_doubtful: bool) -> None:
    invoiced = _invoiced(connection)
    due: defaultdict[tuple[str, str], list[tuple[Row[Any], str | None]]] = defaultdict(list)
    waiting = _waiting(connection)
    for stay in _stays(connection, until_at):
        held = holds_doubtful and is_held(connection, stay)
        account, adjusts = account_of(connection, stay.session), invoiced.get(stay.session)
        if held or (stay.status == "open" and adjusts is None):
            why = "held" if held else "open"
            connection.execute(carried.insert().values(period=period, session=stay.session, account=account, why=why))
            continue
        if stay.is_over and adjusts is None and (stay.exit_at or 0) > until_at:
            continue
        for line in waiting.get(stay.session, ()):
            due[line.account, line.currency].append((line, adjusts))
    for (account, currency), found in sorted(due.items()):
        _make(connection, period, account, currency, found)


def _make(connection: Connection, period: str, account: str, currency: str, due: Iterable[tuple[Row[Any], str | None]]) -> None:
    name, total = f"{period}/{account}/{currency}", 0
    for line, adjusts in due:
        corrected = adjusts if line.kind in ("charge", "reversal") else None
        stamped = {"invoice": name, "adjusts": corrected}
        connection.execute(update(lines).where(lines.c.n == line.n, lines.c.invoice.is_(None)).values(stamped))
        total += line.amount_minor
    row = {"invoice": name, "period": period, "account": account, "currency": currency, "total_minor": total}
    connection.execute(invoices.insert().values(row))


def _invoiced(connection: Connection) -> dict[str, str]:
    """The first invoice that a stay's charge is on, by stay."""
    on_one = select(lines.c.session, lines.c.invoice).where(lines.c.invoice.is_not(None), lines.c.kind == "charge")
    found: dict[str, str] = {}
    for row in connection.execute(on_one.order_by(lines.c.n)):
        found.setdefault(row.session, row.invoice)
    return found


def _waiting(connection: Connection) -> dict[str, list[Row[Any]]]:
    found: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    wanted = select(lines).where(lines.c.invoice.is_(None), lines.c.kind != "unassigned").order_by(lines.c.n)
    for row in connection.execute(wanted):
        found[row.session].append(row)
    return found


def _stays(connection: Connection, until_at: Micros) -> list[Stay]:
    """The last version of every stay that has lines on no invoice, or is open at a time."""
    newest = select(versions.c.session, func.max(versions.c.version).label("version")).group_by(versions.c.session).subquery()
    latest = select(versions).join(newest, (versions.c.session == newest.c.session) & (versions.c.version == newest.c.version))
    is_waiting = select(lines.c.n).where(lines.c.session == versions.c.session, lines.c.invoice.is_(None)).exists()
    is_open = (versions.c.status == "open") & (versions.c.entry_at <= until_at)
    wanted = latest.where(is_waiting | is_open).order_by(versions.c.entry_at, versions.c.session)
    return [stay_in(row) for row in connection.execute(wanted).all()]


def _read(connection: Connection, row: Row[Any]) -> Invoice:
    wanted = select(lines).where(lines.c.invoice == row.invoice).order_by(lines.c.n)
    of_account = (carried.c.period == row.period, carried.c.account == row.account)
    return Invoice(
        invoice=row.invoice,
        period=row.period,
        account=row.account,
        currency=row.currency,
        total_minor=row.total_minor,
        lines=tuple(
            Line(session=line.session, kind=line.kind, amount_minor=line.amount_minor, terms=line.terms, adjusts=line.adjusts)
            for line in connection.execute(wanted)
        ),
        carried={one.session: one.why for one in connection.execute(select(carried).where(*of_account))},
    )
