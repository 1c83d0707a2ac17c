"""What a stay costs here. Pure, integers only: minutes that have begun, and minor units of the currency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from ops.examples.billing.stay import Stay
from twin.events.ids import SECOND, Micros

MINUTE: Micros = 60 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our own tariff: a price for each started step, and a cap for each local day.

    Attributes:
        name: with a version in it: other terms, another name.
        time_zone: whose midnight ends a day, such as "Europe/Amsterdam".
        grace_minutes: a stay that is no longer costs nothing; a longer one costs from its first minute.
        day_cap_minor: most that the steps cost that begin on one local day; None: no such bound.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    step_minutes: Annotated[int, Meta(ge=1, le=1440)]
    price_minor: Annotated[int, Meta(ge=0, le=10**9)]
    time_zone: str = "UTC"
    grace_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    day_cap_minor: Annotated[int, Meta(ge=0, le=10**9)] | None = None

    def amount_minor(self, entry_at: Micros, exit_at: Micros) -> int:
        """What a stay costs; ``exit_at`` is not before ``entry_at``.

        A step costs on the local day on which it begins. So a longer stay never costs less, and no day more than its cap,
        also where the clock changes.
        """
        if exit_at - entry_at <= self.grace_minutes * MINUTE:
            return 0
        return sum(self._of_day(n_steps) for n_steps in self._steps_by_day(entry_at, exit_at))

    def _of_day(self, n_steps: int) -> int:
        price = n_steps * self.price_minor
        return price if self.day_cap_minor is None else min(price, self.day_cap_minor)

    def _steps_by_day(self, entry_at: Micros, exit_at: Micros) -> Iterator[int]:
        """How many steps begin on each local day; the first begins at the entry."""
        step, n_before = self.step_minutes * MINUTE, 0
        for midnight_at in midnights(entry_at, ZoneInfo(self.time_zone)):
            n_begun = -(-(min(midnight_at, exit_at) - entry_at) // step)
            yield n_begun - n_before
            if midnight_at >= exit_at:
                return
            n_before = n_begun


class Permit(Struct, frozen=True, kw_only=True):
    """An account's stays that begin from ``from_at`` and before ``until_at`` are free, or cost ``flat_minor`` each at most."""

    kind: Literal["free", "flat"]
    from_at: Micros
    until_at: Micros
    flat_minor: int = 0


class Validation(Struct, frozen=True, kw_only=True):
    """What a shop gives to a customer: the first ``value`` minutes of a stay, or ``value`` percent of its price."""

    code: str
    kind: Literal["minutes", "percent"]
    value: int


class Charge(Struct, frozen=True, kw_only=True):
    """What a version of a stay costs, and by which terms."""

    amount_minor: int
    currency: str
    terms: str


def rated(stay: Stay, plan: Plan | None, permits: Iterable[Permit] = (), validation: Validation | None = None) -> Charge | None:
    """What a stay costs: by our own plan, or without one as the twin says; None where there is nothing to bill.

    A person's waiver comes first, then the account's permit, then the shop's validation.
    """
    base = _base(stay, plan, validation)
    if base is None:
        return None
    if stay.is_waived:
        return Charge(amount_minor=0, currency=base.currency, terms=f"{base.terms}, waived")
    held = _held_at(stay.entry_at, permits)
    if held is not None:
        most = held.flat_minor if held.kind == "flat" else 0
        return Charge(
            amount_minor=min(most, base.amount_minor), currency=base.currency, terms=f"{base.terms}, {held.kind} permit"
        )
    if validation is None:
        return base
    off = base.amount_minor * validation.value // 100 if validation.kind == "percent" else 0
    return Charge(amount_minor=base.amount_minor - off, currency=base.currency, terms=f"{base.terms}, code {validation.code}")


def midnights(from_at: Micros, zone: ZoneInfo) -> Iterator[Micros]:
    """Every end of a local day after a time, in order. Where midnight is skipped or comes twice, the day ends once."""
    day, last_at = (_EPOCH + timedelta(microseconds=from_at)).astimezone(zone).date(), from_at
    while True:
        day += timedelta(days=1)
        began = datetime(day.year, day.month, day.day, tzinfo=zone)
        began_at = (began.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
        if began_at > last_at:
            yield began_at
            last_at = began_at


def _base(stay: Stay, plan: Plan | None, validation: Validation | None) -> Charge | None:
    if not stay.is_over or stay.entry_at is None or stay.exit_at is None:
        return None
    if plan is None:
        if stay.twin_minor is None:
            return None
        return Charge(amount_minor=stay.twin_minor, currency=stay.currency, terms=stay.tariff)
    until_at = stay.exit_at if stay.billed_until_at is None else stay.billed_until_at
    if validation is not None and validation.kind == "minutes":
        until_at = max(stay.entry_at, until_at - validation.value * MINUTE)
    return Charge(amount_minor=plan.amount_minor(stay.entry_at, until_at), currency=plan.currency, terms=plan.name)


def _held_at(entry_at: Micros | None, permits: Iterable[Permit]) -> Permit | None:
    """The permit that is best for the customer."""
    held = [one for one in permits if entry_at is not None and one.from_at <= entry_at < one.until_at]
    return min(held, key=lambda one: one.flat_minor if one.kind == "flat" else 0, default=None)
