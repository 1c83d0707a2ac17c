"""Whatever becomes of stays, whenever periods are closed: the book is what stays cost, and invoices stay as they are."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ops.examples.billing.book import Book, latest_of, standing_of
from ops.examples.billing.invoices import close, of_period
from ops.examples.billing.schema import invoices, lines, metadata
from ops.examples.database import opened

from .conftest import MINUTE, NOON, Teller

SESSIONS = ("p1", "p2")
WHAT = ("closed", "closed", "closed", "void", "open", "waived", "doubtful")
stays = st.tuples(st.sampled_from(SESSIONS), st.sampled_from(WHAT), st.integers(0, 9))
steps = st.lists(st.one_of(stays, stays, st.just(("close a period",))), min_size=8, max_size=25)


def happen(teller, versions, session, what, number):
    """The next version of a stay."""
    versions[session] += 1
    if versions[session] == 1:
        teller.opened(session)
        return
    status = {"waived": "closed", "doubtful": "closed"}.get(what, what)
    more = {"flags": ("unverified",), "final_at": None} if what == "doubtful" else {}
    amount = 0 if what == "waived" else 50 * number
    teller.amended(
        session,
        version=versions[session],
        status=status,
        was="open",
        exit=10 * number,
        amount=amount,
        is_waived=what == "waived",
        **more,
    )


@settings(max_examples=25, deadline=None)
@given(steps)
def test_the_book_is_what_stays_cost_and_what_is_closed_stays_closed(given_steps):
    engine = opened("sqlite://", metadata)
    teller, versions, closed = Teller(engine, Book()), Counter(), {}
    for number, step in enumerate(given_steps):
        if step == ("close a period",):
            with engine.begin() as connection:
                period, until_at = f"period {number}", NOON + (number + 60) * MINUTE
                closed[period] = close(connection, period, until_at, until_at, is_caught_up=True)
        else:
            happen(teller, versions, *step)
        with engine.begin() as connection:
            check(connection, versions, closed)
    engine.dispose()


def check(connection, versions, closed):
    found = connection.execute(select(lines).order_by(lines.c.n)).all()
    for session in versions:
        latest, _ = latest_of(connection, session)
        owed = (latest.twin_minor or 0) if latest.is_over else 0
        of_stay = [one for one in found if one.session == session]
        assert sum(one.amount_minor for one in of_stay) == owed
        standing = standing_of(connection, session)
        assert (standing.amount_minor if standing else 0) == owed
        on_invoices = [one for one in of_stay if one.invoice is not None]
        assert [one.n for one in on_invoices] == [one.n for one in of_stay][: len(on_invoices)], "in the order of the book"
        firsts = [one for one in on_invoices if one.adjusts is None]
        assert len({one.invoice for one in firsts}) <= 1, "all but its first invoice corrects that one"
        assert {one.adjusts for one in on_invoices} <= {None, *(one.invoice for one in firsts)}
    for period, made in closed.items():
        assert of_period(connection, period) == made
    totals = {row.invoice: row.total_minor for row in connection.execute(select(invoices))}
    assert totals == {name: sum(one.amount_minor for one in found if one.invoice == name) for name in totals}
