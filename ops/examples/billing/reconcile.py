"""Is the book what the twin says? Both as of one position of the fact log, stay by stay."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import httpx2
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, func, select

from ops.examples.billing.book import Book, stay_in
from ops.examples.billing.schema import lines, versions
from ops.examples.billing.stay import Stay, stay_told
from ops.examples.service import asked
from twin.errors import BadInput

Kind = Literal["missing", "unknown", "doubled", "different"]
_MOST = "1000000"  # stays and lines of one answer
_CHARGES = ("charge", "reversal")


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong with one stay.

    Attributes:
        kind: "missing": the twin has it and the book has not; "unknown": the other way round; "doubled": something is
            charged or received twice; "different": they say different things.
    """

    kind: Kind
    session: str
    what: str
    book: str
    twin: str

    def text(self) -> str:
        """For a person."""
        return f"{self.kind}: {self.session}: {self.what}: {self.book} in the book, {self.twin} at the twin"


class Sums(Struct, frozen=True, kw_only=True):
    """What one side has of a stay: standing charges and money received, in minor units by currency."""

    charged: Mapping[str, int] = {}
    received: Mapping[str, int] = {}
    n_standing: int = 0
    payments: tuple[str, ...] = ()


class Side(Struct, frozen=True, kw_only=True):
    """What one side knows at a position."""

    stays: Mapping[str, Stay]
    sums: Mapping[str, Sums]


class Report(Struct, frozen=True, kw_only=True):
    """The outcome.

    Attributes:
        n_parked: facts that could not be entered into the book and wait for a person; the comparison ends before them.
    """

    site: str
    position: int
    n_stays: int
    charged_minor: Mapping[str, int]
    received_minor: Mapping[str, int]
    findings: tuple[Finding, ...]
    n_parked: int = 0
    schema: str = "billing.reconciliation/1"

    @property
    def is_equal(self) -> bool:
        """Whether the book is what the twin says, and nothing waits for a person before it can be entered."""
        return not self.findings and self.n_parked == 0

    def count(self, kind: Kind) -> int:
        """How many findings of a kind there are."""
        return sum(one.kind == kind for one in self.findings)

    def text(self) -> str:
        """For a person."""
        counts = ", ".join(f"{self.count(kind)} {kind}" for kind in ("missing", "unknown", "doubled", "different"))
        head = f"{self.site} at position {self.position}: {self.n_stays} stays, {counts}"
        money = f"charged {_money(self.charged_minor)}, received {_money(self.received_minor)}"
        parked = [f"{self.n_parked} facts are parked, and nothing after them is compared"] if self.n_parked else []
        return "\n".join([head, money, *parked, *(one.text() for one in self.findings)])


def compared(book: Side, twin: Side, owed: Mapping[str, Mapping[str, int]]) -> tuple[Finding, ...]:
    """Every difference.

    Args:
        owed: by stay, what the book should charge for what the twin says of it, by currency.
    """
    found: list[Finding] = []
    for session in sorted(twin.stays.keys() | book.stays.keys()):
        ours, theirs = book.stays.get(session), twin.stays.get(session)
        if ours is None or theirs is None:
            kind: Kind = "missing" if ours is None else "unknown"
            found.append(
                _finding(kind, session, "the stay", "there" if ours else "not there", "there" if theirs else "not there")
            )
            continue
        found += _of_stay(ours, theirs)
    for session in sorted(book.sums.keys() | twin.sums.keys() | owed.keys()):
        ours, theirs = book.sums.get(session, Sums()), twin.sums.get(session, Sums())
        found += _of_money(session, ours, theirs, owed.get(session, {}))
    return tuple(found)


def sums_of(rows: Iterable[tuple[str, str, int, str, str]]) -> dict[str, Sums]:
    """Lines (session, kind, amount, currency, payment) added up by stay."""
    charged: defaultdict[str, Counter[str]] = defaultdict(Counter)
    received: defaultdict[str, Counter[str]] = defaultdict(Counter)
    standing, payments = Counter[str](), defaultdict[str, list[str]](list)
    for session, kind, amount, currency, payment in rows:
        (charged if kind in _CHARGES else received)[session][currency] += amount
        standing[session] += {"charge": 1, "reversal": -1}.get(kind, 0)
        if payment:
            payments[session].append(payment)
    return {
        session: Sums(
            charged=_nonzero(charged[session]),
            received=_nonzero(received[session]),
            n_standing=standing[session],
            payments=tuple(sorted(payments[session])),
        )
        for session in [*(charged.keys() | received.keys())]
    }


class Twin(Struct, frozen=True, kw_only=True):
    """What the twin says at a position; ``n_parked`` facts could not be entered into the book and wait for a person."""

    position: int
    side: Side
    n_parked: int


async def read_twin(http: httpx2.AsyncClient, address: str, subscription: str, position: int | None) -> Twin:
    """What the twin says, as known at a position; None: as far as the subscription has acknowledged.

    Raises:
        BadInput: the twin cannot be read, or the book is not as far.
    """
    standing = (await asked(http, f"{address}/subscriptions/{subscription}")).json()
    reached = int(standing["acknowledged_to"])
    if position is not None and position > reached:
        raise BadInput(f"the book is at position {reached} and cannot be compared at {position}; wait, or give an earlier one")
    at = reached if position is None else position
    stays = (await asked(http, f"{address}/sessions", known_at=str(at), limit=_MOST)).json()["sessions"]
    ledger = (await asked(http, f"{address}/ledger", known_at=str(at), limit=_MOST)).json()["lines"]
    side = Side(
        stays={one["session"]: stay_told(one) for one in stays},
        sums=sums_of(
            (one["session"], one["kind"], one["amount_minor"], one["currency"], one["payment"] or "") for one in ledger
        ),
    )
    return Twin(position=at, side=side, n_parked=standing["n_parked"])


async def must_have_all(http: httpx2.AsyncClient, address: str, subscription: str) -> None:
    """See that the book has every fact that the twin has for it.

    Raises:
        BadInput: the twin cannot be read, or facts wait.
    """
    standing = (await asked(http, f"{address}/subscriptions/{subscription}")).json()
    if standing["n_parked"]:
        raise BadInput(f"{standing['n_parked']} facts are parked at subscription '{subscription}'; retry or discard them first")
    if (lag_s := standing["lag_s"]) != 0:
        waits = "longer than the twin keeps them" if lag_s is None else f"{lag_s:.0f} s"
        raise BadInput(
            f"the book is at position {standing['acknowledged_to']} of {standing['head']}, and a fact waits for {waits}; "
            "wait until `run` has followed to there"
        )


def reconciled(connection: Connection, book: Book, site: str, twin: Twin) -> Report:
    """Compare the book with what the twin says."""
    ours, told = _book_side(connection, twin.position), twin.side
    owed = {session: _owed(connection, book, stay, ours.stays.get(session)) for session, stay in told.stays.items()}
    received = _total(one.received for one in ours.sums.values())
    return Report(
        site=site,
        position=twin.position,
        n_stays=len(told.stays),
        charged_minor=_total(one.charged for one in ours.sums.values()),
        received_minor={currency: -amount for currency, amount in received.items()},
        findings=compared(ours, told, owed),
        n_parked=twin.n_parked,
    )


def _owed(connection: Connection, book: Book, told: Stay, known: Stay | None) -> dict[str, int]:
    """What a stay costs here, rated anew from what the twin says of it now."""
    if known is not None:  # the twin's list of stays does not say until when one is billed that was paid before its exit
        told = replace(told, billed_until_at=known.billed_until_at)
    charge = book.rate_of(connection, told)
    return {} if charge is None or charge.amount_minor == 0 else {charge.currency: charge.amount_minor}


def _book_side(connection: Connection, position: int) -> Side:
    newest = (
        select(versions.c.session, func.max(versions.c.version).label("version"))
        .where(versions.c.position <= position)
        .group_by(versions.c.session)
        .subquery()
    )
    is_newest = (versions.c.session == newest.c.session) & (versions.c.version == newest.c.version)
    stays = [stay_in(row) for row in connection.execute(select(versions).join(newest, is_newest))]
    rows = connection.execute(select(lines).where(lines.c.position <= position))
    return Side(
        stays={one.session: one for one in stays},
        sums=sums_of((row.session, row.kind, row.amount_minor, row.currency, row.payment) for row in rows),
    )


def _of_stay(ours: Stay, theirs: Stay) -> Sequence[Finding]:
    names = ("version", "status", "entry_at", "exit_at", "is_waived", "twin_minor")
    pairs = ((name, getattr(ours, name), getattr(theirs, name)) for name in names)
    return [_finding("different", ours.session, name, str(mine), str(its)) for name, mine, its in pairs if mine != its]


def _of_money(session: str, ours: Sums, theirs: Sums, owed: Mapping[str, int]) -> Sequence[Finding]:
    found: list[Finding] = []
    if ours.n_standing not in (0, 1):
        found.append(_finding("doubled", session, "standing charges", str(ours.n_standing), "1 at most"))
    twice = sorted(name for name, n in Counter(ours.payments).items() if n > 1)
    if twice:
        found.append(_finding("doubled", session, "payments", ", ".join(twice), "once each"))
    if ours.payments != theirs.payments:
        found.append(_finding("different", session, "payments", ", ".join(ours.payments), ", ".join(theirs.payments)))
    if dict(ours.charged) != dict(owed):
        found.append(_finding("different", session, "what is charged", _money(ours.charged), _money(owed)))
    if dict(ours.received) != dict(theirs.received):
        found.append(_finding("different", session, "what is received", _money(ours.received), _money(theirs.received)))
    return found


def _finding(kind: Kind, session: str, what: str, book: str, twin: str) -> Finding:
    return Finding(kind=kind, session=session, what=what, book=book, twin=twin)


def _nonzero(sums: Mapping[str, int]) -> dict[str, int]:
    return {currency: amount for currency, amount in sums.items() if amount}


def _total(sums: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for one in sums:
        for currency, amount in one.items():
            total[currency] += amount
    return dict(sorted(total.items()))


def _money(sums: Mapping[str, Any]) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in sorted(sums.items())) or "nothing"
