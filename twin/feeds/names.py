"""Which vehicle each camera's tracklet is, by all that the fact log says so far: what puts a name to a box."""

from __future__ import annotations

from collections.abc import Sequence

from twin.events.envelope import RecordedFact
from twin.events.facts import FactRetracted, TrackletAssigned
from twin.events.ids import SECOND, EventId, Micros, SiteId, TrackletId, VehicleId
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts

MOST = 50_000
LOOK_BACK: Micros = 24 * 3_600 * SECOND
"""How far back assignments are read at the start: an edge's tracklet of a vehicle that stands may be as old."""

_PAGE = 10_000
_ASSIGNED = str(TrackletAssigned.__struct_config__.tag)
_RETRACTED = str(FactRetracted.__struct_config__.tag)


class TrackletNames:
    """The vehicle of each tracklet; of more than ``most`` tracklets, those that were named the longest ago are forgotten.

    Attributes:
        position: of the last fact that it knows.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self.position = 0
        self._most = most
        self._named: dict[TrackletId, tuple[VehicleId, EventId]] = {}
        self._tracklet_by_fact: dict[EventId, TrackletId] = {}

    def __len__(self) -> int:
        return len(self._named)

    def of(self, tracklet: str) -> VehicleId | None:
        """The name; None where the twin has taken the tracklet for no vehicle, or long ago."""
        found = self._named.get(TrackletId(tracklet))
        return None if found is None else found[0]

    def take(self, facts: Sequence[RecordedFact]) -> None:
        """The next facts of the log, of any type; those known already change nothing."""
        for recorded in facts:
            if recorded.position <= self.position:
                continue
            self.position = recorded.position
            self._apply(recorded)

    async def catch_up(self, log: Log, site: SiteId, *, until: int, at: Micros) -> None:
        """Read what the log says up to a position; at the start, only what occurred in the day before ``at``."""
        if self.position == 0:
            moment = Moment(at=None, known_at=until)
            async for facts in net_facts(log, site, moment, after_at=at - LOOK_BACK, types=(_ASSIGNED,)):
                for recorded in facts:
                    self._apply(recorded)
        while self.position < until and self.position > 0:
            facts = await log.facts(site, after=self.position, limit=_PAGE, types=(_ASSIGNED, _RETRACTED))
            self.take([one for one in facts if one.position <= until])
            if len(facts) < _PAGE or facts[-1].position >= until:
                break
        self.position = max(self.position, until)

    def _apply(self, recorded: RecordedFact) -> None:
        event = recorded.event
        if not isinstance(event.payload, TrackletAssigned | FactRetracted):
            return
        for one in event.supersedes:
            name = self._tracklet_by_fact.pop(one, None)
            if name is not None and self._named.get(name, ("", ""))[1] == one:
                del self._named[name]
        if isinstance(event.payload, TrackletAssigned):
            self._put(event.payload.tracklet, event.payload.vehicle, event.id)

    def _put(self, tracklet: TrackletId, vehicle: VehicleId, fact: EventId) -> None:
        if (before := self._named.pop(tracklet, None)) is not None:
            self._tracklet_by_fact.pop(before[1], None)
        self._named[tracklet] = vehicle, fact
        self._tracklet_by_fact[fact] = tracklet
        if len(self._named) > self._most:
            oldest = next(iter(self._named))
            self._tracklet_by_fact.pop(self._named.pop(oldest)[1], None)
