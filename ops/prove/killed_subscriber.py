"""A subscriber in a process of its own, killed again and again while facts flow into a service in another."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sqlite3
import sys
import time
from pathlib import Path

import uvicorn
from sqlalchemy import create_engine, event

from twin.client import Client
from twin.events.envelope import FactEvent
from twin.events.facts import SessionClosed
from twin.events.ids import PortalId, SessionId, VehicleId
from twin.feeds.subscriptions import Subscriptions
from twin.log.port import FoldCommit
from twin.log.sql import SqlLog
from twin.log.sql.subscriptions import SqlSubscriptions

from .effects import PLACE, Effects, app_of
from .scratch import scratch
from .workload import SITE, observation

FACTS, KILLS = 2_000, 5
_SESSIONS, _COMMIT = 40, 40
_LONGEST_S = 300


def refuted(seed: int, n_facts: int = FACTS, n_kills: int = KILLS) -> str | None:
    """What was lost, doubled or out of order, or None."""
    return asyncio.run(_refuted(seed, n_facts, n_kills))


async def _refuted(seed: int, n_facts: int, n_kills: int) -> str | None:
    draw = random.Random(f"kills {seed}")
    with scratch() as name:
        folder, port = Path(name), _free_port()
        effects = _effects(folder)
        server = await _child("serve", name, str(port), str(n_facts))
        try:
            for _ in range(n_kills):
                subscriber = await _child("subscribe", name, str(port))
                await asyncio.sleep(draw.uniform(0.0, 1.5))
                subscriber.send_signal(signal.SIGKILL)
                await subscriber.wait()
            subscriber = await _child("subscribe", name, str(port))
            await _until(effects, n_facts)
            subscriber.kill()
            await subscriber.wait()
        finally:
            server.kill()
            await server.wait()
        return _wrong(effects.by_session(), n_facts)


def _wrong(found: dict[str, list[int]], n_facts: int) -> str | None:
    for number in range(_SESSIONS):
        expected = [position for position in range(1, n_facts + 1) if position % _SESSIONS == number]
        had = found.get(f"s{number}", [])
        if had != expected:
            return f"session s{number} had {len(had)} effects, of {len(set(had))} facts, where {len(expected)} facts are"
    return None


async def _until(effects: Effects, n_facts: int) -> None:
    """Wait until so many effects are there, but not for ever."""
    until_s = time.monotonic() + _LONGEST_S
    while time.monotonic() < until_s and len(effects) < n_facts:  # noqa: ASYNC110 - another process makes them
        await asyncio.sleep(0.2)


def _effects(folder: Path) -> Effects:
    """Safe from kills, not from power cuts: those are not what happens here."""
    engine = create_engine(f"sqlite:///{folder / 'effects.db'}", connect_args={"timeout": 30})
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma journal_mode = wal")

    @event.listens_for(engine, "connect")
    def relax(connection: sqlite3.Connection, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("pragma synchronous = normal")

    engine.dispose()
    return Effects(engine)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def _child(*words: str) -> asyncio.subprocess.Process:
    """A process of this module's ``main``, once it says that it runs."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; from twin.evaluation.proofs import module; module('G10');"
        " from twin_prove.killed_subscriber import main; main(*sys.argv[1:])"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, *words, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    async with asyncio.timeout(120):
        await child.stdout.readline()
    return child


def main(what: str, folder: str, port: str, n_facts: str = "0") -> None:
    """What a child does."""
    asyncio.run(_serve(Path(folder), int(port), int(n_facts)) if what == "serve" else _subscribe(Path(folder), int(port)))


async def _serve(folder: Path, port: int, n_facts: int) -> None:
    log = SqlLog.open(folder / "log.db")
    app = app_of(log, Subscriptions(log, SqlSubscriptions(log), PLACE))
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print("serving", flush=True)  # noqa: T201
    token = await log.acquire(SITE, "proof")
    for start in range(0, n_facts, _COMMIT):
        causes = range(start + 1, min(start + _COMMIT, n_facts) + 1)
        await log.append([observation(1, cause) for cause in causes])
        await log.commit(FoldCommit(token=token, after=start, cursor=causes[-1], facts=tuple(map(_fact, causes))))
        await asyncio.sleep(0.02)
    await serving


def _fact(cause: int) -> FactEvent:
    name = f"s{cause % _SESSIONS}"
    payload = SessionClosed(
        session=SessionId(name), vehicle=VehicleId(name), portal=PortalId("gate"), entry_at=0, exit_at=cause, confidence=1.0
    )
    return FactEvent(site=SITE, fold_version="1", cause=cause, ordinal=0, occurred_at=cause, payload=payload)


async def _subscribe(folder: Path, port: int) -> None:
    effects = _effects(folder)
    async with Client(f"http://127.0.0.1:{port}", site=SITE) as client:
        print("subscribing", flush=True)  # noqa: T201
        async for one in client.subscribe("billing", after=0, consumer="billing-1"):
            effects.happen(one)
