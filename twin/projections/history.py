"""What is known of one vehicle: its facts in the order in which they occurred, and where it was seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from twin.events.codec import to_cloudevent
from twin.events.envelope import RecordedFact
from twin.events.facts import (
    GateDecided,
    IdentitiesMerged,
    IdentitiesSplit,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
    StallChanged,
    TrackletAssigned,
    VehicleParked,
)
from twin.events.ids import SiteId, VehicleId
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts

# The log files these under the session or the stall that they are about, not under the vehicle.
_FILED_ELSEWHERE = tuple(
    str(kind.__struct_config__.tag)
    for kind in (
        GateDecided,
        IdentitiesMerged,
        IdentitiesSplit,
        SessionAmended,
        SessionClosed,
        SessionOpened,
        SessionOrphaned,
        StallChanged,
        VehicleParked,
    )
)


class SightingView(Struct, frozen=True, kw_only=True):
    """A camera's tracklet of a vehicle."""

    tracklet: str
    camera: str


async def vehicle_facts(log: Log, site: SiteId, vehicle: VehicleId, moment: Moment) -> list[RecordedFact]:
    """Net facts that name a vehicle, by (occurred_at, position)."""
    by_position: dict[int, RecordedFact] = {}
    async for facts in net_facts(log, site, moment, subject=vehicle):
        by_position |= {fact.position: fact for fact in facts}
    async for facts in net_facts(log, site, moment, types=_FILED_ELSEWHERE):
        by_position |= {fact.position: fact for fact in facts if vehicle in _named(fact)}
    return sorted(by_position.values(), key=lambda fact: (fact.event.occurred_at, fact.position))


def _named(fact: RecordedFact) -> tuple[str | None, str | None]:
    payload = fact.event.payload
    other = {IdentitiesMerged: "merged", IdentitiesSplit: "split"}.get(type(payload))
    return getattr(payload, "vehicle", None), None if other is None else getattr(payload, other)


def sightings(facts: list[RecordedFact]) -> list[SightingView]:
    """Tracklets that were assigned to the vehicle, in the order in which they were."""
    payloads = [fact.event.payload for fact in facts]
    found = {one.tracklet: one.camera for one in payloads if isinstance(one, TrackletAssigned)}
    return [SightingView(tracklet=tracklet, camera=camera) for tracklet, camera in found.items()]


def as_events(facts: list[RecordedFact]) -> list[dict[str, Any]]:
    """Facts as CloudEvents."""
    return [to_cloudevent(fact) for fact in facts]


async def stall_facts(log: Log, site: SiteId, stall: str, moment: Moment, *, last: int) -> list[RecordedFact]:
    """The last so many net facts of a stall, and of vehicles that parked in it, by (occurred_at, position)."""
    types = tuple(str(kind.__struct_config__.tag) for kind in (StallChanged, VehicleParked))
    return await _facts_about(log, site, "stall", stall, moment, last, types)


async def camera_facts(log: Log, site: SiteId, camera: str, moment: Moment, *, last: int) -> list[RecordedFact]:
    """The last so many net facts that the log files under a camera, by (occurred_at, position)."""
    return await _facts_about(log, site, "camera", camera, moment, last, ())


async def _facts_about(
    log: Log, site: SiteId, kind: str, name: str, moment: Moment, last: int, types: Sequence[str]
) -> list[RecordedFact]:
    """An id may be that of things of two kinds, which the log files together."""
    found = deque[RecordedFact](maxlen=last)
    async for facts in net_facts(log, site, moment, subject=name, types=types):
        found.extend(fact for fact in facts if getattr(fact.event.payload, kind, None) == name)
    return list(found)
