"""Which vehicle a tracklet belongs to, as known at a moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import cached_property

from twin.events.envelope import RecordedFact
from twin.events.facts import FactRetracted, TrackletAssigned
from twin.events.ids import Micros, SiteId, TrackletId, VehicleId
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts

TYPES = (str(TrackletAssigned.__struct_config__.tag),)
RETRACTED = str(FactRetracted.__struct_config__.tag)
PAGE = 5_000
N_MOMENTS = 8

_Assignment = tuple[Micros, int, VehicleId]


class Assigned:
    """Who is who at a moment."""

    def __init__(self, vehicle_of: Mapping[TrackletId, VehicleId]) -> None:
        self.vehicle_of = vehicle_of

    @cached_property
    def tracklets_of(self) -> Mapping[VehicleId, list[TrackletId]]:
        """Tracklets by vehicle, sorted."""
        found: dict[VehicleId, list[TrackletId]] = {}
        for tracklet in sorted(self.vehicle_of):
            found.setdefault(self.vehicle_of[tracklet], []).append(tracklet)
        return found


class Identities:
    """Assignments of one site; what is known now is kept, and brought up to date by what is new."""

    def __init__(self, log: Log, site: SiteId) -> None:
        self._log = log
        self._site = site
        self._head: dict[TrackletId, _Assignment] = {}
        self._position = 0
        self._past: OrderedDict[Moment, Assigned] = OrderedDict()
        self._lock = asyncio.Lock()

    async def at(self, moment: Moment) -> Assigned:
        """Vehicles and their tracklets; where a tracklet was assigned more than once, the last assignment holds.

        Raises:
            TooLarge: see ``net_facts``.
        """
        async with self._lock:
            if (known := self._past.get(moment)) is not None:
                self._past.move_to_end(moment)
                return known
            if moment.at is None and moment.known_at >= self._position:
                await self._advance(moment.known_at)
                known = await asyncio.to_thread(_assigned, dict(self._head))
            else:
                known = await asyncio.to_thread(_assigned, await self._read(moment))
            self._past[moment] = known  # facts up to a position never change
            if len(self._past) > N_MOMENTS:
                self._past.popitem(last=False)
            return known

    async def _advance(self, position: int) -> None:
        while self._position < position:
            facts = await self._log.facts(self._site, after=self._position, limit=PAGE, types=(*TYPES, RETRACTED))
            if any(fact.event.supersedes for fact in facts if fact.position <= position):
                self._head = await self._read(Moment(at=None, known_at=position))
                self._position = position
                return
            _assign(self._head, (fact for fact in facts if fact.position <= position))
            is_all = len(facts) < PAGE or facts[-1].position >= position
            self._position = position if is_all else facts[-1].position

    async def _read(self, moment: Moment) -> dict[TrackletId, _Assignment]:
        assignments: dict[TrackletId, _Assignment] = {}
        async for facts in net_facts(self._log, self._site, moment, types=TYPES):
            _assign(assignments, facts)
        return assignments


def _assign(assignments: dict[TrackletId, _Assignment], facts: Iterable[RecordedFact]) -> None:
    for fact in facts:
        payload = fact.event.payload
        if not isinstance(payload, TrackletAssigned):
            continue
        found: _Assignment = (fact.event.occurred_at, fact.position, payload.vehicle)
        before = assignments.get(payload.tracklet)
        assignments[payload.tracklet] = found if before is None else max(before, found)


def _assigned(assignments: Mapping[TrackletId, _Assignment]) -> Assigned:
    """Sorted beside the event loop: there may be hundreds of thousands."""
    known = Assigned(_vehicles(assignments))
    _ = known.tracklets_of
    return known


def _vehicles(assignments: Mapping[TrackletId, _Assignment]) -> Mapping[TrackletId, VehicleId]:
    return {tracklet: vehicle for tracklet, (_, _, vehicle) in assignments.items()}
