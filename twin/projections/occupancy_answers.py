"""The shapes of answers about how full a site was and how it was used. They import nothing that is heavy."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from twin.events.state import CountersView
from twin.projections.lengths import LengthsView


class ZoneCounts(Struct, frozen=True, kw_only=True):
    """One zone: ``n_stalls`` is ``n_occupied`` + ``n_free`` + ``n_unknown``.

    Attributes:
        state: as ``ZoneView`` has it.
        n_free: stalls that are free, while cameras that deliver look at all of each.
        n_unknown: stalls of which that is not known, or was free when a camera that looked at it was lost.
    """

    zone: str
    state: Literal["known", "unknown"]
    n_vehicles: int
    n_stalls: int
    n_occupied: int
    n_free: int
    n_unknown: int


class SeriesPoint(Struct, frozen=True, kw_only=True):
    """Zones and counters at one time."""

    at: str
    zones: list[ZoneCounts]
    counters: CountersView


class SeriesView(Struct, frozen=True, kw_only=True):
    """Counts at ``from``, and each ``step_s`` seconds after it until ``until``, as known at ``position``."""

    site: str
    position: str
    step_s: int
    points: list[SeriesPoint]


class ZoneTurnover(Struct, frozen=True, kw_only=True):
    """One zone's stalls in the time asked for. Times are sums over its stalls: of ``n_stalls`` times its length.

    Attributes:
        free_s: while cameras that deliver looked at them.
        unknown_s: all else that was not ``occupied_s``.
        known_s: of all of it, what was known: ``free_s``, and occupied while cameras that deliver looked.
        occupied_share: 0..1 of ``known_s``; None where nothing was known.
        n_arrivals: vehicles that came to stand in a stall, once for each time.
        turnover_per_stall_h: arrivals for each stall and hour that was known; None where nothing was.
        parkings: of those that ended then, whose beginning and end were seen: how long they stood there.
        n_unmeasured: those that ended then whose beginning or end was not.
    """

    zone: str
    n_stalls: int
    occupied_s: float
    free_s: float
    unknown_s: float
    known_s: float
    occupied_share: float | None
    n_arrivals: int
    turnover_per_stall_h: float | None
    parkings: LengthsView
    n_unmeasured: int


class StaysView(Struct, frozen=True, kw_only=True):
    """Stays on the site: entries, exits, and how long those were that ended then."""

    n_entries: int
    n_exits: int
    lengths: LengthsView


class TurnoverView(Struct, frozen=True, kw_only=True):
    """How a site was used from one time to another, as known at ``position``; of zones those with stalls."""

    site: str
    position: str
    from_at: str
    until_at: str
    stays: StaysView
    zones: list[ZoneTurnover]
