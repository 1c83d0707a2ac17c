"""Who was in a zone between two times, as known at a position."""

from __future__ import annotations

from twin.errors import TooLarge
from twin.events.facts import VehicleConfirmed, VehicleMoved, VehicleParked
from twin.events.ids import Micros, VehicleId
from twin.log.port import Log
from twin.projections.moment import Moment, check_moment
from twin.projections.net import net_facts
from twin.projections.timeline import Timeline

TYPES = tuple(str(kind.__struct_config__.tag) for kind in (VehicleConfirmed, VehicleMoved, VehicleParked))
MOST_FACTS = 500_000


async def zone_visitors(
    log: Log, timeline: Timeline, zone: str, *, from_at: Micros, until_at: Micros, known_at: int
) -> frozenset[VehicleId]:
    """Vehicles that a fact places in a zone then, or that were in it when the time began.

    Raises:
        Cut: retention took movement of that time.
        TooLarge: more facts than can be looked through.
    """
    site = timeline.site.name
    await check_moment(log, site, Moment(at=from_at, known_at=known_at))
    before = await timeline.state(from_at, known_at)
    found = {VehicleId(one["vehicle"]) for one in before["vehicles"] if one["zone"] == zone}
    n_facts = 0
    async for facts in net_facts(log, site, Moment(at=until_at, known_at=known_at), after_at=from_at, types=TYPES):
        n_facts += len(facts)
        if n_facts > MOST_FACTS:
            raise TooLarge(f"over {MOST_FACTS} facts of site '{site}' place vehicles in that time; ask for a shorter one")
        for fact in facts:
            payload = fact.event.payload
            if isinstance(payload, VehicleConfirmed | VehicleMoved | VehicleParked) and payload.zone == zone:
                found.add(payload.vehicle)
    return frozenset(found)
