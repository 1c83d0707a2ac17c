"""How full a site is: the part of its state that counts."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from twin.graph.query import CountersView, StallView, ZoneView


class OccupancyView(Struct, frozen=True, kw_only=True):
    """Zones, stalls and counters of a site's state."""

    site: str
    at: str
    position: str
    zones: list[ZoneView]
    stalls: list[StallView]
    counters: CountersView


def occupancy(state: dict[str, Any]) -> dict[str, Any]:
    """The part of a state that ``OccupancyView`` describes."""
    return {name: state[name] for name in OccupancyView.__struct_fields__}
