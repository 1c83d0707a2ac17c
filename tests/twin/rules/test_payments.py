"""Payments: on whose account they are, what they leave due, and that none is lost or counted twice, whatever is corrected."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_models.schema import Tariff
from twin.events.facts import IdentitiesMerged, IdentitiesSplit, LedgerClosed, PaymentBooked, SessionAmended, SessionClosed
from twin.rules.settlement import Payment, due
from twin.rules.tariff import MINUTE, StepTariff

T0 = 1_767_268_800_000_000
HOURLY = StepTariff(Tariff(id="h", version=1, currency="EUR", step_minutes=60, price_minor=200, grace_minutes=10))


def paid(*minutes_and_amounts):
    return [
        Payment(f"p{n}", T0 + minute * MINUTE, amount, "EUR", f"o{n}") for n, (minute, amount) in enumerate(minutes_and_amounts)
    ]


@pytest.mark.parametrize(
    ("minute", "payments", "amount", "left"),
    [
        (50, (), 200, 200),
        (55, ((50, 200),), 200, 0),
        (65, ((50, 200),), 200, 0),  # 15 minutes to leave
        (66, ((50, 200),), 400, 200),  # a minute too late: the second hour
        (65, ((50, 100),), 400, 300),  # half was paid: no time to leave
        (65, ((50, 100), (58, 100)), 200, 0),
        (140, ((50, 200), (70, 200), (130, 200)), 600, 0),
        (9, ((5, 200),), 0, -200),  # within the grace: too much was paid
        (62, ((8, 1),), 400, 399),  # a cent in the grace buys no time
    ],
)
def test_who_has_paid_what_was_due_may_leave_within_the_time_to_leave(minute, payments, amount, left):
    found = due(HOURLY, T0, T0 + minute * MINUTE, paid(*payments))
    assert (found.amount_minor, found.due_minor) == (amount, left)


payments = st.lists(st.tuples(st.integers(-30, 600), st.integers(1, 900)), max_size=6)


@given(st.integers(0, 600), payments)
def test_paying_never_makes_a_stay_dearer_and_settles_only_what_was_paid(minute, made):
    at, known = T0 + minute * MINUTE, sorted(paid(*made), key=lambda one: one.at)
    until = due(HOURLY, T0, at, known).billed_until_at
    assert HOURLY.amount_minor(T0, until) <= HOURLY.amount_minor(T0, at)
    assert T0 <= until <= at
    if until < at:
        assert sum(one.amount_minor for one in known if one.at <= until) >= HOURLY.amount_minor(T0, until) > 0
        assert at - until <= HOURLY.exit_us


@given(st.integers(0, 600), payments)
def test_the_order_in_which_payments_become_known_changes_nothing(minute, made):
    known = paid(*made)
    assert due(HOURLY, T0, T0 + minute * MINUTE, known) == due(HOURLY, T0, T0 + minute * MINUTE, known[::-1])


def session_of(told):
    return next(one.session for one in told if hasattr(one, "session"))


def test_a_paid_stay_that_closes_in_time_costs_what_was_paid_and_leaves_nothing_due(site):
    session = session_of(site.cross(0, "a", "in"))
    (booked,) = site.pay(14, "p1", session, 60)
    assert booked == PaymentBooked(
        payment="p1",
        session=session,
        fate="credited",
        amount_minor=60,
        currency="EUR",
        paid_at=T0 + 14 * MINUTE,
        paid_minor=60,
        settled_at=T0 + 14 * MINUTE,
        observation=booked.observation,
    )
    (closed,) = site.cross(25, "a", "out")
    assert (closed.amount_minor, closed.paid_minor, closed.billed_until_at) == (60, 60, T0 + 14 * MINUTE)
    assert site.balance == {}


def test_a_paid_stay_that_is_amended_leaves_a_visible_balance(site):
    session = session_of(site.cross(0, "a", "in"))
    site.pay(14, "p1", session, 60)
    site.cross(20, "a", "out")
    (shorter,) = site.decide(40, decision="close", session=session, exit_at=T0 + 5 * MINUTE)
    assert (shorter.amount_minor, shorter.paid_minor) == (30, 60)
    assert site.balance == {session: -30}
    site.decide(41, decision="waive", session=session)
    assert site.balance == {session: -60}
    (longer,) = site.decide(42, decision="close", session=session, exit_at=T0 + 70 * MINUTE)
    assert longer.is_waived


def test_a_payment_that_becomes_known_after_the_exit_gives_the_time_to_leave_all_the_same(site):
    session = session_of(site.cross(0, "a", "in"))
    (closed,) = site.cross(25, "a", "out")
    assert closed.amount_minor == 120
    booked, amended = site.pay(14, "p1", session, 60)
    assert (booked.fate, amended.reason, amended.amount_minor, amended.billed_until_at) == (
        "credited",
        "payment",
        60,
        T0 + 14 * MINUTE,
    )
    assert site.balance == {}
    (more,) = site.pay(26, "p2", session, 5)
    assert more.paid_minor == 65
    assert site.balance == {session: -5}


@pytest.mark.parametrize(
    ("payment", "fate", "is_on_an_account"),
    [
        ({"session": "nobody"}, "unknown_session", False),
        ({"currency": "CHF"}, "wrong_currency", False),
        ({"session": "orphan"}, "no_stay", True),
        ({"payment": "p1"}, "already_booked", False),
    ],
)
def test_money_that_is_for_no_stay_is_told_and_kept_in_the_ledger(site, payment, fate, is_on_an_account):
    session = session_of(site.cross(0, "a", "in"))
    orphan = session_of(site.cross(3, "b", "out"))
    site.pay(5, "p1", session, 30)
    given_ = {"payment": "p2", "session": session, "currency": "EUR", **payment}
    given_["session"] = orphan if given_["session"] == "orphan" else given_["session"]
    (booked,) = site.pay(6, given_["payment"], given_["session"], 70, given_["currency"])
    assert booked.fate == fate
    kinds = Counter(line.kind for line in site.lines)
    assert kinds == Counter({"payment": 1 + is_on_an_account, **({"unassigned": 1} if fate.startswith(("u", "w")) else {})})
    assert site.balance.get(session) == -30
    (again,) = site.pay(7, given_["payment"], given_["session"], 70, given_["currency"])
    assert again.fate == "already_booked"


def test_what_was_paid_goes_with_the_stay_that_takes_another_over_and_comes_back_with_a_split(site):
    first = session_of(site.cross(0, "a", "in"))
    second = session_of(site.cross(10, "b", "in"))
    site.pay(12, "p1", second, 60)
    site.cause(15, IdentitiesMerged(vehicle="a", merged="b"))
    assert site.balance == {first: -60}
    assert [(line.session, line.amount_minor) for line in site.lines if line.kind == "transfer"] == [(second, 60), (first, -60)]
    (booked,) = site.pay(16, "p2", second, 5)
    assert (booked.session, booked.named, booked.paid_minor) == (first, second, 65)
    site.cause(20, IdentitiesSplit(vehicle="a", split="b", decision="d"))
    assert site.balance == {second: -65}


@pytest.mark.parametrize("seed", range(40))
def test_no_money_is_lost_or_counted_twice_among_merges_splits_decisions_and_late_crossings(new_site, seed):
    rng = random.Random(seed)
    site, names, n_received = new_site(), ["a", "b", "c"], 0
    for number, minute in enumerate(rng.sample(range(600), 60)):
        sessions = [*site.rules.state.stays, "nobody"]
        match rng.randrange(8):
            case 0 | 1 | 2:
                site.cross(minute, rng.choice(names), rng.choice(("in", "out")))
            case 3:
                site.cause(minute, IdentitiesMerged(vehicle=rng.choice(names), merged=rng.choice(names)))
            case 4:
                if site.rules.state.kept:
                    site.cause(minute, IdentitiesSplit(vehicle="", split=rng.choice([*site.rules.state.kept]), decision="d"))
            case 5:
                decision = rng.choice(("close", "reopen", "waive"))
                site.decide(700 + number, decision=decision, session=rng.choice(sessions), exit_at=T0 + minute * MINUTE)
            case _:
                booked = site.pay(minute, f"p{rng.randrange(30)}", rng.choice(sessions), rng.randrange(1, 500))[0]
                n_received += 0 if booked.fate == "already_booked" else booked.amount_minor
    of_money = [line.amount_minor for line in site.lines if line.kind in ("payment", "unassigned")]
    assert -sum(of_money) == n_received
    assert sum(line.amount_minor for line in site.lines if line.kind == "transfer") == 0
    paid_of = {one.payload.session: one.payload.paid_minor for one in site.facts if is_of_account(one.payload)}
    assert {name: amount for name, amount in paid_of.items() if amount} == {
        name: amount for name, stay in site.rules.state.stays.items() if (amount := site.rules.state.paid_minor(stay))
    }


def is_of_account(fact):
    of_payment = isinstance(fact, PaymentBooked) and fact.fate in ("credited", "no_stay")
    return of_payment or isinstance(fact, SessionClosed | SessionAmended)


def test_an_invoice_is_not_touched_by_payments(site):
    session = session_of(site.cross(0, "a", "in"))
    site.cross(10, "a", "out")
    site.cause(60, LedgerClosed(invoice="jan", until_at=T0 + 30 * MINUTE))
    site.pay(70, "p1", session, 60)
    assert [line.adjusts for line in site.lines] == [None, None]
