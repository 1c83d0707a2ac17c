"""The commands of the receiver example."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx2
import msgspec
import typer
import uvicorn
from sqlalchemy import Engine, Table, select
from sqlalchemy.exc import DBAPIError

from ops.examples.database import opened, until_there
from ops.examples.receiver.door import PATH, create_door
from ops.examples.receiver.registration import OVERLAP_S, Registration
from ops.examples.receiver.schema import events, metadata, stays
from ops.examples.service import headers
from twin.backoff import Backoff
from twin.client.connection import Connection, ServiceError
from twin.errors import TwinError
from twin.events.ids import Micros
from twin.process import Server, listen, stop_signals

app = typer.Typer(
    help="A receiver of the twin's webhooks.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

Site = Annotated[str, typer.Option("--site", help="Name of the site.")]
Url = Annotated[str, typer.Option("--url", help="Address of the twin's service.")]
Database = Annotated[str, typer.Option("--database", help="What came, and the secrets; it is made where there is none.")]
Name = Annotated[str, typer.Option("--webhook", help="Name of the webhook.")]

_URL, _DATABASE, _NAME = "http://127.0.0.1:8600", "sqlite:///received.db", "received"
_TIMEOUT_S = 80.0  # longer than the service may wait before it answers
_STOP_S = 5  # for requests that are being answered when it stops

_logger = logging.getLogger(__name__)


@app.command()
def run(
    site: Site,
    url: Url = _URL,
    database: Database = _DATABASE,
    webhook: Name = _NAME,
    port: Annotated[int, typer.Option("--port", min=1024, max=65535, help="Of the receiver, on 127.0.0.1.")] = 8700,
    address: Annotated[
        str | None, typer.Option("--address", help="Where the twin sends to, if something is in front; else this port.")
    ] = None,
) -> None:
    """Take webhooks until stopped; it may be killed at any moment."""
    engine = opened(database, metadata)
    try:
        asyncio.run(_run(engine, url, site, webhook, port, address or f"http://127.0.0.1:{port}{PATH}"))
    finally:
        engine.dispose()


@app.command()
def rotate(
    site: Site,
    url: Url = _URL,
    database: Database = _DATABASE,
    webhook: Name = _NAME,
    overlap_s: Annotated[
        int, typer.Option("--overlap", min=0, max=604_800, help="Seconds that the old ones hold.")
    ] = OVERLAP_S,
) -> None:
    """Have the twin sign with a new secret; a receiver that runs goes on, and knows it at once."""
    engine = opened(database, metadata)

    async def ask() -> None:
        async with _service(url, site, patience_s=30.0) as service:
            await Registration(service, engine, webhook, "", _now).rotate(overlap_s)

    try:
        asyncio.run(ask())
    finally:
        engine.dispose()


@app.command("stays")
def show_stays(database: Database = _DATABASE) -> None:
    """Stays as they were told, as JSON lines."""
    _print(database, stays)


@app.command("events")
def show_events(database: Database = _DATABASE) -> None:
    """What came, in the order in which it came, as JSON lines."""
    _print(database, events)


def _print(database: str, table: Table) -> None:
    engine = opened(database, metadata)
    try:
        with engine.begin() as connection:
            for row in connection.execute(select(table)).mappings():
                typer.echo(msgspec.json.encode(dict(row)).decode())
    finally:
        engine.dispose()


async def _run(engine: Engine, url: str, site: str, webhook: str, port: int, address: str) -> None:
    """Listens before it is registered, so that the first request finds somebody; until a signal, or until the twin refuses."""
    with listen("127.0.0.1", port) as listener, stop_signals() as stopped:
        config = uvicorn.Config(
            create_door(engine, webhook, _now),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_STOP_S,
        )
        server = Server(config)
        async with _service(url, site) as service:
            registering = asyncio.create_task(_register(Registration(service, engine, webhook, address, _now)))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            waiting = asyncio.create_task(stopped.wait())
            try:
                await asyncio.wait([registering, serving, waiting], return_when=asyncio.FIRST_COMPLETED)
                if registering.done():
                    registering.result()
                    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
            finally:
                server.should_exit = True
                for task in (registering, waiting):
                    task.cancel()
                await asyncio.gather(registering, serving, waiting, return_exceptions=True)


async def _register(registration: Registration) -> None:
    """A twin that refuses, as for a key that has ended, stops nothing where it knows the webhook already."""
    try:
        await until_there(registration.make)
    except ServiceError as refused:
        if not registration.is_known():
            raise
        _logger.warning("the twin does not say that the webhook stands as it should (%s); what it sends is taken", refused)


@asynccontextmanager
async def _service(url: str, site: str, patience_s: float = math.inf) -> AsyncIterator[Connection]:
    backoff = Backoff(random.random, first_s=0.1, longest_s=2.0)
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, headers=headers()) as http:
        yield Connection(url, site, http=http, patience_s=patience_s, backoff=backoff)


def _now() -> Micros:
    return time.time_ns() // 1_000


def main() -> None:
    """Run the command; an error raised on purpose is one message, exit 1."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o077)  # secrets are in the database
    try:
        app()
    except TwinError as wrong:
        print(f"receiver: {wrong}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except DBAPIError as wrong:
        print(f"receiver: the database does not do this now: {wrong.orig}; try again", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
