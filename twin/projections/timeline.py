"""The site at any (``at``, ``known_at``): from strips of the past, or where they do not reach, a fold of facts.

That fold begins at the nearest saved graph that nothing has disturbed. A graph saved at (t_s, p_s) serves (t, p) if t_s <= t,
p_s <= p, and no fact in positions (p_s, p] occurred at or before t_s or supersedes one that did: then it holds exactly the net
facts, as known at p, that occurred until t_s.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from msgspec import Struct

from site_models.schema import Site
from twin.errors import CodecError
from twin.events.ids import Micros
from twin.graph.apply import apply
from twin.graph.as_json import state_json
from twin.graph.model import SiteGraph, site_graph
from twin.graph.query import state
from twin.graph.snapshot import pack, restore, version_of
from twin.log.port import Log, Snapshot
from twin.projections.moment import BEFORE_ALL, Moment, check_moment, known_position
from twin.projections.net import net_facts
from twin.projections.strips.index import StripIndex
from twin.projections.strips.opened import OpenStrips

KIND = "graph"
RUNGS = 32
RUNG_FACTS = 2_000
SPARE_GRAPHS = 4
EARLIER_KEPT = 4

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class EarlierMap(Struct, frozen=True):
    """A map that facts were concluded with, up to a position and from the end of the one before it."""

    until: int
    site: Site


def map_in_force(present: Site, earlier: Sequence[EarlierMap], position: int | None) -> Site:
    """The map that facts at a position were concluded with; None: the present one."""
    return next((one.site for one in earlier if position is not None and position <= one.until), present)


class Timeline:
    """Reads of one site's past and present, on one map of it.

    Attributes:
        site: the map.
        strips: see ``twin.projections.strips``; ``SnapshotRunner`` builds them. Where they do not reach, it remembers the
            graphs it passed on long folds (``RUNGS`` at most), so that a history which a correction has disturbed is folded
            from the start once, and not at every read.
    """

    def __init__(
        self,
        log: Log,
        site: Site,
        *,
        rung_facts: int = RUNG_FACTS,
        opened: OpenStrips | None = None,
        earlier: Sequence[EarlierMap] = (),
    ) -> None:
        self.site = site
        self.version = version_of(site)
        self.strips = StripIndex(log, site, self.version, opened=opened)
        self._log = log
        self._rung_facts = rung_facts
        self._rungs: dict[tuple[Micros, int], bytes] = {}
        self._blank = pack(site_graph(site))
        self._spare: list[SiteGraph] = []
        self._opened, self._maps = opened, tuple(earlier)
        self._earlier: dict[str, Timeline] = {}

    def as_known(self, position: int | None) -> Timeline:
        """The reads on the map that was in force at a fact position: with it their answers never change.

        Args:
            position: the ``known_at`` that was asked for; None: no position was asked for, and the present map is meant.
        """
        site = map_in_force(self.site, self._maps, position)
        if site is self.site or (version := version_of(site)) == self.version:
            return self
        found = self._earlier.pop(version, None)
        if found is None:
            found = Timeline(self._log, site, rung_facts=self._rung_facts, opened=self._opened)
        self._earlier[version] = found
        while len(self._earlier) > EARLIER_KEPT:
            del self._earlier[next(iter(self._earlier))]
        return found

    async def state(self, at: Micros | None = None, known_at: int | None = None) -> dict[str, Any]:
        """The state of the site, canonical: equal to ``naive.replay`` byte for byte.

        Args:
            at: valid time; None is everything known.
            known_at: last fact position that the answer may know; None is the head.

        Raises:
            NotFound: ``known_at`` is beyond the fact log's head.
            Cut: retention took movement that the answer would need.
        """
        return await self._told(at, known_at, state)

    async def state_json(self, at: Micros | None = None, known_at: int | None = None) -> bytes:
        """The state as canonical JSON: the same, in half of the time. Raises as ``state`` does."""
        return await self._told(at, known_at, state_json)

    async def _told(self, at: Micros | None, known_at: int | None, tell: Callable[..., T]) -> T:
        if known_at is None or not 0 <= known_at <= self.strips.built_to:  # else the log has reached it
            known_at = await known_position(self._log, self.site.name, known_at)
        moment = Moment(at=at, known_at=known_at)
        cuts = await check_moment(self._log, self.site.name, moment)
        found = await self.strips.graph(moment, cuts)
        if found is not None:
            return tell(found, at=at, position=moment.known_at)
        async with self._folded(moment) as graph:
            return tell(graph, at=at, position=moment.known_at)

    async def graph(self, moment: Moment) -> SiteGraph:
        """The site at a moment, to be folded on from there; maybe without edges and tracklets. Raises Cut as ``state`` does."""
        cuts = await check_moment(self._log, self.site.name, moment)
        found = await self.strips.graph(moment, cuts)
        if found is None:
            found = site_graph(self.site)
            restore(found, await self.packed(moment))
        return found

    async def snapshot(self, moment: Moment) -> Snapshot:
        """The graph at a moment whose ``at`` is given, as the log keeps it."""
        assert moment.at is not None
        return Snapshot(
            site=self.site.name,
            kind=KIND,
            version=self.version,
            position=moment.known_at,
            at=moment.at,
            body=await self.packed(moment),
        )

    async def packed(self, moment: Moment) -> bytes:
        """The changing part of the graph at a moment, maybe without tracklets; ``twin.graph.snapshot.restore`` reads it."""
        cuts = await check_moment(self._log, self.site.name, moment)
        found = await self.strips.graph(moment, cuts)
        if found is not None:
            found.position = moment.known_at
            return pack(found)
        async with self._folded(moment) as graph:
            return pack(graph)

    @asynccontextmanager
    async def _folded(self, moment: Moment) -> AsyncIterator[SiteGraph]:
        """A graph at a moment, on loan: building what stands still takes longer than most folds."""
        await check_moment(self._log, self.site.name, moment)
        graph = self._spare.pop() if self._spare else site_graph(self.site)
        try:
            await self._fold(graph, moment)
            yield graph
        finally:
            if len(self._spare) < SPARE_GRAPHS:
                self._spare.append(graph)

    async def _fold(self, graph: SiteGraph, moment: Moment) -> None:
        base_at, base = await self._base(moment)
        try:
            restore(graph, base)
        except CodecError as damaged:
            _logger.warning("site '%s': %s", self.site.name, damaged)
            base_at = BEFORE_ALL
            restore(graph, self._blank)
        n_applied = 0
        async for facts in net_facts(self._log, self.site.name, moment, after_at=base_at):
            for fact in facts:
                if n_applied >= self._rung_facts and fact.event.occurred_at > graph.at:
                    self._remember(graph, moment.known_at)
                    n_applied = 0
                apply(graph, fact)
                n_applied += 1

    async def _base(self, moment: Moment) -> tuple[Micros, bytes]:
        """The latest graph that serves a moment, and the valid time it stands at."""
        stored = await self._log.load_snapshots(
            self.site.name, KIND, self.version, until_position=moment.known_at, until_at=moment.until_at
        )
        found = {(snapshot.at, snapshot.position): snapshot.body for snapshot in stored}
        found |= {key: body for key, body in self._rungs.items() if key[0] <= moment.until_at and key[1] <= moment.known_at}
        least = (await self._log.cuts(self.site.name)).movement  # what disturbed an older one may be cut
        for at, position in sorted((one for one in found if one[1] >= least), reverse=True):
            if not await self._log.facts_disturbing(self.site.name, at=at, after=position, until=moment.known_at):
                return at, found[at, position]
        return BEFORE_ALL, self._blank

    def _remember(self, graph: SiteGraph, known_at: int) -> None:
        self._rungs[graph.at, known_at] = pack(graph)
        while len(self._rungs) > RUNGS:
            del self._rungs[next(iter(self._rungs))]
