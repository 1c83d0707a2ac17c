"""What stays rest on: crossings of the boundary, names that were found to be one, and what cameras saw about then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from twin.errors import TooLarge
from twin.events.codec import rfc3339
from twin.events.envelope import RecordedFact
from twin.events.facts import (
    IdentitiesMerged,
    PortalCrossed,
    SessionAmended,
    SessionClosed,
    SessionFlag,
    SessionOpened,
    SessionOrphaned,
    TrackletAssigned,
)
from twin.events.ids import SECOND, Micros, SiteId
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.sessions import SESSION_TYPES

TYPES = (*SESSION_TYPES, "portal.crossed.v1", "identities.merged.v1", "tracklet.assigned.v1")

BEFORE: Micros = 60 * SECOND
"""What was seen so long before a stay began is looked through for what belongs to it."""
SEEN_WITHIN: Micros = 15 * SECOND
"""Tracklets that became a vehicle's so near to a crossing are what was seen of it there."""
MOST_TRACKLETS = 4
"""Shown of one crossing, the nearest in time."""

MOST_FACTS = 500_000
"""Read for one answer."""

End = Literal["entry", "exit"]
_Told = SessionOpened | SessionClosed | SessionOrphaned | SessionAmended


async def facts_of(
    log: Log, site: SiteId, moment: Moment, *, after_at: Micros, types: Sequence[str], subject: str | None = None, instead: str
) -> list[RecordedFact]:
    """Net facts of these types after a valid time, in order of time.

    Args:
        instead: what to ask where they are too many: the end of the error's sentence.

    Raises:
        TooLarge: more than ``MOST_FACTS``.
    """
    found: list[RecordedFact] = []
    async for page in net_facts(log, site, moment, after_at=after_at, types=types, subject=subject):
        found += page
        if len(found) > MOST_FACTS:
            raise TooLarge(
                f"over {MOST_FACTS} facts of site '{site}' since {rfc3339(found[0].event.occurred_at)} would be read; {instead}"
            )
    return found


class CrossingView(Struct, frozen=True, kw_only=True):
    """One end of a stay, as it was seen.

    Attributes:
        vehicle: whose crossing it was, by the name that it had then.
        certainty: 0..1, that this vehicle crossed here.
        tracklets: what cameras saw of that vehicle about then, the nearest in time first.
    """

    fact: str
    vehicle: str
    portal: str
    at: str
    certainty: float
    speed_mps: float
    flags: tuple[SessionFlag, ...]
    tracklets: tuple[str, ...]


class NameView(Struct, frozen=True, kw_only=True):
    """Two names that the stay takes for one; ``decision`` None: the twin found that out, and a split takes it back."""

    vehicle: str
    merged: str
    at: str
    decision: str | None


class Evidence:
    """What net facts of ``TYPES``, in order of time, say beside the stays themselves.

    Attributes:
        decided: sessions that a person decided about; setting a plate is no answer to a doubt.
    """

    def __init__(self, facts: Iterable[RecordedFact]) -> None:
        self.decided: set[str] = set()
        self._crossings: dict[str, tuple[Micros, PortalCrossed]] = {}
        self._merges: dict[str, tuple[Micros, IdentitiesMerged]] = {}
        self._by_session: dict[str, tuple[str, ...]] = {}
        self._plates: dict[str, str | None] = {}
        self._assigned: dict[str, list[tuple[Micros, str]]] = defaultdict(list)
        for fact in facts:
            self._add(fact)

    def ends(self, session: str, vehicle: str) -> Mapping[End, CrossingView]:
        """The first crossing inwards and the last one outwards that a stay rests on; ``vehicle`` is its name now."""
        facts = [one for one in self._by_session.get(session, ()) if one in self._crossings]
        by_time = sorted(facts, key=lambda one: self._crossings[one][0])
        inwards = [one for one in by_time if self._crossings[one][1].direction == "in"]
        outwards = [one for one in by_time if self._crossings[one][1].direction == "out"]
        found: dict[End, CrossingView] = {}
        if inwards:
            found["entry"] = self._crossing(inwards[0], vehicle)
        if outwards:
            found["exit"] = self._crossing(outwards[-1], vehicle)
        return found

    def names(self, session: str) -> tuple[NameView, ...]:
        """Names that were found to be one, that a stay rests on."""
        told = [self._merges[one] for one in self._by_session.get(session, ()) if one in self._merges]
        return tuple(
            NameView(vehicle=one.vehicle, merged=one.merged, at=rfc3339(at), decision=one.decision) for at, one in told
        )

    def _add(self, recorded: RecordedFact) -> None:
        event = recorded.event
        match event.payload:
            case PortalCrossed() as crossed:
                self._crossings[event.id] = event.occurred_at, crossed
            case IdentitiesMerged() as merged:
                self._merges[event.id] = event.occurred_at, merged
            case TrackletAssigned() as assigned:
                self._assigned[assigned.vehicle].append((event.occurred_at, assigned.tracklet))
            case SessionAmended() | SessionOpened() | SessionClosed() | SessionOrphaned() as told:
                self._by_session[told.session] = told.evidence
                self._note_decision(told)
            case _:
                pass

    def _note_decision(self, told: _Told) -> None:
        if not isinstance(told, SessionAmended):
            return
        before, self._plates[told.session] = self._plates.get(told.session), told.plate
        if told.reason == "operator" and told.plate == before:
            self.decided.add(told.session)

    def _crossing(self, fact: str, vehicle: str) -> CrossingView:
        at, crossed = self._crossings[fact]
        return CrossingView(
            fact=fact,
            vehicle=crossed.vehicle,
            portal=crossed.portal,
            at=rfc3339(at),
            certainty=crossed.certainty,
            speed_mps=crossed.speed_mps,
            flags=crossed.flags,
            tracklets=self._seen(at, dict.fromkeys((crossed.vehicle, vehicle))),
        )

    def _seen(self, at: Micros, vehicles: Iterable[str]) -> tuple[str, ...]:
        near = [(abs(then - at), name) for one in vehicles for then, name in self._assigned.get(one, ())]
        ordered = sorted(one for one in near if one[0] <= SEEN_WITHIN)
        return tuple(dict.fromkeys(name for _, name in ordered))[:MOST_TRACKLETS]
