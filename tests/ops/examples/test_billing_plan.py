"""What a stay costs by a plan of our own: pure, so tried over any stay."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ops.examples.billing.plan import MINUTE, Permit, Plan, Validation, midnights, rated
from ops.examples.billing.stay import Stay

HOUR = 60 * MINUTE
PLAN = Plan(
    name="street@1",
    currency="EUR",
    time_zone="Europe/Amsterdam",
    grace_minutes=10,
    step_minutes=30,
    price_minor=100,
    day_cap_minor=1500,
)
FREE = Permit(kind="free", from_at=0, until_at=2**60)
FLAT = Permit(kind="flat", from_at=0, until_at=2**60, flat_minor=250)


def at(text):
    return round(datetime.fromisoformat(text).timestamp()) * 1_000_000


def stay(entry_at, exit_at, **more):
    fields = {"session": "p1", "version": 2, "status": "closed", "tariff": "public@1", "currency": "EUR", "twin_minor": 700}
    return Stay(entry_at=entry_at, exit_at=exit_at, **{**fields, **more})


plans = st.builds(
    Plan,
    name=st.just("p"),
    currency=st.just("EUR"),
    time_zone=st.sampled_from(["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    grace_minutes=st.integers(0, 60),
    step_minutes=st.integers(1, 1440),
    price_minor=st.integers(0, 10_000),
    day_cap_minor=st.none() | st.integers(0, 50_000),
)
starts = st.integers(at("2026-03-27T00:00:00Z"), at("2026-11-05T00:00:00Z"))
lengths = st.integers(0, 5 * 24 * HOUR)


@given(plans, starts, lengths, lengths)
def test_a_longer_stay_never_costs_less(plan, entry_at, one, other):
    shorter, longer = sorted((one, other))
    assert 0 <= plan.amount_minor(entry_at, entry_at + shorter) <= plan.amount_minor(entry_at, entry_at + longer)


@given(plans, starts, lengths)
def test_no_stay_costs_more_than_the_caps_of_the_local_days_that_it_touches(plan, entry_at, length):
    zone, exit_at = ZoneInfo(plan.time_zone), entry_at + length
    first, last = (datetime.fromtimestamp(one / 1e6, zone).date() for one in (entry_at, exit_at))
    n_days = (last - first).days + 1
    amount = plan.amount_minor(entry_at, exit_at)
    if plan.day_cap_minor is not None:
        assert amount <= n_days * plan.day_cap_minor


@given(plans, starts, lengths)
def test_a_plan_counts_as_one_that_looks_at_every_step(plan, entry_at, length):
    step, zone = plan.step_minutes * MINUTE, ZoneInfo(plan.time_zone)
    by_day = {}
    for begin_at in range(entry_at, entry_at + length, step):
        day = datetime.fromtimestamp(begin_at // 1_000_000, zone).date()
        by_day[day] = by_day.get(day, 0) + plan.price_minor
    naive = sum(cost if plan.day_cap_minor is None else min(cost, plan.day_cap_minor) for cost in by_day.values())
    assert plan.amount_minor(entry_at, entry_at + length) == (0 if length <= plan.grace_minutes * MINUTE else naive)


@given(plans, starts, st.integers(0, 60))
def test_a_stay_within_the_grace_costs_nothing(plan, entry_at, minutes):
    stayed = min(minutes, plan.grace_minutes) * MINUTE
    assert plan.amount_minor(entry_at, entry_at + stayed) == 0


@pytest.mark.parametrize(
    ("entry", "exit", "amount"),
    [
        ("2026-01-05T12:00:00+01:00", "2026-01-05T12:10:00+01:00", 0),  # the grace
        ("2026-01-05T12:00:00+01:00", "2026-01-05T12:10:01+01:00", 100),  # and from its first minute after it
        ("2026-01-05T12:00:00+01:00", "2026-01-05T13:00:00+01:00", 200),
        ("2026-01-05T09:00:00+01:00", "2026-01-05T20:00:00+01:00", 1500),  # 22 steps, capped
        ("2026-01-05T23:00:00+01:00", "2026-01-06T01:00:00+01:00", 400),  # two before midnight, two after
        ("2026-01-05T00:00:00+01:00", "2026-01-07T00:00:00+01:00", 3000),  # two days, two caps
        ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 1500),  # a day of 23 hours has one cap
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 1500),  # and one of 25 as well
        ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", 200),  # the hour that comes twice is an hour
    ],
)
def test_days_are_those_of_the_plans_time_zone(entry, exit, amount):
    assert PLAN.amount_minor(at(entry), at(exit)) == amount


def test_where_the_clock_changes_at_midnight_the_day_still_ends_once():
    zone, begins = ZoneInfo("Africa/Cairo"), datetime(2026, 4, 23, 12, tzinfo=UTC)  # 24 April begins at 01:00
    ends = midnights(round(begins.timestamp()) * 1_000_000, zone)
    local = [datetime.fromtimestamp(next(ends) / 1e6, zone) for _ in range(3)]
    assert [(one.day, one.hour) for one in local] == [(24, 1), (25, 0), (26, 0)]


NOON = at("2026-01-05T12:00:00Z")
FOUR_STEPS = stay(NOON, NOON + 2 * HOUR)


def amount_of(one, plan=PLAN, **given):
    charge = rated(one, plan, **given)
    return None if charge is None else charge.amount_minor


def test_the_twins_amount_counts_where_there_is_no_plan():
    assert amount_of(FOUR_STEPS, None) == 700
    assert amount_of(FOUR_STEPS, PLAN) == 400


@pytest.mark.parametrize("status", ["open", "orphan", "void"])
def test_what_is_no_stay_that_is_over_is_not_billed(status):
    assert amount_of(replace(FOUR_STEPS, status=status)) is None


def test_a_stay_is_billed_until_it_was_paid_where_it_left_in_time():
    assert amount_of(replace(FOUR_STEPS, billed_until_at=NOON + HOUR)) == 200


def test_a_waiver_goes_before_a_permit_and_a_permit_before_a_code():
    half = Validation(code="x", kind="percent", value=50)
    assert amount_of(replace(FOUR_STEPS, is_waived=True), permits=[FLAT], validation=half) == 0
    assert amount_of(FOUR_STEPS, permits=[FLAT], validation=half) == 250
    assert amount_of(FOUR_STEPS, permits=[FLAT, FREE]) == 0
    assert amount_of(FOUR_STEPS, validation=half) == 200


def test_a_flat_permit_never_costs_more_than_no_permit():
    assert amount_of(stay(NOON, NOON + 20 * MINUTE), permits=[FLAT]) == 100


def test_a_permit_is_for_stays_that_begin_while_it_holds():
    until_noon = Permit(kind="free", from_at=0, until_at=NOON)
    assert amount_of(FOUR_STEPS, permits=[until_noon]) == 400
    assert amount_of(stay(NOON - 1, NOON + 2 * HOUR - 1), permits=[until_noon]) == 0


def test_minutes_of_a_shop_shorten_the_stay_and_give_nothing_back():
    hour = Validation(code="x", kind="minutes", value=60)
    assert amount_of(FOUR_STEPS, validation=hour) == 200
    assert amount_of(stay(NOON, NOON + 30 * MINUTE), validation=hour) == 0


@given(plans, starts, lengths, st.sampled_from(["minutes", "percent"]), st.integers(1, 100))
def test_a_code_never_makes_a_stay_dearer_nor_pays_anything_out(plan, entry_at, length, kind, value):
    one, code = stay(entry_at, entry_at + length), Validation(code="x", kind=kind, value=value)
    assert 0 <= amount_of(one, plan, validation=code) <= amount_of(one, plan)
