"""Which vehicle a tracklet belongs to, as known at a moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from retrieval.layered import Layered
from twin.events.envelope import FactEvent
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
        self.vehicle_of: Layered[TrackletId, VehicleId] = Layered(vehicle_of)

    @cached_property
    def tracklets_of(self) -> Layered[VehicleId, list[TrackletId]]:
        """Tracklets by vehicle, sorted."""
        found: dict[VehicleId, list[TrackletId]] = {}
        for tracklet in sorted(self.vehicle_of):
            found.setdefault(self.vehicle_of[tracklet], []).append(tracklet)
        return Layered(found)

    def changed(self, assigned: Mapping[TrackletId, VehicleId]) -> Assigned:
        """After some tracklets were assigned anew; what did not change is shared, not copied."""
        moved = {name: vehicle for name, vehicle in assigned.items() if self.vehicle_of.get(name) != vehicle}
        touched: dict[VehicleId, set[TrackletId]] = {}
        for name, vehicle in moved.items():
            for one in (self.vehicle_of.get(name), vehicle):
                if one is not None and one not in touched:
                    touched[one] = set(self.tracklets_of.get(one, ()))
        for name, vehicle in moved.items():
            if (before := self.vehicle_of.get(name)) is not None:
                touched[before].discard(name)
            touched[vehicle].add(name)
        found = Assigned({})
        found.vehicle_of = self.vehicle_of.changed(moved)
        found.tracklets_of = self.tracklets_of.changed({one: sorted(names) or None for one, names in touched.items()})
        return found


class Identities:
    """Assignments of one site; what is known now is kept, and brought up to date by what is new."""

    def __init__(self, log: Log, site: SiteId) -> None:
        self._log = log
        self._site = site
        self._head: dict[TrackletId, _Assignment] = {}
        self._latest = Assigned({})
        self._changes: dict[TrackletId, VehicleId] = {}  # that the latest lacks
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
                known = self._latest
            else:
                known = await asyncio.to_thread(_assigned, await self._read(moment))
            self._past[moment] = known  # facts up to a position never change
            if len(self._past) > N_MOMENTS:
                self._past.popitem(last=False)
            return known

    async def _advance(self, position: int) -> None:
        while self._position < position:
            facts = await self._log.facts(self._site, after=self._position, limit=PAGE, types=(*TYPES, RETRACTED))
            new = [fact for fact in facts if fact.position <= position]
            if any(fact.event.supersedes for fact in new):
                head = await self._read(Moment(at=None, known_at=position))
                self._latest, self._changes = await asyncio.to_thread(_assigned, head), {}
                self._head, self._position = head, position
                return
            self._changes |= _assign(self._head, ((fact.position, fact.event) for fact in new))
            is_all = len(facts) < PAGE or facts[-1].position >= position
            self._position = position if is_all else facts[-1].position
        if self._changes:  # also if who asked before went away; now and then all is written out, beside the event loop
            self._latest, self._changes = await asyncio.to_thread(self._latest.changed, self._changes), {}

    async def _read(self, moment: Moment) -> dict[TrackletId, _Assignment]:
        assignments: dict[TrackletId, _Assignment] = {}
        async for facts in net_facts(self._log, self._site, moment, types=TYPES):
            _assign(assignments, ((fact.position, fact.event) for fact in facts))
        return assignments


def assignments_of(facts: Sequence[FactEvent]) -> dict[TrackletId, VehicleId]:
    """Whom tracklets were last assigned to, by facts in their order of which some supersede others."""
    gone = {name for fact in facts for name in fact.supersedes}
    assignments: dict[TrackletId, _Assignment] = {}
    _assign(assignments, ((number, fact) for number, fact in enumerate(facts) if fact.id not in gone))
    return _vehicles(assignments)


def _assign(assignments: dict[TrackletId, _Assignment], facts: Iterable[tuple[int, FactEvent]]) -> dict[TrackletId, VehicleId]:
    """Take facts with their positions; returns whom the tracklets that they speak of are assigned to now."""
    told = set[TrackletId]()
    for position, fact in facts:
        if not isinstance(fact.payload, TrackletAssigned):
            continue
        found: _Assignment = (fact.occurred_at, position, fact.payload.vehicle)
        before = assignments.get(fact.payload.tracklet)
        assignments[fact.payload.tracklet] = found if before is None else max(before, found)
        told.add(fact.payload.tracklet)
    return {name: assignments[name][2] for name in told}


def _assigned(assignments: Mapping[TrackletId, _Assignment]) -> Assigned:
    """Sorted beside the event loop: there may be hundreds of thousands."""
    known = Assigned(_vehicles(assignments))
    _ = known.tracklets_of
    return known


def _vehicles(assignments: Mapping[TrackletId, _Assignment]) -> dict[TrackletId, VehicleId]:
    return {tracklet: vehicle for tracklet, (_, _, vehicle) in assignments.items()}
