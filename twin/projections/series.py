"""Counts of a site over time, in one pass over its facts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from site_models.schema import Site
from twin.errors import Contradiction, TooLarge
from twin.events.codec import rfc3339
from twin.events.envelope import RecordedFact
from twin.events.ids import Micros
from twin.graph.apply import apply
from twin.graph.model import SiteGraph
from twin.graph.query import counts
from twin.log.port import Log
from twin.projections.moment import FOREVER, Moment
from twin.projections.net import net_facts
from twin.projections.stalls_watched import StallsWatched
from twin.projections.timeline import Timeline

MOST_STEPS = 2_000
MOST_COUNTS = 100_000
"""Steps times zones."""
MOST_FACTS = 500_000
FACTS_AT_ONCE = 1_000
"""Gone through before others of the process get their turn."""
_POINTS_AT_ONCE = 4


async def occupancy_series(
    log: Log,
    timeline: Timeline,
    *,
    from_at: Micros,
    until_at: Micros,
    step: Micros,
    known_at: int,
    zone: str | None = None,
    watched: Site | None = None,
) -> list[dict[str, Any]]:
    """Points as ``SeriesPoint`` describes them; each counts what ``occupancy`` of the state at its time says.

    Args:
        watched: the site with its cameras as they are calibrated, which says who looks at stalls; None: as the model has them.

    Raises:
        Contradiction: the time is empty, or has more steps than ``MOST_STEPS``.
        Cut: retention took movement of that time.
        TooLarge: more facts than can be gone through, or more counts than ``MOST_COUNTS``.
    """
    times = _times(from_at, until_at, step)
    _check_counts(len(times), timeline.site, zone)
    graph = await timeline.graph(Moment(at=from_at, known_at=known_at))
    looks = await asyncio.to_thread(StallsWatched, timeline.site if watched is None else watched)
    told = _Told(graph, iter(times), zone, looks)
    until, n_facts = Moment(at=until_at, known_at=known_at), 0
    async for facts in net_facts(log, timeline.site.name, until, after_at=from_at):
        n_facts += len(facts)
        if n_facts > MOST_FACTS:
            raise TooLarge(f"over {MOST_FACTS} facts of site '{timeline.site.name}' are in that time; ask for a shorter one")
        for n, fact in enumerate(facts, 1):
            await told.before(fact.event.occurred_at)
            told.take(fact)
            if n % FACTS_AT_ONCE == 0:
                await asyncio.sleep(0)
    await told.before(FOREVER)
    return told.points


class _Told:
    """Points so far, and the graph that the next ones are counted in."""

    def __init__(self, graph: SiteGraph, times: Iterator[Micros], zone: str | None, watched: StallsWatched) -> None:
        self.points = list[dict[str, Any]]()
        self._graph, self._times, self._zone, self._watched = graph, times, zone, watched
        self._next_at = next(times, None)
        self._counts: dict[str, Any] | None = None  # while no fact came since

    async def before(self, at: Micros) -> None:
        """Add the points of times before a fact's; others get their turn between some of them."""
        while self._next_at is not None and at > self._next_at:
            if self._counts is None:
                found = counts(self._graph, self._zone)
                self._counts = {**found, "zones": self._watched.counted(self._graph, found["zones"])}
            self.points.append({"at": rfc3339(self._next_at), **self._counts})
            self._next_at = next(self._times, None)
            if len(self.points) % _POINTS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def take(self, fact: RecordedFact) -> None:
        """Go on by a fact."""
        apply(self._graph, fact)
        self._counts = None


def _times(from_at: Micros, until_at: Micros, step: Micros) -> range:
    if from_at > until_at:
        raise Contradiction(f"from={rfc3339(from_at)} is after until={rfc3339(until_at)}; swap them")
    if (until_at - from_at) // step >= MOST_STEPS:
        raise Contradiction(
            f"{(until_at - from_at) // step + 1} steps are more than {MOST_STEPS}; take longer ones, or ask for a shorter time"
        )
    return range(from_at, until_at + 1, step)


def _check_counts(n_steps: int, site: Site, zone: str | None) -> None:
    n_zones = len(site.zones) if zone is None else 1
    if n_steps * n_zones > MOST_COUNTS:
        raise TooLarge(
            f"{n_steps} steps of {n_zones} zones are more than {MOST_COUNTS} counts; take longer steps, a shorter time, or one"
            " zone (zone=)"
        )
