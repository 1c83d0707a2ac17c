"""G8: a published event never changes; what comes too late adds events that name what they supersede; the net is time order's.

A run is a site-day on which some observations come up to seven days late, through a worker that saves snapshots at any distance
and is followed by another one. Twice a person asks that the past be fused again: in the middle from any time on, and in the end
from the beginning. Then the net facts, stays among them, and their graph must be those of a fold in time order; every fact that
was read before must be what it was; and a fold of the whole log must give the same facts. Control: nobody asks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import cast

from twin.errors import TwinError
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import SECOND, DeviceId, Micros
from twin.events.observations import ClockTicked, RefuseRequested
from twin.fusion.parameters import DEFAULTS
from twin.log.keys import MemoryKeyRing
from twin.log.memory import MemoryLog
from twin.log.port import Log
from twin.log.sealing import SealingLog
from twin.rules.fold import Fold
from twin.service import FusionWorker, check

from .g9 import folded, net_view, permuted
from .outcome import Outcome, tried
from .site_day import PROOF_SITE, START_AT, site_day

RUNS, FULL_RUNS = 4, 2_000
_SECONDS = 60
_DAY: Micros = 86_400 * SECOND
_MOST_LATE, _LATE = 7 * _DAY, 0.05
_END_AT = START_AT + 8 * _DAY
_PAGE = 1_000


def prove(runs: int, seed: int) -> Outcome:
    """A run is a site-day, through a log in memory."""
    failures = tried(range(seed, seed + runs), lambda one: asyncio.run(_refuted(one, asks=True)))
    control = tried(range(seed, seed + 2), lambda one: asyncio.run(_refuted(one, asks=False)))
    return Outcome(runs, failures, "nobody asks that the past be fused again", len(control))


async def _refuted(seed: int, *, asks: bool) -> str | None:
    draw = random.Random(f"days late {seed}")
    events = [event for event in site_day(seed, _SECONDS) if not isinstance(event.payload, ClockTicked)]
    in_order = sorted(events, key=lambda event: event.occurred_at)
    expected = net_view(folded(_clocked([(event.occurred_at, event) for event in in_order]), DEFAULTS))
    keys, fold = MemoryKeyRing(), Fold(PROOF_SITE)
    log = cast(Log, SealingLog(MemoryLog(), keys))
    try:
        return await _told(log, keys, fold, arriving(events, draw, asks=asks), draw, expected)
    except TwinError as noticed:
        return f"the log or the worker noticed: {noticed}"
    finally:
        await log.aclose()


async def _told(
    log: Log, keys: MemoryKeyRing, fold: Fold, events: list[ObservationEvent], draw: random.Random, expected: list[str]
) -> str | None:
    published: list[bytes] = []
    half = len(events) // 2
    for part in (events[:half], events[half:]):
        await _appended(log, part)
        await worked(log, keys, fold, draw)
        facts = await log.facts(PROOF_SITE.name, limit=1_000_000)
        texts = [to_json(fact.event) for fact in facts]
        if texts[: len(published)] != published:
            return "a fact that was published has changed"
        published = texts
    await check(log, keys, fold)
    return _difference(expected, net_view(facts))


def _difference(expected: list[str], found: list[str]) -> str | None:
    missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if not missing and not extra and len(found) == len(expected):
        return None
    return f"{len(missing)} of {len(expected)} net facts are missing, {len(extra)} are too many: {missing[:1]}, {extra[:1]}"


def arriving(events: list[ObservationEvent], draw: random.Random, *, asks: bool) -> list[ObservationEvent]:
    """By arrival, with a clock and with what people ask."""
    late = [
        (at + draw.randint(0, _MOST_LATE), event) if draw.random() < _LATE else (at, event)
        for at, event in permuted(events, draw)
    ]
    arriving = list(_clocked(sorted(late, key=lambda one: one[0])))
    if not asks:
        return arriving
    middle = draw.randint(len(arriving) // 2, len(arriving) - 1)
    some_at = START_AT + draw.randint(0, _SECONDS * SECOND)
    return [*arriving[:middle], _asked(1, some_at), *arriving[middle:], _asked(2, START_AT - 10 * SECOND)]


def _asked(sequence: int, from_at: Micros) -> ObservationEvent:
    key = DeviceKey(device=DeviceId("person"), boot_epoch=1, sequence=sequence)
    payload = RefuseRequested(from_at=from_at, author="proof", reason="late data")
    return ObservationEvent(site=PROOF_SITE.name, key=key, occurred_at=_END_AT, payload=payload)


def _clocked(arrivals: list[tuple[Micros, ObservationEvent]]) -> Iterator[ObservationEvent]:
    """A clock every second of the first two minutes, then before each arrival, and at the end."""
    at, sequence = START_AT, 0
    seen = set[DeviceKey]()
    for arrival_at, event in (*arrivals, (_END_AT, None)):
        while at <= arrival_at:
            sequence += 1
            yield _tick(sequence, at)
            at = at + SECOND if at < START_AT + 120 * SECOND else max(at + SECOND, arrival_at)
        if event is not None and event.key not in seen:
            seen.add(event.key)
            yield event
    yield _tick(sequence + 1, _END_AT + SECOND)
    yield _tick(sequence + 2, _END_AT + 60 * SECOND)


def _tick(sequence: int, at: Micros) -> ObservationEvent:
    key = DeviceKey(device=DeviceId("clock"), boot_epoch=1, sequence=sequence)
    return ObservationEvent(site=PROOF_SITE.name, key=key, occurred_at=at, payload=ClockTicked(worker="proof", source="events"))


async def _appended(log: Log, events: list[ObservationEvent]) -> None:
    for start in range(0, len(events), _PAGE):
        await log.append(events[start : start + _PAGE])


async def worked(log: Log, keys: MemoryKeyRing, fold: Fold, draw: random.Random) -> None:
    worker = FusionWorker(
        log,
        keys,
        fold,
        worker_id="w",
        batch_size=draw.choice((7, 50, 500)),
        snapshot_every=draw.choice((50, 300, 10_000)),
        clock_ticks=False,
    )
    head = (await log.heads(PROOF_SITE.name)).observations
    running = asyncio.create_task(worker.run())
    while not running.done() and worker.cursor < head:  # noqa: ASYNC110 - the worker has no event for it
        await asyncio.sleep(0)
    worker.stop()
    await running
