"""Reconciliation: what was lost, doubled or altered in the book is found."""

import pytest

from ops.examples.billing.reconcile import Side, Sums, compared, sums_of
from ops.examples.billing.stay import Stay

ONE = Stay(session="p1", version=2, status="closed", entry_at=0, exit_at=60_000_000, twin_minor=200, currency="EUR")
PAID = [("p1", "charge", 200, "EUR", ""), ("p1", "payment", -200, "EUR", "till-1")]


def side(stays=(ONE,), rows=PAID):
    return Side(stays={one.session: one for one in stays}, sums=sums_of(rows))


def kinds(book, twin=None, owed=None):
    found = compared(book, twin or side(), {"p1": {"EUR": 200}} if owed is None else owed)
    return [(one.kind, one.what) for one in found]


def test_a_book_that_is_the_twins_has_no_findings():
    assert kinds(side()) == []


@pytest.mark.parametrize(
    ("book", "found"),
    [
        (side(stays=()), ("missing", "the stay")),
        (side(rows=PAID[1:]), ("different", "what is charged")),
        (side(rows=[*PAID, PAID[0]]), ("doubled", "standing charges")),
        (side(rows=[*PAID, PAID[1]]), ("doubled", "payments")),
        (side(rows=PAID[:1]), ("different", "payments")),
        (side(rows=[("p1", "charge", 201, "EUR", ""), PAID[1]]), ("different", "what is charged")),
        (side(rows=[("p1", "charge", 200, "USD", ""), PAID[1]]), ("different", "what is charged")),
        (side(rows=[*PAID, ("p2", "charge", 5, "EUR", "")]), ("different", "what is charged")),
    ],
)
def test_what_is_wrong_with_a_book_is_found(book, found):
    assert found in kinds(book)


def test_a_stay_that_the_twin_does_not_have_is_found():
    assert ("unknown", "the stay") in kinds(side(), twin=side(stays=()))


def test_sums_of_nothing_are_equal_to_no_sums():
    assert sums_of([("p1", "charge", 5, "EUR", ""), ("p1", "reversal", -5, "EUR", "")]) == {"p1": Sums()}
