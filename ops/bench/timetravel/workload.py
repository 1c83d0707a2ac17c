"""Facts of a car park of 500 stalls with 500 vehicles inside, in the order in which they become known.

Each stall has one vehicle after another: it drives in, parks, stays, and drives out when the next one comes. Of all facts 5 %
become known late, by a second to seven days, as many in each decade of time; 1 % are corrected later by another fact.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from itertools import count
from typing import Any

from msgspec.structs import replace

from site_models.generate import generate
from site_models.schema import Site
from twin.events.envelope import DeviceKey, FactEvent, ObservationEvent
from twin.events.facts import (
    CameraStateChanged,
    Fact,
    PortalCrossed,
    SessionClosed,
    SessionOpened,
    StallChanged,
    TrackletAssigned,
    VehicleConfirmed,
    VehicleHidden,
    VehicleLeft,
    VehicleMoved,
    VehicleParked,
)
from twin.events.ids import SECOND, DeviceId, Micros, SessionId, SiteId, TrackletId, VehicleId
from twin.events.observations import FrameObserved
from twin.log.port import FoldCommit, Log

SITE = SiteId("lot")
N_STALLS = N_INSIDE = 500
N_MOVES = 40
STAY_S = 5_400.0
LATE, CORRECTED = 0.05, 0.01
MOST_LATE: Micros = 7 * 86_400 * SECOND
START_AT: Micros = 1_767_225_600 * SECOND
BATCH = 2_000

_COVARIANCE = (0.04, 0.003, 0.05)


def car_park() -> Site:
    """20 cameras, 500 stalls on two levels."""
    return replace(generate(n_cameras=20, n_stalls=N_STALLS, n_levels=2, overlap=0.2, seed=7), name=SITE)


def facts(site: Site, n_facts: int, seed: int = 1) -> Iterator[FactEvent]:
    """So many facts, as they become known; their causes count from 1."""
    draw = random.Random(seed)
    waiting: list[tuple[Micros, int, Micros, Fact, int | None]] = []  # known at, number, occurred at, what, what it corrects
    numbers, causes, cause_of = count(), count(1), dict[int, int]()
    n_given = 0
    for at, fact in heapq.merge(*(_stall_life(site, n, random.Random(f"{seed}/{n}")) for n in range(N_STALLS))):
        while waiting and waiting[0][0] <= at:
            _, number, occurred_at, payload, corrects = heapq.heappop(waiting)
            cause = next(causes)
            if number in cause_of:
                cause_of[number] = cause
            yield _event(cause, occurred_at, payload, () if corrects is None else (cause_of.pop(corrects),))
            n_given += 1
            if n_given == n_facts:
                return
        number, known_at = next(numbers), at + (_lateness(draw) if draw.random() < LATE else 0)
        payload = fact[1]
        heapq.heappush(waiting, (known_at, number, at, payload, None))
        if draw.random() < CORRECTED:
            cause_of[number] = 0
            heapq.heappush(waiting, (known_at + _lateness(draw), next(numbers), at, _corrected(payload), number))


async def fill(log: Log, site: Site, n_facts: int) -> None:
    """Commit them in batches, as a fold does."""
    token = await log.acquire(site.name, "bench")
    await log.append([_frame(site)])
    batch: list[FactEvent] = []
    at = 0
    for event in facts(site, n_facts):
        batch.append(event)
        if len(batch) == BATCH:
            await log.commit(FoldCommit(token=token, after=at, cursor=1, facts=tuple(batch)))
            at, batch = 1, []
    if batch:
        await log.commit(FoldCommit(token=token, after=at, cursor=1, facts=tuple(batch)))


def _event(cause: int, at: Micros, payload: Fact, corrects: tuple[int, ...]) -> FactEvent:
    event = FactEvent(site=SITE, fold_version="1", cause=cause, ordinal=0, occurred_at=at, payload=payload)
    if corrects:
        wrong = FactEvent(site=SITE, fold_version="1", cause=corrects[0], ordinal=0, occurred_at=at, payload=payload)
        return replace(event, supersedes=(wrong.id,))
    return event


def _lateness(draw: random.Random) -> Micros:
    return round(SECOND * (MOST_LATE / SECOND) ** draw.random())


def _corrected(payload: Fact) -> Fact:
    if isinstance(payload, VehicleMoved | VehicleParked | VehicleConfirmed):
        x, y = payload.position_m
        return replace(payload, position_m=(round(x + 0.4, 3), y))
    return payload


def _stall_life(site: Site, n: int, draw: random.Random) -> Iterator[tuple[Micros, tuple[int, Fact]]]:
    at = START_AT + round(draw.random() * 60 * SECOND)
    order = count(n, N_STALLS)  # no two are equal: facts are not compared
    if n < len(site.cameras):
        yield at, (next(order), CameraStateChanged(camera=site.cameras[n].id, state="active"))
    for visit in count():
        last_at = at
        for fact_at, fact in _visit(site, n, f"{n:03d}{visit:05d}", last_at, draw):
            at = fact_at
            yield at, (next(order), fact)


def _visit(site: Site, n: int, name: str, at: Micros, draw: random.Random) -> Iterator[tuple[Micros, Fact]]:
    stall, vehicle, session, entry_at = site.stalls[n], VehicleId(f"v-{name}"), SessionId(f"p-{name}"), at
    x, y = _middle(stall.ring_m)
    level, lane, camera = stall.level, next(one.id for one in site.zones if one.level == stall.level), site.cameras[n % 20].id
    entry, leave = (next(p.id for p in site.portals if p.direction == way and p.role == "boundary") for way in ("in", "out"))
    where: dict[str, Any] = {"level": level, "covariance_m2": _COVARIANCE}
    yield at, VehicleConfirmed(vehicle=vehicle, kind="car", position_m=(0.0, 0.0), zone=lane, **where)
    yield at, PortalCrossed(vehicle=vehicle, portal=entry, direction="in", position_m=(0.0, 0.0), speed_mps=2.0)
    yield at, SessionOpened(session=session, vehicle=vehicle, portal=entry, entry_at=at, confidence=0.97)
    for way in ("in", "out"):
        yield at, TrackletAssigned(tracklet=TrackletId(f"{camera}:1:{name}{way}"), camera=camera, vehicle=vehicle)
        for step in range(N_MOVES):
            at += SECOND + draw.randrange(-40_000, 40_000)
            share = (step + 1) / N_MOVES if way == "in" else 1 - step / N_MOVES
            if step == 20:
                yield at, VehicleHidden(vehicle=vehicle, level=level, position_m=(round(x / 2, 3), round(y / 2, 3)), zone=lane)
                continue
            place = (round(x * share + draw.gauss(0, 0.1), 3), round(y * share + draw.gauss(0, 0.1), 3))
            yield at, VehicleMoved(vehicle=vehicle, position_m=place, velocity_mps=(1.25, -0.5), zone=lane, **where)
        if way == "in":
            yield at, VehicleParked(vehicle=vehicle, position_m=(x, y), zone=stall.zone, stall=stall.id, **where)
            yield at, StallChanged(stall=stall.id, state="occupied", vehicle=vehicle, certainty=0.98)
            at += round(SECOND * (60 + draw.expovariate(1 / STAY_S)))
            yield at, StallChanged(stall=stall.id, state="free", vehicle=None, certainty=0.95)
    yield at, PortalCrossed(vehicle=vehicle, portal=leave, direction="out", position_m=(0.0, 0.0), speed_mps=2.0)
    yield at, VehicleLeft(vehicle=vehicle, portal=leave)
    yield at, SessionClosed(session=session, vehicle=vehicle, portal=leave, entry_at=entry_at, exit_at=at, confidence=0.95)


def _middle(ring: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    return round(sum(x for x, _ in ring) / len(ring), 3), round(sum(y for _, y in ring) / len(ring), 3)


def _frame(site: Site) -> ObservationEvent:
    key = DeviceKey(device=DeviceId("cam"), boot_epoch=1, sequence=1)
    payload = FrameObserved(camera=site.cameras[0].id, frame_px=(960, 540), detector="d:1", clock="ntp")
    return ObservationEvent(site=site.name, key=key, occurred_at=START_AT, payload=payload)
