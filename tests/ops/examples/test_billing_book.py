"""The book: reversals and new lines, accounts, codes, invoices and what is corrected on the next one."""

from itertools import permutations

import pytest
from sqlalchemy import insert, select

from ops.examples.billing.accounts import import_codes, lists
from ops.examples.billing.plan import Plan
from ops.examples.billing.schema import closings, versions
from twin.errors import BadInput

from .conftest import MINUTE, NOON, book_of, closed

PLAN = Plan(name="street@1", currency="EUR", step_minutes=30, price_minor=100)


@pytest.fixture
def codes_imported(engine, tmp_path):
    """Takes a CSV's text of codes."""

    def take(text):
        path = tmp_path / "codes.csv"
        path.write_text(text)
        with engine.begin() as connection:
            return import_codes(connection, path)

    return take


def test_a_stay_is_charged_once_and_a_change_is_a_reversal_and_a_new_line(engine, teller):
    book = teller()
    book.opened()
    assert book_of(engine) == []
    book.closed(amount=200)
    book.amended(version=3, exit=90, amount=300)
    assert book_of(engine) == [("charge", 200, "casual"), ("reversal", -200, "casual"), ("charge", 300, "casual")]


def test_a_version_that_costs_the_same_adds_no_line(engine, teller):
    book = teller()
    book.closed(amount=200)
    book.amended(version=3, amount=200)
    assert book_of(engine) == [("charge", 200, "casual")]
    with engine.begin() as connection:
        assert len(connection.execute(select(versions)).all()) == 2


def test_a_fact_that_comes_again_has_no_second_effect(engine, teller):
    book = teller()
    told = book.closed(amount=200)
    book.tell(told.fact.payload, position=told.position)
    assert book_of(engine) == [("charge", 200, "casual")]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_the_facts_of_a_stay_come_it_costs_and_has_received_the_same(engine, teller, order):
    # Out of order is what a person gave up and had sent again.
    book = teller()
    facts = (
        book.opened,
        lambda: book.paid(amount=200),
        lambda: book.closed(amount=200, paid_minor=200),
        lambda: book.amended(version=3, exit=90, amount=300, paid_minor=200),
    )
    for n in order:
        book.position = n  # the fact's own place in the twin's log is one more
        facts[n]()
    found = book_of(engine)
    assert sum(amount for kind, amount, _ in found if kind in ("charge", "reversal")) == 300
    assert sum(amount for kind, amount, _ in found if kind in ("payment", "transfer")) == -200


def test_waived_void_merged_and_reopened_stays_are_compensated(engine, teller):
    book = teller()
    for session in ("waived", "void", "reopened"):
        book.closed(session, amount=200)
    book.amended("waived", is_waived=True, amount=0)
    book.amended("void", status="void", reason="identities_merged")
    book.amended("reopened", status="open")
    assert book_of(engine, "waived")[1:] == [("reversal", -200, "casual"), ("charge", 0, "casual")]
    assert book_of(engine, "void")[1:] == [("reversal", -200, "casual")]
    assert book_of(engine, "reopened")[1:] == [("reversal", -200, "casual")]
    book.amended("void", version=4, status="closed", was="void", amount=200, reason="identities_split")
    assert sum(amount for _, amount, _ in book_of(engine, "void")) == 200


def test_an_orphan_is_in_the_book_and_costs_nothing(engine, teller):
    teller().orphaned("p9")
    assert book_of(engine, "p9") == []


def test_what_was_paid_goes_along_with_a_stay_into_another(engine, teller):
    book = teller()
    book.opened("p1")
    book.opened("p2", entry=1)
    book.paid("p1", 200)
    book.amended("p1", version=2, status="void", was="open", reason="identities_merged", paid_minor=0)
    book.amended("p2", version=2, status="open", was="open", reason="identities_merged", paid_minor=200)
    assert book_of(engine, "p1") == [("payment", -200, "casual"), ("transfer", 200, "casual")]
    assert book_of(engine, "p2") == [("transfer", -200, "casual")]


def test_money_that_came_twice_is_received_once_and_money_for_no_stay_is_set_aside(engine, teller):
    book = teller()
    book.opened()
    book.paid(amount=200, payment="till-1")
    book.paid(amount=200, payment="till-1", fate="already_booked")
    book.paid("nobody", 50, "till-2", fate="unknown_session", total=0)
    assert book_of(engine) == [("payment", -200, "casual")]
    assert book_of(engine, "nobody") == [("unassigned", -50, "casual")]


def test_a_plate_puts_a_stay_on_the_account_that_has_it(engine, teller, imported):
    imported("account,plate\nflower shop,b-xy 123\n")
    book = teller()
    book.closed(amount=200)
    book.amended(plate="BXY 123")
    assert book_of(engine) == [("charge", 200, "casual"), ("reversal", -200, "casual"), ("charge", 200, "flower shop")]


def test_a_permit_makes_stays_of_its_account_free_or_flat(engine, teller, imported):
    imported(
        "account,plate,permit,from,until,flat_minor\n"
        "resident,A1,free,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,\n"
        "guest,A2,flat,,,150\n"
    )
    book = teller(PLAN)
    for session, plate in (("p1", "A1"), ("p2", "A2")):
        book.opened(session)
        book.amended(session, version=2, status="open", was="open", plate=plate)
        book.closed(session, exit=120, version=3)
    assert book_of(engine, "p1") == [("charge", 0, "resident")]
    assert book_of(engine, "p2") == [("charge", 150, "guest")]


def test_who_is_denied_credit_pays_on_the_spot(engine, teller, imported):
    imported("account,plate,list\nbad payer,A1,deny\nregular,A2,allow\n")
    book = teller()
    book.opened()
    book.amended(version=2, status="open", was="open", plate="A1")
    book.closed(version=3)
    assert book_of(engine) == [("charge", 200, "casual")]
    with engine.begin() as connection:
        assert lists(connection) == {"allow": ["A2"], "deny": ["A1"]}


CODES = "code,shop,kind,value\nbread,bakery,minutes,30\nhalf,cinema,percent,50\n"


def test_a_code_takes_its_discount_off_and_is_used_once(engine, teller, codes_imported):
    assert codes_imported(CODES) == 2
    book = teller(PLAN)
    for session in ("p1", "p2"):
        book.closed(session, exit=60)
    with engine.begin() as connection:
        book.book.validate(connection, "bread", "p1")
        book.book.validate(connection, "bread", "p1")  # the same again is the same
    assert book_of(engine)[1:] == [("reversal", -200, "casual"), ("charge", 100, "casual")]
    for code, session, what in (
        ("bread", "p2", "was used for stay 'p1'"),
        ("half", "p1", "has code 'bread'"),
        ("nonsense", "p2", "no code"),
        ("half", "nonsense", "no stay"),
    ):
        with pytest.raises(BadInput, match=what), engine.begin() as connection:
            book.book.validate(connection, code, session)


def test_a_code_counts_also_for_what_a_stay_becomes_later(engine, teller, codes_imported):
    codes_imported(CODES)
    book = teller(PLAN)
    book.opened()
    with engine.begin() as connection:
        book.book.validate(connection, "half", "p1")
    book.closed(exit=60)
    book.amended(exit=120)
    assert sum(amount for _, amount, _ in book_of(engine)) == 200


def test_the_code_of_a_stay_that_never_was_may_be_used_again(engine, teller, codes_imported):
    codes_imported(CODES)
    book = teller(PLAN)
    book.closed("p1")
    book.closed("p2")
    with engine.begin() as connection:
        book.book.validate(connection, "bread", "p1")
    book.amended("p1", status="void")
    with engine.begin() as connection:
        book.book.validate(connection, "bread", "p2")
    assert sum(amount for _, amount, _ in book_of(engine, "p2")) == 100


def test_the_twins_amounts_have_no_minutes_to_take_off(engine, teller, codes_imported):
    codes_imported(CODES)
    book = teller()
    book.closed()
    with pytest.raises(BadInput, match="a plan of your own"), engine.begin() as connection:
        book.book.validate(connection, "bread", "p1")


def test_an_invoice_has_what_ended_in_its_period_and_carries_over_what_is_open(engine, teller):
    book = teller()
    book.closed("p1", amount=200, exit=60)
    book.closed("p2", amount=300, exit=61)  # after the end
    book.opened("p3", entry=30)
    book.paid("p1", 200)
    made = closed(engine, "day-1", until=60)
    assert list(made) == ["day-1/casual/EUR"]
    invoice = made["day-1/casual/EUR"]
    assert [(one.kind, one.amount_minor, one.session) for one in invoice.lines] == [
        ("charge", 200, "p1"),
        ("payment", -200, "p1"),
    ]
    assert invoice.total_minor == 0
    assert invoice.carried == {"p3": "open"}
    book.closed("p3", entry=30, exit=80, amount=250)
    invoice = closed(engine, "day-2", until=100)["day-2/casual/EUR"]
    assert [(one.session, one.amount_minor, one.adjusts) for one in invoice.lines] == [("p2", 300, None), ("p3", 250, None)]


def test_after_close_changes_are_adjustments_that_name_what_they_correct(engine, teller):
    book = teller()
    book.closed("p1", amount=200, exit=60)
    book.closed("p2", amount=200, exit=60)
    first = closed(engine, "day-1", until=60)["day-1/casual/EUR"]
    book.amended("p1", exit=50, amount=100)
    book.amended("p2", status="open")  # it has not left after all
    invoice = closed(engine, "day-2", until=120)["day-2/casual/EUR"]
    told = [(one.session, one.kind, one.amount_minor, one.adjusts) for one in invoice.lines]
    assert sorted(told) == [
        ("p1", "charge", 100, first.invoice),
        ("p1", "reversal", -200, first.invoice),
        ("p2", "reversal", -200, first.invoice),
    ]
    assert invoice.total_minor == -300
    book.amended("p2", version=4, was="open", exit=130, amount=400)
    invoice = closed(engine, "day-3", until=180)["day-3/casual/EUR"]
    assert [(one.amount_minor, one.adjusts) for one in invoice.lines] == [(400, first.invoice)]
    assert closed(engine, "day-1", until=60)["day-1/casual/EUR"] == first, "what is closed stays as it is"


def test_a_stay_that_becomes_another_accounts_is_credited_to_the_one_and_charged_to_the_other(engine, teller, imported):
    imported("account,plate\nflower shop,A1\n")
    book = teller()
    book.closed("p1", amount=200, exit=60)
    closed(engine, "day-1", until=60)
    book.amended("p1", plate="A1")
    made = closed(engine, "day-2", until=120)
    assert {name: one.total_minor for name, one in made.items()} == {"day-2/casual/EUR": -200, "day-2/flower shop/EUR": 200}


def test_a_stay_in_doubt_is_held_until_a_person_looked_at_it(engine, teller):
    book = teller()
    book.closed("p1", amount=200, exit=60, flags=("unverified",), final_at=None)
    assert closed(engine, "day-1", until=60) == {}
    with engine.begin() as connection:
        book.book.review(connection, "p1", "ann", "seen on the picture")
    assert closed(engine, "day-2", until=61)["day-2/casual/EUR"].total_minor == 200


def test_a_stay_in_doubt_is_invoiced_where_that_is_wanted_or_a_person_decided_at_the_twin(engine, teller):
    book = teller()
    book.closed("p1", amount=200, exit=60, flags=("unverified",), final_at=None)
    assert closed(engine, "day-1", until=60, holds_doubtful=False)["day-1/casual/EUR"].total_minor == 200
    book.closed("p2", amount=300, exit=61, flags=("unverified",))
    assert closed(engine, "day-2", until=61)["day-2/casual/EUR"].total_minor == 300


def test_what_is_credited_for_a_stay_that_was_none_is_not_held(engine, teller):
    book = teller()
    book.closed("p1", amount=200, exit=60)
    closed(engine, "day-1", until=60)
    book.amended("p1", status="void", flags=("unverified",))
    assert closed(engine, "day-2", until=120)["day-2/casual/EUR"].total_minor == -200


def test_periods_are_closed_once_and_in_order(engine, teller):
    teller().closed("p1", exit=60)
    closed(engine, "day-1", until=60)
    with pytest.raises(BadInput, match="another end"):
        closed(engine, "day-1", until=61)
    with pytest.raises(BadInput, match="in order"):
        closed(engine, "day-0", until=30)


def test_a_period_whose_end_is_in_the_future_is_refused_and_stops_nothing(engine, teller):
    teller().closed("p1", exit=60)
    with pytest.raises(BadInput, match=r"'day-1', 2026-01-01T14:00:00.*, is in the future: it is 2026-01-01T13:00:00"):
        closed(engine, "day-1", until=120, now=60)
    assert closed(engine, "day-1", until=60)["day-1/casual/EUR"].total_minor == 200


def test_a_period_that_the_book_has_not_reached_is_refused(engine, teller):
    with pytest.raises(BadInput, match="knows of no stay yet"):
        closed(engine, "day-1", until=30, is_caught_up=False)
    book = teller()
    book.closed("p1", exit=60)
    with pytest.raises(BadInput, match=r"as far as 2026-01-01T13:00:00.*'day-1' ends at 2026-01-01T13:01:00"):
        closed(engine, "day-1", until=61, is_caught_up=False)
    book.opened("p2", entry=61)
    made = closed(engine, "day-1", until=61, is_caught_up=False)["day-1/casual/EUR"]
    assert (made.total_minor, made.carried) == (200, {"p2": "open"})


def test_an_end_in_the_future_that_an_earlier_release_took_holds_up_no_other_one(engine, teller):
    book = teller()
    with engine.begin() as connection:
        connection.execute(insert(closings).values(period="slip", until_at=NOON + 500 * MINUTE, closed_at=NOON))
    book.closed("p1", exit=60)
    assert closed(engine, "day-1", until=60)["day-1/casual/EUR"].total_minor == 200
    with pytest.raises(BadInput, match="in order"):
        closed(engine, "day-2", until=500)
