"""G9: arrival order, duplication and delay inside the horizon do not change the net view after the final watermark.

A run folds one site-day in time order, and again in permutations: every observation is delayed by up to 25 s of the horizon's
30, most by a little and some by much, a share comes twice, and the clock is logged by arrival. The net facts of each, and the
graph that they make, must be those of the fold in time order; facts about lateness, and ids of facts, are of the arrival and
left out. Control: a fold without a horizon.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator

import msgspec

from twin.evaluation.offline import FuseSummary, fuse
from twin.events.codec import canonical_json
from twin.events.envelope import DeviceKey, ObservationEvent, RecordedFact
from twin.events.facts import (
    ClockEstimated,
    FactRetracted,
    ObservationLate,
    SessionAmended,
    SessionClosed,
    SessionOpened,
    SessionOrphaned,
)
from twin.events.ids import SECOND, DeviceId, Micros
from twin.events.observations import ClockTicked
from twin.fusion.parameters import DEFAULTS, FusionParameters
from twin.graph.apply import apply
from twin.graph.model import site_graph
from twin.graph.query import state
from twin.projections.naive import net_of, stays_of
from twin.rules.fold import Fold

from .outcome import Outcome, tried
from .site_day import PROOF_SITE, START_AT, site_day

RUNS, FULL_RUNS = 4, 200
PERMUTATIONS, _SHORT = 20, 3
_SECONDS = 60
MOST_LATE: Micros = 25 * SECOND
_SOON: Micros = SECOND // 3
_DOUBLED, _DELAYED = 0.05, 0.1
_AFTERWARDS: Micros = 60 * SECOND  # until the final watermark: every late observation is fused by then

_OF_ARRIVAL = (ClockEstimated, ObservationLate, FactRetracted)
_OF_STAYS = (SessionOpened, SessionClosed, SessionOrphaned, SessionAmended)  # amended, never superseded


def prove(runs: int, seed: int) -> Outcome:
    """A run is a site-day in 20 permutations, or in 3 where there are few runs."""
    n = PERMUTATIONS if runs >= FULL_RUNS // 2 else _SHORT
    failures = tried(range(seed, seed + runs), lambda one: _refuted(one, n, DEFAULTS))
    without = msgspec.structs.replace(DEFAULTS, horizon_us=0)
    control = tried(range(seed, seed + 2), lambda one: _refuted(one, 1, without))
    return Outcome(runs, failures, "a fold that fuses nothing late", len(control))


def _refuted(seed: int, n_permutations: int, parameters: FusionParameters) -> str | None:
    events = [event for event in site_day(seed, _SECONDS) if not isinstance(event.payload, ClockTicked)]
    end_at = START_AT + _SECONDS * SECOND + MOST_LATE + _AFTERWARDS
    in_order = ((event.occurred_at, event) for event in sorted(events, key=lambda event: event.occurred_at))
    expected = net_view(folded(clocked(in_order, end_at), parameters))
    for number in range(n_permutations):
        arrivals = permuted(events, random.Random(f"permutation {seed} {number}"))
        found = net_view(folded(clocked(arrivals, end_at), parameters))
        if found != expected:
            return f"permutation {number}: {_first_difference(expected, found)}"
    return None


def permuted(events: Iterable[ObservationEvent], draw: random.Random) -> list[tuple[Micros, ObservationEvent]]:
    """(arrival, event) by arrival: each delayed inside the horizon, some twice."""
    arrivals: list[tuple[Micros, ObservationEvent]] = []
    for event in events:
        for _ in range(1 + (draw.random() < _DOUBLED)):
            most = MOST_LATE if draw.random() < _DELAYED else _SOON
            arrivals.append((event.occurred_at + draw.randint(0, most), event))
    return sorted(arrivals, key=lambda one: one[0])


def clocked(arrivals: Iterable[tuple[Micros, ObservationEvent]], end_at: Micros) -> Iterator[ObservationEvent]:
    """Events with a clock that ticks every second of arrival, on to the final watermark."""
    at, sequence = START_AT, 0
    for arrival_at, event in (*arrivals, (end_at, None)):
        while at <= arrival_at:
            sequence += 1
            key = DeviceKey(device=DeviceId("clock"), boot_epoch=1, sequence=sequence)
            tick = ClockTicked(worker="proof", source="events")
            yield ObservationEvent(site=PROOF_SITE.name, key=key, occurred_at=at, payload=tick)
            at += SECOND
        if event is not None:
            yield event


def folded(events: Iterable[ObservationEvent], parameters: FusionParameters) -> list[RecordedFact]:
    """The facts of a fold."""
    return list(fuse(Fold(PROOF_SITE, parameters), events, FuseSummary()))


def net_view(facts: list[RecordedFact]) -> list[str]:
    """Net facts without what is of their arrival, in an order of their own, and the graph's digest."""
    net = [fact for fact in net_of(facts) if not isinstance(fact.event.payload, (*_OF_ARRIVAL, *_OF_STAYS))]
    graph = site_graph(PROOF_SITE)
    for fact in net:
        apply(graph, fact)
    digest = hashlib.blake2b(canonical_json(state(graph, position=0)), digest_size=8).hexdigest()
    texts = [f"{fact.event.occurred_at} {canonical_json(fact.event.payload).decode()}" for fact in net]
    stays = [f"{session} {canonical_json(stay).decode()}" for session, stay in stays_of(facts).items()]
    return [*sorted([*texts, *stays]), digest]


def _first_difference(expected: list[str], found: list[str]) -> str:
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    return f"{len(missing)} of {len(expected)} are missing, {len(extra)} are too many: {missing[:2]}, {extra[:2]}"
