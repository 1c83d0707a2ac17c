"""The shapes of answers about what came to be known otherwise. They import nothing that is heavy."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from twin.events.state import CountersView, StallView, VehicleView, ZoneView
from twin.projections.sessions import SessionView


class SupersededFact(Struct, frozen=True, kw_only=True):
    """A fact that is not true any more, and the position of the one that says so."""

    fact: dict[str, Any]
    by: str


class VehicleChange(Struct, frozen=True, kw_only=True):
    """A vehicle as it was known to be, and as it is known to be later; None where it is not on the site."""

    vehicle: str
    before: VehicleView | None
    after: VehicleView | None


class StallChange(Struct, frozen=True, kw_only=True):
    """A stall as it was known to be, and later."""

    stall: str
    before: StallView
    after: StallView


class ZoneChange(Struct, frozen=True, kw_only=True):
    """A zone with its counts as it was known to be, and later."""

    zone: str
    before: ZoneView
    after: ZoneView


class SessionChange(Struct, frozen=True, kw_only=True):
    """A stay with its money as it was known to be, and later; None where it was not known."""

    session: str
    before: SessionView | None
    after: SessionView | None


class StateChange(Struct, frozen=True, kw_only=True):
    """What differs in the state at one valid time.

    Attributes:
        is_whole: no more of them differ than are told.
    """

    vehicles: list[VehicleChange]
    stalls: list[StallChange]
    zones: list[ZoneChange]
    sessions: list[SessionChange]
    counters_before: CountersView
    counters_after: CountersView
    is_whole: bool


class Changes(Struct, frozen=True, kw_only=True):
    """What came to be known after one position, until another.

    Attributes:
        added, superseded: a page of the facts that came to be known, and of those that were not true any more.
        next: ask again with ``after`` of this value for the next page; absent on the last one.
        state: what differs at ``at``; None on later pages, and where a stretch of time was asked for.
    """

    site: str
    from_position: str
    to_position: str
    added: list[dict[str, Any]]
    superseded: list[SupersededFact]
    state: StateChange | None
    next: str | UnsetType = UNSET
