"""The commands of the entry example."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import httpx2
import msgspec
import typer
import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ops.examples.database import opened, until_there
from ops.examples.entry import journal
from ops.examples.entry.controller import Controller, Terms, gates_in
from ops.examples.entry.desk import create_desk, latency
from ops.examples.entry.gate import GateActuator, RelayGate, SimulatedGate
from ops.examples.entry.policy import Lists
from ops.examples.entry.sender import Sender
from ops.examples.plate import plain
from ops.examples.service import headers, site_address
from twin.backoff import Backoff
from twin.client import Client, ServiceError
from twin.errors import BadInput, TwinError
from twin.events.ids import Micros
from twin.process import Server, listen, stop_signals

app = typer.Typer(
    help="An entry system beside the twin.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

Database = Annotated[str, typer.Option("--database", help="The journal; it is made where there is none.")]

_DATABASE = "sqlite:///entry.db"
_TIMEOUT_S = 80.0  # longer than the service may wait before it answers
_SENDS_WITHIN_S = 5.0
_MODEL_EVERY_S = 60.0

_logger = logging.getLogger(__name__)


@app.command()
def run(
    site: Annotated[str, typer.Option("--site", help="Name of the site.")],
    url: Annotated[str, typer.Option("--url", help="Address of the twin's service.")] = "http://127.0.0.1:8600",
    database: Database = _DATABASE,
    relay: Annotated[str | None, typer.Option("--relay", help="Address of the gates' controller; absent: simulated.")] = None,
    lists: Annotated[Path | None, typer.Option("--lists", help="JSON with plates to allow and deny.")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the desk, on 127.0.0.1.")] = 8650,
    deadline_s: Annotated[float, typer.Option("--deadline", min=0.1, max=60, help="Seconds that the twin may take.")] = 2.0,
    device: Annotated[str, typer.Option("--device", help="This system's name; each needs its own.")] = "entry",
) -> None:
    """Ask the twin for each vehicle, and open gates, until stopped; it may be killed at any moment."""
    engine = opened(database, journal.metadata)
    try:
        terms = Terms(deadline_s=deadline_s, stale_s=max(30.0, 2 * deadline_s))
        asyncio.run(_run(engine, url, site, device, relay, read_lists(lists), terms, port))
    finally:
        engine.dispose()


@app.command("latency")
def show_latency(database: Database = _DATABASE) -> None:
    """How long answers took, as JSON."""
    engine = opened(database, journal.metadata)
    try:
        typer.echo(msgspec.json.encode(latency(engine)).decode())
    finally:
        engine.dispose()


def read_lists(path: Path | None) -> Lists:
    """Lists from a file, as `billing accounts lists` prints them.

    Raises:
        BadInput: it cannot be read.
    """
    if path is None:
        return Lists()
    try:
        given = msgspec.json.decode(path.read_bytes(), type=Mapping[str, list[str]])
    except (OSError, msgspec.DecodeError) as wrong:
        raise BadInput(f'\'{path}\' has no lists: {wrong}; give {{"allow": [...], "deny": [...]}}') from None
    return Lists(**{name: frozenset(map(plain, given.get(name, ()))) for name in ("allow", "deny")})


async def _run(
    engine: Engine, url: str, site: str, device: str, relay: str | None, lists: Lists, terms: Terms, port: int
) -> None:
    with engine.begin() as connection:
        who = journal.device(connection, site, device, _now())
    address = site_address(url, site)
    async with (
        httpx2.AsyncClient(timeout=_TIMEOUT_S, headers=headers()) as http,
        httpx2.AsyncClient(timeout=_SENDS_WITHIN_S, headers=headers()) as quick,
        httpx2.AsyncClient(timeout=_SENDS_WITHIN_S) as to_gates,
    ):
        gate: GateActuator = SimulatedGate() if relay is None else RelayGate(to_gates, relay)
        sender = Sender(quick, address, engine, who, _now, Backoff(random.random, first_s=0.1, longest_s=2.0))
        controller = Controller(engine, who, gate, now=_now, wake=sender.wake, lists=lists, terms=terms)
        _remember(engine, site, controller)
        backoff = Backoff(random.random, first_s=0.1, longest_s=2.0)
        answers = follow_answers(http, url, site, controller, device, backoff)
        parts = (sender.run(), answers, _know(quick, address, engine, site, controller))
        tasks = [asyncio.create_task(one) for one in parts]
        try:
            controller.resume()
            await _serve(create_desk(controller, engine), port, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await controller.aclose()


async def _serve(desk: object, port: int, tasks: list[asyncio.Task[None]]) -> None:
    """Until a signal, or until a part fails."""
    with listen("127.0.0.1", port) as listener, stop_signals() as stopped:
        config = uvicorn.Config(desk, log_config=None, lifespan="off", timeout_graceful_shutdown=1)  # pyright: ignore[reportArgumentType]
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        waiting = asyncio.create_task(stopped.wait())
        try:
            done, _ = await asyncio.wait([*tasks, serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            waiting.cancel()
            await asyncio.gather(serving, waiting, return_exceptions=True)
        for task in done:
            task.result()


async def follow_answers(
    http: httpx2.AsyncClient, url: str, site: str, controller: Controller, device: str, backoff: Backoff
) -> None:
    """Act on the twin's answers, for ever; a twin that refuses, as for a key that has ended, stops no gate."""
    n_failures = 0
    while True:
        try:
            async with Client(url, site=site, http=http, backoff=backoff) as client:
                events = client.subscribe(f"gates-{device}", types=["gate.decided.v1"], consumer=device, limit=20)
                async for event in events:
                    n_failures = 0
                    await until_there(partial(controller.decide, event))
        except ServiceError as refused:
            n_failures += 1
            if n_failures == 1:
                _logger.warning("the twin does not tell its answers (%s); gates go by the site's own rule", refused)
            await asyncio.sleep(backoff.wait_s(n_failures))


async def _know(http: httpx2.AsyncClient, address: str, engine: Engine, site: str, controller: Controller) -> None:
    """Read the site's gates now and then, and remember them for when the twin is away."""
    while True:
        try:
            answer = await http.get(address)
            if answer.is_success:
                await until_there(partial(_keep_gates, engine, site, answer.content))
                controller.know(gates_in(answer.content))
                await asyncio.sleep(_MODEL_EVERY_S)
        except httpx2.TransportError:
            pass
        await asyncio.sleep(1.0)


def _keep_gates(engine: Engine, site: str, model: bytes) -> None:
    with engine.begin() as connection:
        journal.keep_gates(connection, site, model)


def _remember(engine: Engine, site: str, controller: Controller) -> None:
    with engine.begin() as connection:
        kept = journal.kept_gates(connection, site)
    if kept is not None:
        controller.know(gates_in(kept.encode()))


def _now() -> Micros:
    return time.time_ns() // 1_000


def main() -> None:
    """Run the command; an error raised on purpose is one message, exit 1."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        app()
    except TwinError as wrong:
        print(f"entry: {wrong}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except DBAPIError as wrong:
        print(f"entry: the database does not do this now: {wrong.orig}; try again", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
