"""How full a site is: the part of its state that counts."""

from __future__ import annotations

from typing import Any

from twin.events.state import OccupancyView


def occupancy(state: dict[str, Any]) -> dict[str, Any]:
    """The part of a state that ``OccupancyView`` describes."""
    return {name: state[name] for name in OccupancyView.__struct_fields__}
