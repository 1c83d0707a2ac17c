"""INVARIANTS: the billing invariants after every fact, while people decide, pay and invoice among late data.

A run is a site-day of little, usual or much noise. A part of it comes late, some beyond the horizon. At random moments people
decide anything about any stay or vehicle, payments come, invoices are closed, and the past is fused again; then for a while
people go on alone. Checked are every fact (``twin/rules/invariants.py``, ``sim/invariants.py``) and, in the end, all stays
whose times nobody decided, against a naive reading of the crossings that stand. Control: each bug of ``planted_bills.py`` is
noticed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from msgspec.structs import replace

from perception.synthetic.profiles import CLEAN, DEFAULT, HARSH
from perception.synthetic.simulate import Simulation
from site_models.schema import Tariff, TariffId
from twin.evaluation.offline import FuseSummary, fuse
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND, DeviceId, Micros
from twin.events.observations import ClockTicked, RefuseRequested
from twin.rules.fold import Fold
from twin.rules.invariants import Violation
from twin.rules.tariff import TariffBook

from .naive_stays import compare
from .outcome import Failure, Outcome, tried
from .people import People
from .planted_bills import BILLS, planted
from .sim.invariants import Facts
from .site_day import BUSY, PROOF_SITE, START_AT

RUNS, FULL_RUNS = 6, 1_000
_SECONDS, _AFTERWARDS_S, _ALONE_S = 240, 60, 20
_RUSH = replace(BUSY, arrivals_per_h=400.0, stay_median_s=5.0)
_PEOPLE_A_DAY = 8
_BURSTS, _BURST, _MOST_LATE = 3, 10 * SECOND, 25 * SECOND
_SOON, _BEYOND, _MOST_BEYOND = SECOND // 5, 0.002, 120 * SECOND
_SEEDS_A_BUG = 6
_TERMS = Tariff(id=TariffId("t"), version=1, currency="EUR", step_minutes=1, price_minor=50, day_cap_minor=120, exit_minutes=1)
_SITE = replace(
    PROOF_SITE, tariffs=(_TERMS, replace(_TERMS, version=2, price_minor=70, grace_minutes=1, from_us=START_AT + 25 * SECOND))
)
_FOLD = Fold(_SITE)


def prove(runs: int, seed: int) -> Outcome:
    """A run is a site-day; a planted bug that its runs do not notice refutes the proof."""
    failures = tried(range(seed, seed + runs), refuted)
    unnoticed = [bug for bug in BILLS if not _is_noticed(bug.name, seed)]
    failures += [Failure(seed, f"'{bug.name}' was not noticed in {_SEEDS_A_BUG} runs: {bug.what}") for bug in unnoticed]
    return Outcome(runs, failures, "a bug against each invariant", len(BILLS) - len(unnoticed))


def _is_noticed(name: str, seed: int) -> bool:
    with planted(name):
        return any(refuted(one) is not None for one in range(seed, seed + _SEEDS_A_BUG))


def refuted(seed: int) -> str | None:
    """What a run broke; None: nothing."""
    day = _Day(random.Random(f"people {seed}"), seed)
    try:
        day.run()
    except Violation as wrong:
        return f"observation {len(day.told)}: {wrong}"
    return None


@dataclass
class _Day:
    draw: random.Random
    seed: int
    told: list[ObservationEvent] = field(default_factory=list[ObservationEvent])
    _keys: set[DeviceKey] = field(default_factory=set[DeviceKey])
    facts: Facts = field(init=False)
    people: People = field(init=False)

    def __post_init__(self) -> None:
        boundaries = frozenset(str(portal.id) for portal in _SITE.portals if portal.role == "boundary")
        self.facts = Facts(boundaries, TariffBook.of(_SITE.tariffs))
        self.people = People(self.draw, _SITE.name, self.facts)

    def run(self) -> None:
        """Fold it, and check every fact. Raises Violation."""
        for fact in fuse(_FOLD, self._observations(), FuseSummary(), again=lambda: list(self.told)):
            if isinstance(self.told[fact.event.cause - 1].payload, RefuseRequested) and fact.event.cause != self.facts.cause:
                self.facts.end_of_cause()
                self.facts.is_awaited = True
            self.facts.check(fact, len(self.told))
        self.facts.end_of_cause()
        compare(self.facts.log, self.facts.billing)

    def _observations(self) -> Iterator[ObservationEvent]:
        """What arrives, with a clock, and what people say of what was told until then."""
        arrivals, busy = iter(self._arrivals()), self.draw.choice((0.02, 0.1, 0.3))
        waiting = next(arrivals, None)
        for second in range(_SECONDS + _AFTERWARDS_S + _ALONE_S):
            now = START_AT + second * SECOND
            while waiting is not None and waiting[0] <= now:
                yield from self._noted(waiting[1])
                waiting = next(arrivals, None)
            yield from self._noted(_tick(second + 1, now))
            if second >= 10:
                yield from self._acts(now, 0.6 if second >= _SECONDS + _AFTERWARDS_S else busy)
        end = START_AT + (_SECONDS + _AFTERWARDS_S + _ALONE_S) * SECOND
        yield from self._noted(_tick(_SECONDS + _AFTERWARDS_S + _ALONE_S + 1, end))

    def _acts(self, now: Micros, how_often: float) -> Iterator[ObservationEvent]:
        if self.draw.random() < how_often:
            yield from self._noted(self.people.decides(now))
        if self.draw.random() < how_often / 2:
            yield from self._noted(self.people.pays(now))
        if self.draw.random() < 0.01:
            yield from self._noted(self.people.invoices(now))
        if self.draw.random() < 0.002:
            yield from self._noted(self.people.asks(now, START_AT + self.draw.randint(-10, _SECONDS) * SECOND))

    def _noted(self, event: ObservationEvent) -> Iterator[ObservationEvent]:
        """One that is stored: what comes under a known key is none."""
        if event.key not in self._keys:
            self._keys.add(event.key)
            self.told.append(event)
            yield event

    def _arrivals(self) -> list[tuple[Micros, ObservationEvent]]:
        bursts = [START_AT + self.draw.randrange(_SECONDS) * SECOND for _ in range(_BURSTS)]
        late = list[tuple[Micros, ObservationEvent]]()
        for event in _seen(self.seed // _PEOPLE_A_DAY):
            at = event.occurred_at + self.draw.randint(0, _SOON)
            if any(begin <= event.occurred_at < begin + _BURST for begin in bursts) and self.draw.random() < 0.2:
                at += self.draw.randint(0, _MOST_LATE)
            elif self.draw.random() < _BEYOND:
                at += self.draw.randint(0, _MOST_BEYOND)
            late.append((at, event))
        return sorted(late, key=lambda one: one[0])


@lru_cache(maxsize=4)
def _seen(day: int) -> tuple[ObservationEvent, ...]:
    """Site-days of little, usual and much noise take turns; four runs in a row share one, each with its own people."""
    profile = (CLEAN, DEFAULT, HARSH)[day % 3]
    simulation = Simulation(PROOF_SITE, day, profile, START_AT, demand=_RUSH, ticks=False)
    return tuple(event for _, event in simulation.events(START_AT + _SECONDS * SECOND))


def _tick(sequence: int, at: Micros) -> ObservationEvent:
    key = DeviceKey(device=DeviceId("clock"), boot_epoch=1, sequence=sequence)
    return ObservationEvent(site=_SITE.name, key=key, occurred_at=at, payload=ClockTicked(worker="proof", source="events"))
