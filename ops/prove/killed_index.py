"""A process that fills a site's search index, or builds it again, killed again and again; after each kill the index is read.

Of every view up to the cursor there must be exactly one point, and of no view more than one; a rebuild that was killed must
have left the index as it was, or whole. In the end one of each is let run, and every point is compared with its view.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from retrieval.index import Point, unit_vector
from retrieval.ingest import IndexFollower
from retrieval.qdrant import QdrantIndex
from retrieval.rebuild import rebuild
from twin.events.envelope import DeviceKey, ObservationEvent
from twin.events.ids import CameraId, DeviceId, TrackletId
from twin.events.observations import Personal, TrackletEmbedded
from twin.log.sealing import SealingLog
from twin.log.sql import SqlLog
from twin.log.sql.keys import SqlKeyRing

from .scratch import scratch
from .workload import SITE

VIEWS_A_KILL, PAGE = 300, 20
_LONGEST_S = 120.0
_TRIES = 20
_START_AT = 1_767_225_600_000_000
_N_COMPONENTS = (64, 48)  # two models at once


class Killed(NamedTuple):
    """What happened.

    Attributes:
        wrong: what was missing or doubled, or None.
        n_kills: those that met a process at its work; such as came when it was done do not count.
    """

    wrong: str | None
    n_kills: int
    n_points: int


def killed(seed: int, n_kills: int, views_a_kill: int = VIEWS_A_KILL) -> Killed:
    """Kill so often, in turns while views are taken in and while the index is built again."""
    return asyncio.run(_killed(seed, n_kills, views_a_kill))


async def _killed(seed: int, n_kills: int, views_a_kill: int) -> Killed:
    draw = random.Random(f"index {seed}")
    n_hit = 0
    with scratch() as name:
        folder = Path(name)
        sql = SqlLog.open(folder / "log.db")
        log, views = SealingLog(sql, SqlKeyRing(sql)), list[ObservationEvent]()
        child = await _child(name)
        try:
            views += await _appended(log, 0, views_a_kill)
            takes_s = {what: await _done(child, what) for what in ("ingest", "rebuild")}
            for number in range(_TRIES * n_kills):
                if n_hit == n_kills:
                    break
                what = "rebuild" if n_hit % 2 else "ingest"
                if what == "ingest":
                    views += await _appended(log, len(views), views_a_kill)
                n_new = len(views) if what == "rebuild" else views_a_kill
                is_hit = await _killed_at_work(child, what, draw.uniform(0.0, takes_s[what] * n_new / views_a_kill))
                n_hit += is_hit
                takes_s[what] *= 1.0 if is_hit else 0.9  # it is done sooner than was thought
                if wrong := await _wrong(folder, views):
                    return Killed(f"try {number + 1}, kill of {what}: {wrong}", n_hit, len(views))
            for what in ("ingest", "rebuild"):
                await _done(child, what)
                if wrong := await _wrong(folder, views, is_complete=True):
                    return Killed(f"after the last kill, {what}: {wrong}", n_hit, len(views))
        finally:
            child.kill()
            await child.wait()
            await sql.aclose()
        return Killed(None, n_hit, len(views))


async def _appended(log: SealingLog, n_before: int, n: int) -> list[ObservationEvent]:
    events = [view(number) for number in range(n_before + 1, n_before + n + 1)]
    for start in range(0, n, 100):
        await log.append(events[start : start + 100])
    return events


def view(number: int) -> ObservationEvent:
    """The log's so-manieth view, of two embedders in turns."""
    components = np.random.default_rng(number).integers(-127, 128, _N_COMPONENTS[number % 2], np.int8)
    payload = TrackletEmbedded(
        camera=CameraId(f"c{number % 3}"),
        tracklet=TrackletId(f"t{number // 4}"),
        kind="car",
        embedder=f"model@{number % 2}",
        box_px=(0.0, 0.0, 9.0, 9.0),
        quality=0.5,
        personal=Personal(embedding=components.tobytes()),
    )
    key = DeviceKey(device=DeviceId("edge"), boot_epoch=1, sequence=number)
    return ObservationEvent(site=SITE, key=key, occurred_at=_START_AT + number, payload=payload)


async def _killed_at_work(child: asyncio.subprocess.Process, what: str, after_s: float) -> bool:
    """Whether it was still at work."""
    said = await _said(child, what, after_s)
    if said not in ("done", "killed"):
        raise RuntimeError(f"{what} ended with '{said}'")
    return said == "killed"


async def _done(child: asyncio.subprocess.Process, what: str) -> float:
    """Let it end; how long it took, in seconds."""
    started_s = time.monotonic()
    if (said := await _said(child, what, _LONGEST_S)) != "done":
        raise RuntimeError(f"{what} ended with '{said}'")
    return time.monotonic() - started_s


async def _said(child: asyncio.subprocess.Process, what: str, after_s: float) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{what} {after_s}\n".encode())
    async with asyncio.timeout(2 * _LONGEST_S):
        return (await child.stdout.readline()).decode().strip()


async def _wrong(folder: Path, views: list[ObservationEvent], *, is_complete: bool = False) -> str | None:
    index = await QdrantIndex.open(folder / "search" / SITE)
    try:
        cursor, n_points = await index.cursor(), await index.count()
        tracklets = sorted({one.payload.tracklet for one in views if isinstance(one.payload, TrackletEmbedded)})
        points = await index.points_of_many(tracklets, limit=len(views) + 1)
    finally:
        await index.aclose()
    return wrong_of(points, n_points, cursor, views, is_complete=is_complete)


def wrong_of(
    points: list[Point], n_points: int, cursor: int, views: list[ObservationEvent], *, is_complete: bool = False
) -> str | None:
    """What an index has wrong, or None; the log's position of a view is its place in ``views``, from 1."""
    by_id = {one.id: one for one in points}
    if not len(points) == len(by_id) == n_points:
        return f"{n_points} points are counted and {len(points)} found, of {len(by_id)} views"
    for position, event in enumerate(views[:cursor], 1):
        if UUID(hex=event.id) not in by_id:
            return f"the cursor is at {cursor}, and the view at {position} is not there"
    if is_complete and (cursor, n_points) != (len(views), len(views)):
        return f"of {len(views)} views {n_points} are there, and the cursor is at {cursor}"
    for event in views:
        point = by_id.get(UUID(hex=event.id))
        if point is not None and not _is_of(point, event.payload, event.occurred_at):
            return f"point {point.id} is not what was seen"
    return None


def _is_of(point: Point, seen: Any, at: int) -> bool:
    vector, sighting = unit_vector(seen.personal.embedding), point.sighting
    is_alike = vector is not None and len(vector) == len(point.vector) and np.allclose(vector, point.vector, atol=1e-6)
    told = (sighting.camera, sighting.tracklet, sighting.embedder, sighting.at)
    return is_alike and told == (seen.camera, seen.tracklet, seen.embedder, at)


async def _child(folder: str) -> asyncio.subprocess.Process:
    """A process that starts others: see ``main``."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from twin.evaluation.proofs import part;"
        " part('killed_index').main(*sys.argv[1:])"
    )
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, folder, stdin=pipe, stdout=pipe)


def main(folder: str) -> None:
    """A worker for every line of what it does and when it is killed; forked, as one that imports all anew takes seconds."""
    for line in sys.stdin:
        what, after_s = line.split()
        worker = os.fork()
        if worker == 0:
            status = 1
            try:
                asyncio.run(_work(Path(folder), what))
                status = 0
            finally:
                os._exit(status)
        until_s = time.monotonic() + float(after_s)
        ended = 0, 0
        while not ended[0] and time.monotonic() < until_s:
            ended = os.waitpid(worker, os.WNOHANG)
            time.sleep(0.001)
        if not ended[0]:  # and so it still has its id
            os.kill(worker, signal.SIGKILL)
            ended = os.waitpid(worker, 0)
        status = os.waitstatus_to_exitcode(ended[1])
        print({0: "done", -signal.SIGKILL: "killed"}.get(status, f"exit {status}"), flush=True)  # noqa: T201


async def _work(folder: Path, what: str) -> None:
    sql = SqlLog.open(folder / "log.db", read_only=True)
    log, keys, place = SealingLog(sql, SqlKeyRing(sql)), SqlKeyRing(sql), folder / "search" / SITE
    if what == "rebuild":
        await rebuild(log, keys, place, SITE)
    else:
        index = await QdrantIndex.open(place)
        await IndexFollower(log, keys, index, SITE).catch_up((await log.heads(SITE)).observations, page=PAGE)
        await index.aclose()
    await sql.aclose()
