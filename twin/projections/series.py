"""Counts of a site over time, in one pass over its facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from twin.errors import Contradiction, TooLarge
from twin.events.codec import rfc3339
from twin.events.ids import Micros
from twin.events.state import CountersView, ZoneView
from twin.graph.apply import apply
from twin.graph.query import counts
from twin.log.port import Log
from twin.projections.moment import Moment
from twin.projections.net import net_facts
from twin.projections.timeline import Timeline

MOST_STEPS = 2_000
MOST_FACTS = 500_000


class SeriesPoint(Struct, frozen=True, kw_only=True):
    """Zones and counters at one time, as the state has them."""

    at: str
    zones: list[ZoneView]
    counters: CountersView


class SeriesView(Struct, frozen=True, kw_only=True):
    """Counts at ``from``, and each ``step_s`` seconds after it until ``until``, as known at ``position``."""

    site: str
    position: str
    step_s: int
    points: list[SeriesPoint]


async def occupancy_series(
    log: Log, timeline: Timeline, *, from_at: Micros, until_at: Micros, step: Micros, known_at: int, zone: str | None = None
) -> list[dict[str, Any]]:
    """Points as ``SeriesPoint`` describes them; each equals what ``occupancy`` of the state at its time says.

    Raises:
        Contradiction: the time is empty, or has more steps than ``MOST_STEPS``.
        Cut: retention took movement of that time.
        TooLarge: more facts than can be gone through.
    """
    times = _times(from_at, until_at, step)
    graph = await timeline.graph(Moment(at=from_at, known_at=known_at))
    points, next_at, n_facts = list[dict[str, Any]](), next(times), 0
    until = Moment(at=until_at, known_at=known_at)
    async for facts in net_facts(log, timeline.site.name, until, after_at=from_at):
        n_facts += len(facts)
        if n_facts > MOST_FACTS:
            raise TooLarge(f"over {MOST_FACTS} facts of site '{timeline.site.name}' are in that time; ask for a shorter one")
        for fact in facts:
            while next_at is not None and fact.event.occurred_at > next_at:
                points.append(_point(graph, next_at, zone))
                next_at = next(times, None)
            apply(graph, fact)
    while next_at is not None:
        points.append(_point(graph, next_at, zone))
        next_at = next(times, None)
    return points


def _times(from_at: Micros, until_at: Micros, step: Micros) -> Iterator[Micros | None]:
    if from_at > until_at:
        raise Contradiction(f"from={rfc3339(from_at)} is after until={rfc3339(until_at)}; swap them")
    if (until_at - from_at) // step >= MOST_STEPS:
        raise Contradiction(
            f"{(until_at - from_at) // step + 1} steps are more than {MOST_STEPS}; take longer ones, or ask for a shorter time"
        )
    return iter(range(from_at, until_at + 1, step))


def _point(graph: Any, at: Micros, zone: str | None) -> dict[str, Any]:
    return {"at": rfc3339(at), **counts(graph, zone)}
