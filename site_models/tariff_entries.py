"""A tariff as site.toml says it, and as the site keeps it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from site_models.faults import Faults
from site_models.names import Name
from site_models.schema import Tariff, TariffId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Minutes = Annotated[int, Meta(ge=1, le=1440)]
_Minor = Annotated[int, Meta(ge=0, le=10**9)]


class TariffEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[tariffs]]`` table."""

    id: Name
    version: Annotated[int, Meta(ge=1, le=10**6)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    step_minutes: _Minutes
    price_minor: _Minor
    holds_from: datetime | None = None
    grace_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    day_cap_minor: _Minor | None = None
    max_minor: _Minor | None = None
    exit_minutes: Annotated[int, Meta(ge=0, le=1440)] = 15


def tariffs_of(entries: tuple[TariffEntry, ...], faults: Faults) -> tuple[Tariff, ...]:
    """The tariffs by the time from which they hold; says where two cannot be told apart."""
    tariffs = sorted((_tariff(entry, faults) for entry in entries), key=lambda one: (one.from_us, one.id, one.version))
    for n, one in enumerate(tariffs):
        for other in tariffs[:n]:
            where = f"site.toml: tariff '{one.id}' version {one.version}"
            if (one.id, one.version) == (other.id, other.version):
                faults.add(where, "is there twice; stays name it, so give changed terms another version")
            if one.from_us == other.from_us:
                faults.add(
                    where, f"holds from the same time as '{other.id}' version {other.version}; give one another holds_from"
                )
    return tuple(tariffs)


def time_text(from_us: int) -> str:
    """A time as TOML writes it."""
    return (_EPOCH + timedelta(microseconds=from_us)).isoformat()


def _tariff(entry: TariffEntry, faults: Faults) -> Tariff:
    from_us = 0
    if entry.holds_from is not None:
        if entry.holds_from.tzinfo is None:
            faults.add(f"site.toml: tariff '{entry.id}'", "holds_from has no UTC offset; end it with Z or +hh:mm")
        else:
            from_us = (entry.holds_from - _EPOCH) // timedelta(microseconds=1)
    return Tariff(
        id=TariffId(entry.id),
        version=entry.version,
        currency=entry.currency,
        step_minutes=entry.step_minutes,
        price_minor=entry.price_minor,
        from_us=from_us,
        grace_minutes=entry.grace_minutes,
        day_cap_minor=entry.day_cap_minor,
        max_minor=entry.max_minor,
        exit_minutes=entry.exit_minutes,
    )
