"""What a stay costs. Integers only: minutes that have begun, and minor units of the currency."""

from __future__ import annotations

from typing import Protocol

from site_models.schema import Tariff
from twin.events.ids import SECOND, Micros

MINUTE: Micros = 60 * SECOND
DAY: Micros = 24 * 60 * MINUTE


class Pricing(Protocol):
    """A tariff of one's own: pure, the same times cost the same anywhere, and never less for a longer stay."""

    @property
    def name(self) -> str:
        """What stays name it by: its id and version, such as ``public@2``. Other terms, another name."""
        ...

    @property
    def currency(self) -> str:
        """Three letters of ISO 4217."""
        ...

    @property
    def from_us(self) -> Micros:
        """Stays that begin from then on have it, until a later one's."""
        ...

    @property
    def exit_us(self) -> Micros:
        """How long who has paid all that was due may take to leave."""
        ...

    def amount_minor(self, entry_at: Micros, exit_at: Micros) -> int:
        """What a stay costs, in minor units; ``exit_at`` is not before ``entry_at``."""
        ...


class StepTariff:
    """A site's own tariff: a price for each started step, capped by days of 24 hours from the entry, and as a whole."""

    def __init__(self, terms: Tariff) -> None:
        self._terms = terms
        self.name = f"{terms.id}@{terms.version}"
        self.currency = terms.currency
        self.from_us = terms.from_us
        self.exit_us = terms.exit_minutes * MINUTE

    def amount_minor(self, entry_at: Micros, exit_at: Micros) -> int:
        """See ``Pricing``. Days count from the entry, so that no time zone and no clock change is asked."""
        terms, stayed = self._terms, exit_at - entry_at
        if stayed <= terms.grace_minutes * MINUTE:
            return 0
        days, rest = divmod(stayed, DAY)
        total = days * self._of_day(DAY) + self._of_day(rest)
        return total if terms.max_minor is None else min(total, terms.max_minor)

    def _of_day(self, stayed: Micros) -> int:
        steps = -(-stayed // (self._terms.step_minutes * MINUTE))
        price, cap = steps * self._terms.price_minor, self._terms.day_cap_minor
        return price if cap is None else min(price, cap)


class TariffBook:
    """Every tariff that a stay may name."""

    def __init__(self, tariffs: tuple[Pricing, ...]) -> None:
        self._tariffs = tuple(sorted(tariffs, key=lambda one: (one.from_us, one.name)))
        self._by_name = {one.name: one for one in self._tariffs}

    @classmethod
    def of(cls, tariffs: tuple[Tariff, ...]) -> TariffBook:
        """A site's own."""
        return cls(tuple(StepTariff(one) for one in tariffs))

    def held_at(self, entry_at: Micros) -> Pricing | None:
        """The one that a stay which begins then has; None where none holds yet."""
        return next((one for one in reversed(self._tariffs) if one.from_us <= entry_at), None)

    def named(self, name: str | None) -> Pricing | None:
        """The one of that name; None where it is not in the book any more."""
        return None if name is None else self._by_name.get(name)
