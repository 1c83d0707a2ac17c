"""G2: a device key is stored at most once, for ever; a resend gets the first position; other content is refused and recorded.

A run sends a thousand observations in batches, several at once, opening the log again on the way: three in ten are resent, one
in a hundred comes with other content. Control: the same sends to a log that has forgotten its keys.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from twin.events.envelope import DeviceKey, ObservationEvent
from twin.log.memory import MemoryLog
from twin.log.port import Log, Receipt
from twin.log.port import Outcome as Became
from twin.log.sql import SqlLog

from .outcome import Outcome, tried
from .workload import SITE, observation

RUNS, FULL_RUNS = 10, 1_000
_SENDS, _DEVICES, _BATCH, _AT_ONCE = 1_000, 4, 25, 4
_RESENT, _ALTERED = 0.30, 0.01


def prove(runs: int, seed: int) -> Outcome:
    """Each run is a thousand sends."""
    seeds = range(seed, seed + runs)
    failures = tried(seeds, lambda one: asyncio.run(_sent_to_sqlite(one)))
    control = tried(seeds[:3], lambda one: asyncio.run(_sent(one, Forgetful)))
    return Outcome(runs, failures, "a log that has forgotten its device keys", len(control))


async def _sent_to_sqlite(seed: int) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        return await _sent(seed, lambda: SqlLog.open(Path(folder) / "log.db"))


async def _sent(seed: int, open_log: Callable[[], Log]) -> str | None:
    draw = random.Random(f"sends {seed}")
    sends = _drawn(draw)
    position_by_key: dict[DeviceKey, int] = {}
    content_by_key: dict[DeviceKey, ObservationEvent] = {}
    refused: set[DeviceKey] = set()
    log = open_log()
    try:
        for start in range(0, len(sends), _BATCH * _AT_ONCE):
            if draw.random() < 0.1 and isinstance(log, SqlLog):
                await log.aclose()
                log = open_log()
            batches = [sends[at : at + _BATCH] for at in range(start, start + _BATCH * _AT_ONCE, _BATCH)]
            answers = await asyncio.gather(*(log.append(batch) for batch in batches))
            for event, receipt in zip(chain(*batches), chain(*answers), strict=True):
                first = content_by_key.setdefault(event.key, event)
                if position_by_key.setdefault(event.key, receipt.position) != receipt.position:
                    return f"{event.key} got position {receipt.position}, before {position_by_key[event.key]}"
                if (receipt.outcome is Became.REFUSED) != (event != first):
                    return (
                        f"{event.key} was {receipt.outcome.value}, its content is {'the first' if event == first else 'other'}"
                    )
                if event != first:
                    refused.add(event.key)
        stored = await log.observations(SITE, limit=2 * _SENDS)
        recorded = {refusal.key for refusal in await log.refusals(SITE, limit=_SENDS)}
    finally:
        await log.aclose()
    if {one.event.key: one.event for one in stored} != content_by_key or len(stored) != len(content_by_key):
        return f"{len(content_by_key)} keys were sent, {len(stored)} observations are stored"
    return (
        None if recorded == refused else f"{len(refused)} keys came with other content, {len(recorded)} refusals are recorded"
    )


def _drawn(draw: random.Random) -> list[ObservationEvent]:
    sends, last = list[ObservationEvent](), dict.fromkeys(range(_DEVICES), 0)
    while len(sends) < _SENDS:
        kind = draw.random()
        if sends and kind < _RESENT + _ALTERED:
            again = draw.choice(sends[-400:])
            device = int(again.key.device.removeprefix("edge-"))
            score = draw.random() if kind < _ALTERED else 0.5
            sends.append(observation(device, again.key.sequence, score=score))
        else:
            device = draw.randrange(_DEVICES)
            last[device] += 1
            sends.append(observation(device, last[device]))
    return sends


class Forgetful(MemoryLog):
    """Stores whatever comes."""

    async def append(self, events: Sequence[ObservationEvent]) -> list[Receipt]:
        for kept in self._sites.values():
            kept.position_by_key.clear()
        return await super().append(events)
