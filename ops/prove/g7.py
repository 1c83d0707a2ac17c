"""G7: the state at a time, as known at a position, never changes while it is retained, and equals a naive fold.

A run is a site-day of which a twentieth comes up to seven days late, in three parts: after the second, people merge vehicles;
in the third, they ask that the past be fused again. After each part, strips of the past are built or not, and the state is
asked for at random times and positions, of which each is asked for again after each later part, and once more when the strips
are deleted or damaged. In every second run the map mostly changes between parts, as for a service that starts again on another
one. All answers must be the same bytes as those of a fold of the net facts on the map of then. Control: strips that
take no notice of facts that come late or are corrected.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec.structs import replace

from site_models.schema import Site
from twin.errors import TwinError
from twin.events.codec import canonical_json
from twin.events.envelope import DeviceKey, ObservationEvent, RecordedFact
from twin.events.facts import VehicleConfirmed
from twin.events.ids import SECOND, DeviceId, Micros
from twin.events.observations import ClockTicked, OperatorDecided
from twin.graph.apply import apply
from twin.graph.model import site_graph
from twin.graph.query import state
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import Log
from twin.log.sealing import SealingLog
from twin.projections.naive import net_of
from twin.projections.strips.index import StripIndex
from twin.projections.strips.shelf import COUNTS_KIND, DIRECTORY_KIND, STRIP_KIND
from twin.projections.timeline import EarlierMap, Timeline, map_in_force
from twin.rules.fold import Fold

from .g8 import arriving, worked
from .outcome import Outcome, tried
from .site_day import PROOF_SITE, START_AT, site_day

RUNS, FULL_RUNS = 2, 500
N_POSITIONS, N_TIMES = 20, 10
"""Of each run: 200 moments. 500 runs are 100,000 of them, and each is asked for three times at least."""

_SECONDS = 60
_EVERYTHING = 2**62

Moments = dict[tuple[Micros | None, int], bytes]


def prove(runs: int, seed: int) -> Outcome:
    """A run is 200 moments of a site-day, through a log in memory."""
    failures = tried(range(seed, seed + runs), lambda one: asyncio.run(_refuted(one, StripIndex)))
    control = tried(range(seed, seed + 1), lambda one: asyncio.run(_refuted(one, _Heedless)))
    return Outcome(runs, failures, "strips that take no notice of late facts and corrections", len(control))


class _Heedless(StripIndex):
    """Takes facts only into its last strip."""

    async def _change(
        self, directory: Any, fresh: Mapping[int, Any], until: Mapping[int, Any], built_to: int, *, saves: bool
    ) -> Any:
        last = len(directory.windows) - 1
        only = defaultdict(list, {n: some for n, some in fresh.items() if n == last})
        return await super()._change(directory, only, {}, built_to, saves=saves)


async def _refuted(seed: int, strips: type[StripIndex]) -> str | None:
    draw = random.Random(f"both times {seed}")
    events = [event for event in site_day(seed, _SECONDS) if not isinstance(event.payload, ClockTicked)]
    keys, fold = MemoryKeyRing(), Fold(PROOF_SITE)
    memory = MemoryLog()
    log = cast(Log, SealingLog(memory, keys))
    try:
        maps = _Maps(random.Random(f"maps {seed}"), changes=seed % 2 == 0)
        return await _told(log, memory, keys, fold, arriving(events, draw, asks=True), draw, strips, maps)
    except TwinError as noticed:
        return f"the log, the worker or a read noticed: {noticed}"
    finally:
        await log.aclose()


class _Maps:
    """The maps of a run: the one that the service runs on, and those before it."""

    def __init__(self, draw: random.Random, *, changes: bool) -> None:
        self._draw, self._changes = draw, changes
        self.present, self.earlier = PROOF_SITE, tuple[EarlierMap, ...]()

    def start_again(self, head: int) -> bool:
        """Whether the service starts again, on a map with fewer stalls or on the first one."""
        if not self._changes or self._draw.random() < 0.3:
            return False
        self.earlier += (EarlierMap(until=head, site=self.present),)
        gone = set(self._draw.sample(range(len(PROOF_SITE.stalls)), self._draw.choice((0, 1, 2))))
        self.present = replace(PROOF_SITE, stalls=tuple(one for n, one in enumerate(PROOF_SITE.stalls) if n not in gone))
        return True

    def at(self, position: int) -> Site:
        """The map in force at a fact position."""
        return map_in_force(self.present, self.earlier, position)


async def _told(
    log: Log,
    memory: MemoryLog,
    keys: MemoryKeyRing,
    fold: Fold,
    events: list[ObservationEvent],
    draw: random.Random,
    strips: type[StripIndex],
    maps: _Maps,
) -> str | None:
    first, second = sorted(draw.sample(range(len(events) // 4, len(events)), 2))
    shape: dict[str, Any] = {"strip_facts": draw.choice((5, 30, 200)), "settle": draw.choice((0, 5 * SECOND))}
    asked: Moments = {}

    def timeline() -> Timeline:
        made = Timeline(log, maps.present, earlier=maps.earlier)
        made.strips = strips(log, maps.present, made.version, **shape)
        return made

    lasting = timeline()
    for number, part in enumerate((events[:first], events[first:second], events[second:])):
        await log.append(part)
        if number == 1:
            await log.append(_merges(await log.facts(PROOF_SITE.name, limit=1_000_000), draw))
        await worked(log, keys, fold, draw)
        if draw.random() < 0.7:
            await _built(lasting if draw.random() < 0.5 else timeline())
        facts = await log.facts(PROOF_SITE.name, limit=1_000_000)
        asked |= expected(facts, N_POSITIONS // 3 + (number < N_POSITIONS % 3), draw, maps.at)
        for one in (lasting, timeline()):
            if wrong := await _differs(one, asked, f"after part {number + 1}"):
                return wrong
        if number < 2 and maps.start_again(len(facts)):
            lasting = timeline()
            if wrong := await _differs(lasting, asked, f"on another map after part {number + 1}"):
                return wrong
    await _lose(memory, lasting.version, draw)
    return await _differs(timeline(), asked, "after strips were lost")


async def _built(timeline: Timeline) -> None:
    while await timeline.strips.build():
        pass


async def _differs(timeline: Timeline, asked: Moments, when: str) -> str | None:
    for (at, known_at), told in asked.items():
        if await timeline.as_known(known_at).state_json(at, known_at) != told:
            return f"the state at {at} as known at {known_at} is another one {when}"
    return None


def expected(
    facts: list[RecordedFact],
    n_positions: int,
    draw: random.Random,
    map_at: Callable[[int], Site] = lambda _: PROOF_SITE,
) -> Moments:
    """States at random times and positions: for each position one fold of the facts that are net there, in order."""
    begin, end = START_AT - 5 * SECOND, START_AT + (_SECONDS + 30) * SECOND
    found: Moments = {}
    for position in (draw.randint(0, len(facts)) for _ in range(n_positions)):
        net = net_of(facts[:position])
        graph, done = site_graph(map_at(position)), 0
        for at in sorted(draw.randint(begin, end) for _ in range(N_TIMES - 1)):
            until = bisect_right(net, at, key=lambda fact: fact.event.occurred_at)
            for fact in net[done:until]:
                apply(graph, fact)
            done = until
            found[at, position] = canonical_json(state(graph, at=at, position=position))
        for fact in net[done:]:
            apply(graph, fact)
        found[None, position] = canonical_json(state(graph, position=position))
    return found


def _merges(facts: list[RecordedFact], draw: random.Random) -> list[ObservationEvent]:
    """A person merges pairs of vehicles."""
    names = sorted({one.event.payload.vehicle for one in facts if isinstance(one.event.payload, VehicleConfirmed)})
    found = list[ObservationEvent]()
    for number in range(1, 4 if len(names) > 1 else 1):
        vehicle, other = draw.sample(names, 2)
        decided = OperatorDecided(decision="merge", author="proof", reason="drawn", vehicle=vehicle, other=other)
        key = DeviceKey(device=DeviceId("people"), boot_epoch=1, sequence=number)
        at = START_AT + draw.randint(0, _SECONDS * SECOND)
        found.append(ObservationEvent(site=PROOF_SITE.name, key=key, occurred_at=at, payload=decided))
    return found


async def _lose(log: MemoryLog, version: str, draw: random.Random) -> None:
    """Delete what is saved of the past, or some of it, or damage it."""
    kind = draw.choice((STRIP_KIND, COUNTS_KIND, DIRECTORY_KIND))
    kept = await log.load_snapshots(PROOF_SITE.name, kind, version, until_position=_EVERYTHING, limit=10_000)
    await log.drop_snapshots(PROOF_SITE.name, kind, below=_EVERYTHING)
    for one in kept if draw.random() < 0.7 else ():
        if draw.random() < 0.5:
            body = one.body if draw.random() < 0.5 else one.body[: draw.randrange(len(one.body))]
            await log.save_snapshot(replace(one, body=body))
