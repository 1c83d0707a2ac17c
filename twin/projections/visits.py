"""When vehicles came into a zone and left it."""

from __future__ import annotations

import asyncio
from typing import Any

from twin.errors import Contradiction, TooLarge
from twin.events.codec import rfc3339
from twin.events.facts import (
    IdentitiesMerged,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import Micros
from twin.graph.apply import apply
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.series import FACTS_AT_ONCE
from twin.projections.site_answers import VisitView
from twin.projections.timeline import Timeline

_KINDS = (
    IdentitiesMerged,
    VehicleConfirmed,
    VehicleDismissed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
_TYPES = tuple(str(kind.__struct_config__.tag) for kind in _KINDS)
MOST_FACTS = 500_000


async def zone_visits(
    log: Log, timeline: Timeline, zone: str, *, from_at: Micros, until_at: Micros, known_at: int
) -> list[VisitView]:
    """Vehicles that the state places in a zone at any time from one to another.

    Raises:
        Contradiction: the time is empty.
        Cut: retention took movement of that time.
        TooLarge: more facts than can be gone through.
    """
    if from_at > until_at:
        raise Contradiction(f"from={rfc3339(from_at)} is after until={rfc3339(until_at)}; swap them")
    graph = await timeline.graph(Moment(at=from_at, known_at=known_at))
    inside: dict[str, Micros | None] = {name: None for name, now in graph.each("vehicle") if now.zone == zone}
    spans = list[tuple[str, Micros | None, Micros | None]]()
    site, n_facts = timeline.site.name, 0
    async for facts in net_facts(log, site, Moment(at=until_at, known_at=known_at), after_at=from_at, types=_TYPES):
        n_facts += len(facts)
        if n_facts > MOST_FACTS:
            raise TooLarge(f"over {MOST_FACTS} facts of site '{site}' place vehicles in that time; ask for a shorter one")
        for n, fact in enumerate(facts, 1):
            if n % FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
            apply(graph, fact)
            vehicle, at = _vehicle_of(fact.event.payload), fact.event.occurred_at
            now = graph.now("vehicle", vehicle)
            is_inside = now is not None and now.zone == zone
            if is_inside and vehicle not in inside:
                inside[vehicle] = at
            elif not is_inside and vehicle in inside:
                spans.append((vehicle, inside.pop(vehicle), at))
    spans += ((vehicle, entered_at, None) for vehicle, entered_at in inside.items())
    return [_view(*span) for span in sorted(spans, key=lambda one: (one[1] is not None, one[1] or 0, one[0]))]


def _vehicle_of(payload: Any) -> str:
    return payload.merged if isinstance(payload, IdentitiesMerged) else payload.vehicle


def _view(vehicle: str, entered_at: Micros | None, left_at: Micros | None) -> VisitView:
    return VisitView(
        vehicle=vehicle,
        entered_at=None if entered_at is None else rfc3339(entered_at),
        left_at=None if left_at is None else rfc3339(left_at),
    )
