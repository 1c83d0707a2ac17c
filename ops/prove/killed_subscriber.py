"""A subscriber in a process of its own, killed again and again while facts flow into a service in another.

Facts come in as many portions as there are kills, each once a subscriber is there to have them, so that they flow at every kill
however long processes take to start.
"""

from __future__ import annotations

import asyncio
import os
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
_PORTION_S = 1.0
_LONGEST_WITHOUT_S = 120


def refuted(seed: int, n_facts: int = FACTS, n_kills: int = KILLS) -> str | None:
    """What was lost, doubled or out of order, or None."""
    return asyncio.run(_refuted(seed, n_facts, n_kills))


async def _refuted(seed: int, n_facts: int, n_kills: int) -> str | None:
    draw = random.Random(f"kills {seed}")
    with scratch() as name:
        folder, port = Path(name), _free_port()
        effects = _effects(folder)
        server, subscribers = await _child("serve", name, str(port)), await _child("subscribers", name, str(port))
        try:
            for number in range(1, n_kills + 1):
                subscriber = int(await _asked(subscribers, "another"))
                _ask(server, str(n_facts * number // n_kills))
                await asyncio.sleep(draw.uniform(0.0, 1.5 * _PORTION_S))
                os.kill(subscriber, signal.SIGKILL)
            subscriber = int(await _asked(subscribers, "another"))
            await _until(effects, n_facts)
            os.kill(subscriber, signal.SIGKILL)
        finally:
            for process in (server, subscribers):
                process.kill()
                await process.wait()
        return _wrong(effects.by_session(), n_facts)


def _wrong(found: dict[str, list[int]], n_facts: int) -> str | None:
    for number in range(_SESSIONS):
        expected = [position for position in range(1, n_facts + 1) if position % _SESSIONS == number]
        had = found.get(f"s{number}", [])
        if had != expected:
            return f"session s{number} had {len(had)} effects, of {len(set(had))} facts, where {len(expected)} facts are"
    return None


async def _until(effects: Effects, n_facts: int) -> None:
    """Wait until so many effects are there, as long as more of them come."""
    n_before, at_s = -1, time.monotonic()
    while (n := len(effects)) < n_facts and time.monotonic() < at_s + _LONGEST_WITHOUT_S:
        if n > n_before:
            n_before, at_s = n, time.monotonic()
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
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, *words, stdin=pipe, stdout=pipe)
    await _said(child)
    return child


async def _asked(child: asyncio.subprocess.Process, what: str) -> str:
    _ask(child, what)
    return await _said(child)


def _ask(child: asyncio.subprocess.Process, what: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{what}\n".encode())


async def _said(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(120):
        return (await child.stdout.readline()).decode()


def main(what: str, folder: str, port: str) -> None:
    """What a child does."""
    if what == "serve":
        asyncio.run(_serve(Path(folder), int(port)))
    else:
        _fork_subscribers(Path(folder), int(port))


def _fork_subscribers(folder: Path, port: int) -> None:
    """A subscriber for every line that is read; forked, as a process that imports all anew takes a second of processor."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)  # noqa: T201
    for _ in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                asyncio.run(_subscribe(folder, port))
            finally:
                os._exit(1)


async def _serve(folder: Path, port: int) -> None:
    log = SqlLog.open(folder / "log.db")
    app = app_of(log, Subscriptions(log, SqlSubscriptions(log), PLACE))
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print("serving", flush=True)  # noqa: T201
    token, n_facts = await log.acquire(SITE, "proof"), 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        starts = range(n_facts, int(line), _COMMIT)
        for start in starts:
            causes = range(start + 1, min(start + _COMMIT, int(line)) + 1)
            await log.append([observation(1, cause) for cause in causes])
            await log.commit(FoldCommit(token=token, after=start, cursor=causes[-1], facts=tuple(map(_fact, causes))))
            await asyncio.sleep(_PORTION_S / len(starts))
        n_facts = int(line)
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
        print(os.getpid(), flush=True)  # noqa: T201
        async for one in client.subscribe("billing", after=0, consumer="billing-1"):
            effects.happen(one)
