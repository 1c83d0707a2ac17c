"""One run: a small site, its devices, the service and a subscriber, for some seconds of traffic and until all is at rest."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from perception.synthetic.profiles import CLEAN, DEFAULT, HARSH
from perception.synthetic.simulate import Simulation
from twin.errors import Cut
from twin.events.codec import to_json
from twin.events.envelope import DeviceKey, ObservationEvent, RecordedFact, RecordedObservation
from twin.events.facts import VehicleMoved
from twin.events.ids import SECOND, DeviceId, Micros
from twin.events.observations import LoopTripped
from twin.log.chain import chained
from twin.log.columns import fact_row, observation_row
from twin.log.content import content_of, content_of_fact
from twin.log.port import Log
from twin.log.sealing import personal_of
from twin.log.sql import SqlLog
from twin.log.sql.verify import verify
from twin.projections.naive import folded, replay
from twin.projections.timeline import Timeline
from twin.rules.fold import Fold

from ..quiet import quiet
from ..site_day import BUSY, PROOF_SITE, START_AT
from . import loop as virtual
from .consumer import Consumer
from .devices import Device, Network
from .faults import Faults
from .invariants import Facts, Observations, must
from .service import Service
from .store import Store
from .watch import Watch

SECONDS = 60
N_SITE_DAYS = 12
_REST_S = 600.0
_ASKED_EVERY: Micros = 3 * SECOND

_fold = Fold(PROOF_SITE)
_RUSH = replace(BUSY, arrivals_per_h=900.0, initial_share=0.5, stay_median_s=8.0)


class Ended(NamedTuple):
    """What a run came to.

    Attributes:
        wrong: what promise was broken; None: none.
        n_cut, n_thinned: up to where observations and movement were cut.
        digest: of everything that was stored and delivered, and of when: the same seed gives the same one.
    """

    wrong: str | None
    digest: str
    n_lives: int
    n_facts: int
    n_cut: int
    n_thinned: int


def run(seed: int) -> Ended:
    """Every third seed is on SQLite."""
    faults = Faults(seed)
    with quiet("twin"), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.db" if seed % 3 == 2 else None
        try:
            return virtual.run(lambda loop: _World(seed, faults, file, loop).run(), faults.disk_s)
        except (virtual.Deadlock, virtual.Livelock) as wrong:
            return Ended(f"{type(wrong).__name__}: {wrong}", "", 0, 0, 0, 0)


@lru_cache(maxsize=N_SITE_DAYS)
def _arrivals(day: int) -> tuple[tuple[Micros, ObservationEvent], ...]:
    """Site-days of little, usual and much noise take turns; at each gate somebody asks now and then."""
    simulation = Simulation(PROOF_SITE, day, (CLEAN, DEFAULT, HARSH)[day % 3], START_AT, demand=_RUSH, ticks=False)
    seen = simulation.events(START_AT + SECONDS * SECOND)
    return tuple(sorted((*seen, *_questions()), key=lambda one: one[0]))


def _questions() -> Iterator[tuple[Micros, ObservationEvent]]:
    gates = [portal for portal in PROOF_SITE.portals if portal.role == "boundary"]
    for number, at in enumerate(range(START_AT, START_AT + SECONDS * SECOND, _ASKED_EVERY)):
        gate = gates[number % len(gates)]
        payload = LoopTripped(portal=gate.id, direction="out" if gate.direction == "both" else None)
        key = DeviceKey(device=DeviceId("gates"), boot_epoch=1, sequence=number + 1)
        yield at, ObservationEvent(site=PROOF_SITE.name, key=key, occurred_at=at, payload=payload)


class _World:
    def __init__(self, seed: int, faults: Faults, file: Path | None, loop: virtual.VirtualLoop) -> None:
        self._faults, self._loop, self._stepped = faults, loop, 0
        arrivals = _arrivals(seed // 2 % N_SITE_DAYS)
        boundaries = frozenset(str(portal.id) for portal in PROOF_SITE.portals if portal.role == "boundary")
        produced = {event.key: event for _, event in arrivals}
        self._watch = Watch(PROOF_SITE.name, Observations(produced), Facts(boundaries))
        self._store = Store(file, self._clock, random.Random(f"keys {seed}"))
        self._service = Service(_fold, self._store, faults, self._watch, self._clock)
        self._network = Network(self._service, faults)
        self._consumer = Consumer(self._service, faults)
        names = sorted({event.key.device for _, event in arrivals})
        self._devices = [
            Device([pair for pair in arrivals if pair[1].key.device == name], START_AT, self._network) for name in names
        ]

    def _clock(self) -> Micros:
        """The service's; it is set forth or back at times."""
        if self._faults.happens(self._faults.clock_step):
            self._stepped += self._faults.draw.randint(-2 * SECOND, 2 * SECOND)
        return START_AT + round(self._loop.time() * SECOND) + self._stepped

    async def run(self) -> Ended:
        wrong = None
        parts = [self._service.run(), self._consumer.run(), *(device.run() for device in self._devices)]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await self._until_rest(tasks)
        except Exception as found:
            wrong = f"{type(found).__name__}: {found}"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        log, keys, _ = self._store.open()
        try:
            if wrong is None:
                await self._check_end(log, keys)
        except Exception as found:
            wrong = f"{type(found).__name__}: {found}"
        finally:
            digest = await self._digest(log)
            await self._store.close()
        seen = self._watch
        return Ended(wrong, digest, self._service.n_lives, seen.facts.n, seen.cut, seen.thinned)

    async def _until_rest(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        while self._loop.time() < 1.5 * SECONDS:
            await self._turn(tasks)
        self._faults.heal()
        while not await self._is_at_rest():
            must(self._loop.time() < _REST_S, f"not at rest after {_REST_S} s, though all faults ended long ago")
            await self._turn(tasks)

    async def _turn(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.sleep(0.25)
        for task in tasks:
            if task.done() and not task.cancelled() and (failure := task.exception()) is not None:
                raise failure
        if self._watch.wrong is not None:
            raise self._watch.wrong

    async def _is_at_rest(self) -> bool:
        if not (all(device.is_done for device in self._devices) and self._network.is_quiet):
            return False
        stored = len(self._watch.observations.keys)
        return self._watch.cursor >= stored - 5 and await self._consumer.is_done(self._watch.facts.n)

    async def _check_end(self, log: Log, keys: object) -> None:
        await self._watch.look(log)
        self._watch.facts.end_of_cause()
        missing = set(self._watch.observations.produced) - set(self._watch.observations.keys)
        must(
            not missing, f"{len(missing)} observations were acknowledged and are not stored, such as {min(missing, default='')}"
        )
        observations, facts = self._watch.recorded, self._watch.facts.log
        cursor = (await log.heads(PROOF_SITE.name)).cursor
        await _check_fold(observations[:cursor], facts, keys)
        await _check_kept(log, observations, self._watch.cut)
        await _check_thinned(log, facts, self._watch.thinned)
        await _check_chain(log, observations, facts)
        await self._check_views(log, facts)
        for fact in facts[: self._watch.facts.n - 20]:
            must(fact.event.id in self._consumer.effects, f"fact {fact.position} had no effect at the subscriber")

    async def _check_views(self, log: Log, facts: Sequence[RecordedFact]) -> None:
        """The state at any time, as known at any position, is the naive fold's."""
        timeline, made = Timeline(log, PROOF_SITE, rung_facts=25), (await log.cuts(PROOF_SITE.name)).thinning
        for _ in range(4):
            at = START_AT + self._faults.draw.randint(0, 2 * SECONDS * SECOND)
            known_at = self._faults.draw.randint(0, len(facts))
            where = f"state(at={at}, known_at={known_at})"
            try:
                shown = await timeline.state(at, known_at), await replay(log, PROOF_SITE, at=at, known_at=known_at)
            except Cut:
                must(made is not None and (at < made.from_at or known_at < made.position), f"{where} is refused, and not cut")
                continue
            told = folded(PROOF_SITE, list(facts[:known_at]), at=at, position=known_at)
            must(shown == (told, told), f"{where} is not the fold")

    async def _digest(self, log: Log) -> str:
        observations, facts = self._watch.recorded, self._watch.facts.log
        digest = hashlib.blake2b(digest_size=16)
        for one in (*observations, *facts):
            digest.update(to_json(one))
        digest.update(repr((sorted(self._consumer.effects.items()), self._loop.time(), self._watch.tokens)).encode())
        return digest.hexdigest()


async def _check_kept(log: Log, observations: Sequence[RecordedObservation], told: int) -> None:
    """Cut is what was said to be cut, or more, and what is not is there as it was."""
    cut = (await log.cuts(PROOF_SITE.name)).observations
    must(cut >= told, f"observations were cut up to {told}, but the log says {cut}")
    kept = await log.observations(PROOF_SITE.name, after=cut, limit=1_000_000)
    must(kept == observations[cut:], f"after the cut at {cut}, {len(kept)} observations are not those that were stored")


async def _check_thinned(log: Log, facts: Sequence[RecordedFact], told: int) -> None:
    """As ``_check_kept``, of movement: every other fact is there, and the movement that was left."""
    cuts = await log.cuts(PROOF_SITE.name)
    must(cuts.movement >= told, f"movement was cut up to {told}, but the log says {cuts.movement}")
    left = set(cuts.thinning.left if cuts.thinning else ())
    staying = [
        fact
        for fact in facts
        if fact.position > cuts.movement or fact.position in left or not isinstance(fact.event.payload, VehicleMoved)
    ]
    kept = await log.facts(PROOF_SITE.name, limit=1_000_000, thinned=True)
    must(kept == staying, f"{len(kept)} facts are kept, and {len(staying)} should be after the cut at {cuts.movement}")
    if isinstance(log, SqlLog):
        faults = (await log.read(verify, PROOF_SITE.name)).faults
        must(not faults, f"the log is not what was written: {faults[:1]}")


async def _check_fold(observations: Sequence[RecordedObservation], facts: Sequence[RecordedFact], keys: object) -> None:
    """The facts are those of one worker that never crashed."""
    state, expected = _fold.initial(), list[bytes]()
    for recorded in observations:
        state, triggered = _fold.step(state, recorded, await personal_of(keys, recorded.event))  # pyright: ignore
        expected += map(to_json, triggered)
    found = [to_json(fact.event) for fact in facts]
    first = next(
        (n for n, (a, b) in enumerate(zip(found, expected, strict=False), 1) if a != b), min(len(found), len(expected)) + 1
    )
    must(found == expected, f"{len(found)} facts, {len(expected)} by a fold without crashes; they differ from fact {first} on")


async def _check_chain(log: Log, observations: Sequence[RecordedObservation], facts: Sequence[RecordedFact]) -> None:
    site, heads = PROOF_SITE.name, await log.chain(PROOF_SITE.name)
    seen = (observation_row(one.event, content_of(one.event), one.position, one.recorded_at) for one in observations)
    made = (fact_row(one.event, content_of_fact(one.event), one.position, one.recorded_at) for one in facts)
    must(heads.observations == chained(site, "observations", seen), "the chain of the observations is not theirs")
    must(heads.facts == chained(site, "facts", made), "the chain of the facts is not theirs")
