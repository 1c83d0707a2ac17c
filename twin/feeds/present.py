"""The present state of a site, kept up fact by fact.

The log gives facts in the order in which they became known; the state is a fold in the order in which they occurred.
So the last seconds are kept apart: ``settled`` holds the facts that occurred up to ``settled_at``, ``recent`` those
after, and a fact that comes out of order, or supersedes a recent one, folds the recent ones again. One that reaches
back further makes ``take`` refuse, but for those of where a vehicle was while nobody saw it, and the first of a stall: what it
was all the time.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Any

from site_models.schema import Site
from twin.events.envelope import RecordedFact
from twin.events.facts import StallChanged, VehicleMoved
from twin.events.ids import SECOND, Micros
from twin.graph.apply import apply
from twin.graph.model import site_graph
from twin.graph.nodes import StallNow, VehicleNow
from twin.graph.query import state
from twin.graph.snapshot import pack, restore

SETTLE: Micros = 4 * SECOND  # stalls are told taken or free up to 3 s after they were


def _order(fact: RecordedFact) -> tuple[Micros, int]:
    return (fact.event.occurred_at, fact.position)


class Present:
    """The fold of all net facts up to ``position``.

    Attributes:
        is_stale: a fact reached back too far; the state means nothing until the next ``load``.
    """

    def __init__(self, site: Site, *, settle: Micros = SETTLE) -> None:
        self.position = 0
        self.is_stale = False
        self._settle = settle
        self._graph = site_graph(site)
        self._settled = site_graph(site)
        self._blank = pack(self._settled)
        self._settled_at: Micros | None = None  # None: no fact is settled, so none can come too late
        self._recent: list[RecordedFact] = []

    @property
    def n_recent(self) -> int:
        """Facts kept apart."""
        return len(self._recent)

    def cameras_by_zone(self) -> dict[str, frozenset[str]]:
        """Which cameras see a part of each zone."""
        pieces = self._graph.pieces_by_zone
        return {zone: frozenset[str]().union(*pieces[zone]) for zone in pieces}

    def load(self, facts: Sequence[RecordedFact], *, settled: bytes | None, settled_at: Micros | None, position: int) -> None:
        """Start from a packed graph that stands at ``settled_at`` and the net facts that occurred later."""
        restore(self._settled, self._blank if settled is None else settled)
        self._settled_at = settled_at
        self._recent = sorted(facts, key=_order)
        self.position = position
        self.is_stale = False
        self._refold()

    def take(self, facts: Sequence[RecordedFact]) -> bool:
        """Fold the next facts in; False where one reaches back behind what is settled, and a ``load`` is due."""
        is_ordered = True
        for fact in facts:
            if self._is_settled(fact) and (self._is_of_way(fact) or self._is_first_of_stall(fact)):
                self._fill(fact)
                is_ordered = False
                continue
            if not self._reaches(fact):
                self.is_stale = True
                return False
            is_ordered &= not fact.event.supersedes and fact.event.occurred_at >= self._graph.at
            insort(self._recent, fact, key=_order)
            if is_ordered:
                apply(self._graph, fact)
            self.position = fact.position
        if not is_ordered:
            self._refold()
        self._settle_old()
        return True

    def state(self) -> dict[str, Any]:
        """The state as ``Timeline.state()`` gives it at this position."""
        return state(self._graph, position=self.position)

    def _reaches(self, fact: RecordedFact) -> bool:
        """Drop what a fact supersedes; False where that, or its own time, is settled already."""
        if self._settled_at is not None and fact.event.occurred_at <= self._settled_at:
            return False
        if not fact.event.supersedes:
            return True
        superseded = set(fact.event.supersedes)
        kept = [one for one in self._recent if one.event.id not in superseded]
        n_dropped, self._recent = len(self._recent) - len(kept), kept
        return n_dropped == len(superseded)

    def _is_settled(self, fact: RecordedFact) -> bool:
        """Whether a fact that supersedes nothing is of a time that is settled."""
        return not fact.event.supersedes and self._settled_at is not None and fact.event.occurred_at <= self._settled_at

    @staticmethod
    def _is_of_way(fact: RecordedFact) -> bool:
        """Whether a fact tells where a vehicle had been that was found again."""
        return isinstance(fact.event.payload, VehicleMoved) and fact.event.payload.is_inferred

    def _is_first_of_stall(self, fact: RecordedFact) -> bool:
        """Whether a fact is of a stall of which nothing is settled."""
        payload = fact.event.payload
        now: StallNow | None = self._settled.now("stall", payload.stall) if isinstance(payload, StallChanged) else None
        return now is not None and now.since_at is None

    def _fill(self, fact: RecordedFact) -> None:
        """Settle it, unless something later of the vehicle is settled: the state has nothing else of it."""
        payload = fact.event.payload
        now: VehicleNow | None = self._settled.now("vehicle", payload.vehicle) if isinstance(payload, VehicleMoved) else None
        if isinstance(payload, StallChanged) or (now is not None and now.updated_at <= fact.event.occurred_at):
            apply(self._settled, fact)
        self.position = fact.position

    def _refold(self) -> None:
        restore(self._graph, pack(self._settled))
        for fact in self._recent:
            apply(self._graph, fact)

    def _settle_old(self) -> None:
        """Move facts that are older than two settling times, in one go, so that this is rare."""
        if not self._recent or self._recent[0].event.occurred_at > self._graph.at - 2 * self._settle:
            return
        until_at = self._graph.at - self._settle
        n_old = sum(fact.event.occurred_at <= until_at for fact in self._recent)
        for fact in self._recent[:n_old]:
            apply(self._settled, fact)
        self._recent = self._recent[n_old:]
        self._settled_at = until_at
