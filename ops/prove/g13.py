"""G13: within its spool an edge worker loses nothing; beyond it, loss is declared by kind, count and time span.

A run is 72 hours offline in simulated time: a bounded spool is appended to, restarted, its disk runs full and is freed, and
the service takes some of it now and then, at times without the answer coming back. Every third seed is a process that is killed
while it appends. In the end everything is delivered: delivered + declared = produced, by camera and kind, and every lost time
lies in a declared span. What was delivered without an answer may be declared too: a spool that cannot know says lost.

Control: a spool that does not note what it gives up.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from perception.emit import Crop, Emission
from perception.spool import Spool
from twin.errors import LogClosed
from twin.events.codec import from_json, type_name
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import CameraId, CropId, DeviceId, Micros, TrackletId
from twin.events.observations import FrameObserved, LossDeclared, Observation, Personal, TrackletEmbedded

from .outcome import Outcome, tried
from .scratch import scratch
from .workload import SITE

RUNS, FULL_RUNS = 24, 6_000
_HOURS, _STEPS_AN_HOUR = 72, 4
_LARGEST = 12
_LONGEST_LIFE_S = 0.15

_Kind = tuple[str, str]


def prove(runs: int, seed: int) -> Outcome:
    """Every third seed kills, the others are offline."""
    seeds = range(seed, seed + runs)
    failures = tried(seeds, lambda one: _killed(one) if one % 3 == 2 else _offline(one))
    with _silent():
        control = tried(range(seed, seed + 5), _offline)
    return Outcome(runs, failures, "a spool that does not note what it gives up", len(control))


class _Service:
    """Takes what a spool delivers, each device key once.

    Attributes:
        unanswered: keys whose answer was lost; those that come again are taken out.
    """

    def __init__(self) -> None:
        self.events: dict[DeviceKey, ObservationEvent] = {}
        self.unanswered: set[DeviceKey] = set()

    def take(self, spool: Spool, *, is_answered: bool = True) -> bool:
        """One batch; gives whether there was any."""
        items = spool.peek(max_items=50)
        for item in items:
            event = cast(ObservationEvent, from_json(item.line))
            self.events[event.key] = event
            (self.unanswered.discard if is_answered else self.unanswered.add)(event.key)
        if items and is_answered:
            spool.acknowledge(items[-1].id)
        else:
            spool.release()
        return bool(items)

    def take_all(self, spool: Spool) -> None:
        """Until the spool is empty and nothing is left to declare."""
        while self.take(spool) or spool.declare_losses():
            pass


def _offline(seed: int) -> str | None:
    draw, service = random.Random(f"offline {seed}"), _Service()
    max_bytes = draw.choice((20_000, 100_000, 400_000))
    produced: list[Emission] = []
    with scratch() as folder:
        spool = _opened(Path(folder), max_bytes)
        for step in range(_HOURS * _STEPS_AN_HOUR):
            at = step * 3_600_000_000 // _STEPS_AN_HOUR
            if draw.random() < 0.03:
                spool.close()
                spool = _opened(Path(folder), max_bytes)
            if draw.random() < 0.1:
                _resize_disk(spool, draw.choice((0, 4, 1_000_000)))
            if draw.random() < 0.05:
                service.take(spool, is_answered=draw.random() < 0.7)
            batch = [_emission(draw, at + one) for one in range(draw.randint(1, _LARGEST))]
            try:
                spool.append(batch)
            except LogClosed:
                _resize_disk(spool, 1_000_000)  # it said that these are lost, and why
            else:
                produced += batch
        _resize_disk(spool, 1_000_000)
        service.take_all(spool)
        spool.close()
    return _unaccounted(produced, produced, service)


def _killed(seed: int) -> str | None:
    draw, service = random.Random(f"kill {seed}"), _Service()
    made = [[_emission(draw, number * 1_000 + one) for one in range(draw.randint(1, _LARGEST))] for number in range(3_000)]
    with scratch() as folder:
        n_appended = _appended_until_killed(Path(folder), made, draw.uniform(0.0, _LONGEST_LIFE_S))
        spool = _opened(Path(folder), 60_000)
        service.take_all(spool)
        spool.close()
    sure = [emission for batch in made[:n_appended] for emission in batch]
    return _unaccounted(sure, sure + made[n_appended], service)


def _appended_until_killed(folder: Path, made: list[list[Emission]], life_s: float) -> int:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            spool = _opened(folder, 60_000)
            for batch in made:
                spool.append(batch)
                os.write(writing, b".")
        finally:
            os._exit(0)
    os.close(writing)
    told = os.read(reading, 1)
    time.sleep(life_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as rest:
        return len(told + rest.read())


def _unaccounted(least: list[Emission], most: list[Emission], service: _Service) -> str | None:
    """What is neither delivered nor declared; a batch that was being stored at a kill may be in or out, whole."""
    delivered, declared, spans = Counter[_Kind](), Counter[_Kind](), dict[_Kind, list[tuple[int, int]]]()
    crops = {event.occurred_at for event in service.events.values() if isinstance(event.payload, TrackletEmbedded)}
    times: set[tuple[_Kind, int]] = set()
    unanswered = Counter(_kind(service.events[key].payload) for key in service.unanswered)
    for event in service.events.values():
        if isinstance(event.payload, LossDeclared):
            kind = (str(event.payload.camera), event.payload.kind)
            declared[kind] += event.payload.count
            spans.setdefault(kind, []).append((event.payload.from_at, event.payload.until_at))
        else:
            kind = _kind(event.payload)
            delivered[kind] += 1
            times.add((kind, event.occurred_at))
    for emissions in (least, most):
        produced = Counter(_kind(one.payload) for one in emissions)
        twice = {kind: delivered[kind] + declared[kind] - produced[kind] for kind in produced}
        if all(0 <= twice[kind] <= unanswered[kind] for kind in produced):
            break
    else:
        return f"{dict(produced)} were produced, {dict(delivered)} delivered, {dict(declared)} declared"
    n_crops = sum(one.crop is not None for one in emissions)
    n_lost = sum(count for (_, kind), count in declared.items() if kind == "crop")
    if not 0 <= len(crops) + n_lost - n_crops <= len(service.unanswered):
        return f"{n_crops} crops were produced, {len(crops)} delivered, {n_lost} declared"
    for one in emissions:
        kind = _kind(one.payload)
        if (kind, one.occurred_at) not in times and not any(a <= one.occurred_at <= b for a, b in spans.get(kind, [])):
            return f"{kind} at {one.occurred_at} is gone, and lies in no declared span"
    return None


def _kind(payload: Observation) -> _Kind:
    return str(getattr(payload, "camera", "")), type_name(payload)


def _emission(draw: random.Random, at: int) -> Emission:
    camera = CameraId(draw.choice(("gate", "yard")))
    if draw.random() < 0.7:
        return Emission(at, FrameObserved(camera=camera, frame_px=(640, 360), detector="d", clock="ntp"))
    crop = Crop(CropId(f"{at:064x}"), bytes(draw.randint(100, 2_000)))
    payload = TrackletEmbedded(
        camera=camera,
        tracklet=TrackletId(f"{camera}:1:1"),
        kind="car",
        embedder="e",
        box_px=(0.0, 0.0, 9.0, 9.0),
        quality=0.5,
        personal=Personal(embedding=b"12", crop=crop.id),
    )
    return Emission(at, payload, crop)


def _opened(folder: Path, max_bytes: int) -> Spool:
    return Spool(
        folder,
        site=SITE,
        device=DeviceId("edge"),
        max_bytes=max_bytes,
        is_crossing=lambda payload: getattr(payload, "camera", "") == "gate",
        now=lambda: 1_767_225_600_000_000,
    )


def _resize_disk(spool: Spool, n_pages: int) -> None:
    """Leave the database so many more pages on its disk."""
    database: sqlite3.Connection = spool._db
    (has,) = database.execute("pragma page_count").fetchone()
    database.execute(f"pragma max_page_count = {has + n_pages}").fetchone()


@contextmanager
def _silent() -> Iterator[None]:
    def note(self: Spool, camera: str, kind: str, why: str, count: int, from_at: Micros, until_at: Micros) -> None:
        return None

    kept = Spool._note
    Spool._note = note
    try:
        yield
    finally:
        Spool._note = kept
