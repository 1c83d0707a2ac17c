"""Accounts and permits that come late, plates that are set after the close, and files as spreadsheets write them."""

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from ops.examples.billing import cli
from ops.examples.billing.accounts import lists
from ops.examples.billing.plan import Plan
from ops.examples.billing.schema import accounts, permits, plates, stay_accounts
from ops.examples.billing.terms import keep_plan
from twin.errors import BadInput, Conflict

from .conftest import book_of, closed

PLAN = Plan(name="street@1", currency="EUR", step_minutes=30, price_minor=100)
HEADER = "account,plate,list,permit,from,until,flat_minor\n"
FREE = HEADER + "acme,,,free,2026-01-01T00:00:00Z,,\n"
ENDED = HEADER + "acme,,,free,2026-01-01T00:00:00Z,2026-01-01T11:00:00Z,\n"  # before noon, when stays begin


def amounts(engine, session="p1"):
    return [amount for _, amount, _ in book_of(engine, session)]


@pytest.fixture
def of_acme(teller, imported):
    """A book in which p1 is charged 200 to acme."""

    def told(plan=None):
        imported(HEADER + "acme,A1,,,,,\n", plan)
        book = teller(plan)
        book.opened()
        book.amended(version=2, status="open", was="open", plate="A1")
        book.closed(version=3, amount=200)
        return book

    return told


@pytest.mark.parametrize("plan", [None, PLAN], ids=["the twin's amounts", "a plan"])
def test_a_permit_that_is_added_and_then_ended_changes_what_stays_cost_at_once(engine, of_acme, imported, plan):
    of_acme(plan)
    imported(FREE, plan)
    assert amounts(engine) == [200, -200, 0]
    imported(ENDED, plan)
    assert amounts(engine) == [200, -200, 0, 0, 200]
    imported(HEADER + "acme,,,flat,,,150\n", plan)
    assert amounts(engine)[5:] == [-200, 150]


def test_an_import_that_comes_again_adds_no_line(engine, of_acme, imported):
    of_acme()
    imported(FREE)
    before = book_of(engine)
    imported(FREE)
    assert book_of(engine) == before


def test_an_import_that_is_refused_rates_nothing(engine, of_acme, imported):
    of_acme()
    with pytest.raises(BadInput, match="line 3"):
        imported(FREE + "acme,,,nonsense,,,\n")
    assert amounts(engine) == [200]


def test_a_permit_changes_its_own_accounts_stays_alone(engine, of_acme, imported):
    of_acme().closed("p2", amount=300)
    imported(FREE)
    assert amounts(engine, "p2") == [300]
    imported(HEADER + "casual,,,flat,,,50\n")
    assert amounts(engine, "p2") == [300, -300, 50]
    assert amounts(engine) == [200, -200, 0]


def test_a_permit_that_comes_after_the_invoice_is_an_adjustment_on_the_next_one(engine, of_acme, imported):
    of_acme()
    first = closed(engine, "day-1", until=60)["day-1/acme/EUR"]
    imported(FREE)
    made = closed(engine, "day-2", until=120)
    assert list(made) == ["day-2/acme/EUR"]
    told = [(one.kind, one.amount_minor, one.adjusts) for one in made["day-2/acme/EUR"].lines]
    assert told == [("reversal", -200, first.invoice), ("charge", 0, first.invoice)]
    assert closed(engine, "day-1", until=60)["day-1/acme/EUR"] == first


def test_a_book_whose_permits_came_before_stays_were_rated_anew_is_mended_by_its_file(engine, of_acme, imported):
    of_acme()
    with engine.begin() as connection:
        connection.execute(insert(permits).values(account="acme", kind="free", from_at=0, until_at=2**62, flat_minor=0))
    imported(HEADER + "acme,,,free,,,\n")
    assert amounts(engine) == [200, -200, 0]


def billing(engine, *command):
    return CliRunner().invoke(cli.app, [*command, "--database", str(engine.url)])


def test_an_import_rates_by_the_books_own_plan(engine, of_acme, tmp_path):
    (tmp_path / "free.csv").write_text(FREE)
    plan = tmp_path / "plan.toml"
    plan.write_text('name = "street@1"\ncurrency = "EUR"\nstep_minutes = 30\nprice_minor = 100\n')
    importing = ("accounts", "import", str(tmp_path / "free.csv"))
    assert billing(engine, *importing).exit_code == 0, "a book without stays has nothing to rate"
    of_acme(PLAN)
    with engine.begin() as connection:
        keep_plan(connection, PLAN)
    assert isinstance(billing(engine, *importing).exception, Conflict)
    assert billing(engine, *importing, "--tariff", str(plan)).exit_code == 0
    assert amounts(engine) == [0]


def totals(made):
    return {name: one.total_minor for name, one in made.items()}


def test_who_paid_at_the_till_is_not_asked_again_when_the_plate_is_set_after_the_close(engine, teller, imported):
    imported(HEADER + "acme,A1,,,,,\nother,B1,,,,,\n")
    book = teller()
    book.closed("p1", amount=200)
    book.paid("p1", 200)
    first = closed(engine, "day-1", until=60)
    assert totals(first) == {"day-1/casual/EUR": 0}
    book.amended("p1", plate="A1", paid_minor=200)
    moved = [line for line in book_of(engine) if line[0] == "transfer"]
    assert moved == [("transfer", 200, "casual"), ("transfer", -200, "acme")], "at once, not only when a period is closed"
    made = closed(engine, "day-2", until=120)
    assert totals(made) == {"day-2/acme/EUR": 0, "day-2/casual/EUR": 0}
    told = [(one.kind, one.amount_minor) for one in made["day-2/acme/EUR"].lines]
    assert sorted(told) == [("charge", 200), ("transfer", -200)]
    book.amended("p1", version=4, plate="B1", paid_minor=200)
    book.amended("p1", version=5, plate="unknown", paid_minor=200)
    assert set(totals(closed(engine, "day-3", until=180)).values()) == {0}
    assert closed(engine, "day-1", until=60) == first
    assert sum(amounts(engine)) == 0


def test_what_was_paid_before_the_plate_was_set_is_on_its_accounts_invoice(engine, teller, imported):
    imported(HEADER + "acme,A1,,,,,\n")
    book = teller()
    book.opened()
    book.paid(amount=150)
    book.amended(version=2, status="open", was="open", plate="A1", paid_minor=150)
    book.closed(version=3, amount=200, paid_minor=150)
    assert totals(closed(engine, "day-1", until=60)) == {"day-1/acme/EUR": 50, "day-1/casual/EUR": 0}


def test_a_book_that_left_money_with_the_account_before_is_mended_at_the_next_close(engine, teller):
    book = teller()
    book.closed("p1", amount=200)
    book.paid("p1", 200)
    closed(engine, "day-1", until=60)
    with engine.begin() as connection:  # as an earlier release did it: the charge alone went to acme
        connection.execute(insert(accounts).values(account="acme"))
        connection.execute(insert(stay_accounts).values(session="p1", account="acme"))
    book.amended("p1", version=3, paid_minor=200)
    assert totals(closed(engine, "day-2", until=120)) == {"day-2/acme/EUR": 0, "day-2/casual/EUR": 0}
    assert closed(engine, "day-3", until=180) == {}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "begins with"),
        ("plate\nA1\n", "give column account"),
        ("account,plate,plate\nx,A1,A2\n", "each column once"),
        ("account,plat\nx,y\n", "columns \\['plat'\\]"),
        ('account\n""\n', "line 2: the account is missing"),
        ("account,list\nx,perhaps\n", "line 2: list is 'perhaps'"),
        ("account,permit\nx,flat\n", "line 2: a permit"),
        ("account,permit,until\nx,free,tomorrow\n", "line 2: time 'tomorrow' is not RFC 3339"),
        ("account\nacme;AB12\n", "line 2: account 'acme;AB12' has a ';'"),
        ("account,plate\nacme;AB12\n", "line 2: 1 fields, where the first line has 2"),
        ("account;plate\nacme;AB12\nacme,AB12\n", "line 3: 1 fields, where the first line has 2"),
        ("account,plate\nacme,A1,allow\n", "line 2: 3 fields, where the first line has 2"),
        ("account,plate\nacme,---\n", "line 2: plate '---' has no letter or digit"),
        ("account,plate\nacme,ab-12\nother,A1\nother,AB 12\n", "line 4: plate 'AB12' is account 'other'.*'acme'.* in line 2"),
        ("account,plate,list\nacme,A1,allow\nacme,A1,\n", "line 3: plate 'A1' .*list '' here, and .*list 'allow' in line 2"),
        (
            "account,permit,from,until\nx,free,2026-01-01T00:00:00Z,\nx,free,2026-01-01T01:00:00+01:00,2026-02-01T00:00:00Z\n",
            "line 3: the free permit of 'x' from 2026-01-01.* until 2026-02-01.* here, and until further notice.* in line 2",
        ),
        (b"account\n\xff\n", "cannot be read"),
    ],
)
def test_a_wrong_line_of_accounts_is_named_and_nothing_is_taken(engine, imported, text, what):
    with pytest.raises(BadInput, match=what):
        imported(text)
    with engine.begin() as connection:
        assert [connection.execute(select(table)).all() for table in (accounts, plates, permits)] == [[], [], []]


@pytest.mark.parametrize(
    "text",
    [
        "account,plate,list\nacme,AB12,allow\n",
        "account;plate;list\nacme;AB12;allow\n",
        b"\xef\xbb\xbfaccount;plate;list\r\nacme;AB12;allow\r\n",
        b"\xef\xbb\xbfaccount,plate,list\r\nacme,ab-12,allow\r\nacme,AB12,allow\r\n\r\n",
    ],
    ids=["commas", "semicolons", "semicolons with a mark", "the same twice"],
)
def test_files_are_read_as_spreadsheets_write_them(engine, imported, text):
    imported(text)
    with engine.begin() as connection:
        assert connection.execute(select(accounts)).all() == [("acme",)]
        assert lists(connection) == {"allow": ["AB12"], "deny": []}


def test_a_later_file_may_give_a_plate_to_another_account(engine, imported):
    imported("account,plate\nacme,A1\n")
    imported("account,plate\nother,A1\n")
    with engine.begin() as connection:
        assert connection.scalars(select(plates.c.account)).all() == ["other"]
