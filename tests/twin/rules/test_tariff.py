"""What a stay costs: amounts that a reader can check by hand, and what holds for any terms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_models.schema import Tariff
from twin.rules.tariff import DAY, MINUTE, StepTariff, TariffBook

ENTRY = 1_767_268_800_000_000
TERMS = {"id": "public", "version": 1, "currency": "EUR", "step_minutes": 15, "price_minor": 60}
FULL = StepTariff(Tariff(**TERMS, grace_minutes=10, day_cap_minor=1500, max_minor=6000))

tariffs = st.builds(
    lambda **terms: StepTariff(Tariff(id="any", version=1, currency="EUR", **terms)),
    step_minutes=st.integers(1, 1440),
    price_minor=st.integers(0, 10_000),
    grace_minutes=st.integers(0, 60),
    day_cap_minor=st.none() | st.integers(0, 50_000),
    max_minor=st.none() | st.integers(0, 200_000),
)
stays = st.integers(0, 40 * DAY)


@pytest.mark.parametrize(
    ("stayed", "amount"),
    [
        (0, 0),
        (10 * MINUTE, 0),
        (10 * MINUTE + 1, 60),
        (15 * MINUTE, 60),
        (15 * MINUTE + 1, 120),
        (6 * 60 * MINUTE, 1440),
        (7 * 60 * MINUTE, 1500),
        (DAY, 1500),
        (DAY + 1, 1560),
        (30 * DAY, 6000),
    ],
)
def test_amounts_can_be_counted_by_hand(stayed, amount):
    assert FULL.amount_minor(ENTRY, ENTRY + stayed) == amount


@given(tariffs, stays, stays)
def test_a_longer_stay_never_costs_less(tariff, one, other):
    shorter, longer = sorted((one, other))
    assert tariff.amount_minor(ENTRY, ENTRY + shorter) <= tariff.amount_minor(ENTRY, ENTRY + longer)


@given(tariffs, stays)
def test_no_cap_is_exceeded_and_every_amount_is_an_integer(tariff, stayed):
    amount, terms = tariff.amount_minor(ENTRY, ENTRY + stayed), tariff._terms
    assert type(amount) is int
    if terms.max_minor is not None:
        assert amount <= terms.max_minor
    if terms.day_cap_minor is not None:
        assert amount <= -(-stayed // DAY) * terms.day_cap_minor


@given(tariffs)
def test_within_the_grace_a_stay_costs_nothing(tariff):
    assert tariff.amount_minor(ENTRY, ENTRY + tariff._terms.grace_minutes * MINUTE) == 0


@given(st.integers(1, 20), st.integers(11 * MINUTE, DAY))
def test_days_from_the_entry_add_up_whatever_midnight_is_between(days, rest):
    tariff = StepTariff(Tariff(**TERMS, grace_minutes=10, day_cap_minor=1500))
    whole, last = tariff.amount_minor(ENTRY, ENTRY + DAY), tariff.amount_minor(ENTRY, ENTRY + rest)
    assert tariff.amount_minor(ENTRY, ENTRY + days * DAY + rest) == days * whole + last
    assert tariff.amount_minor(ENTRY, ENTRY + rest) == tariff.amount_minor(ENTRY + DAY // 3, ENTRY + DAY // 3 + rest)


def test_a_stay_has_the_tariff_that_held_at_its_entry():
    old, new = Tariff(**TERMS, from_us=5), Tariff(**{**TERMS, "version": 2}, from_us=ENTRY)
    book = TariffBook.of((new, old))
    assert [getattr(book.held_at(at), "name", None) for at in (4, 5, ENTRY - 1, ENTRY)] == [None, *["public@1"] * 2, "public@2"]
    assert book.named("public@1").name == "public@1"
    assert book.named("gone@1") is None
