"""Where the twin's requests come in: each is answered with 2xx once what it brought is committed, and not before."""

from __future__ import annotations

import logging
from threading import Lock
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from ops.examples.database import is_away
from ops.examples.receiver.intake import read, take
from ops.examples.receiver.secrets import accepted
from ops.examples.receiver.signature import check
from twin.errors import BadInput, Overloaded, TooLarge, TwinError
from twin.log.clock import Clock

PATH = "/twin"
MOST_BYTES = 1_000_000
_AGAIN_S = "2"

_logger = logging.getLogger(__name__)


def create_door(engine: Engine, webhook: str, clock: Clock) -> Starlette:
    """The application; it starts and closes nothing.

    Args:
        clock: what the time of a signature is held against.
    """

    turn = Lock()  # at a server, transactions beside each other would be in each other's way

    def store(headers: dict[str, str], body: bytes) -> None:
        now = clock()
        with engine.begin() as connection:
            known = accepted(connection, webhook, now)
        if not known:
            raise Overloaded(f"webhook '{webhook}' has no secret here yet: nobody can tell who sent this; send it again")
        event = read(check(headers, body, known, now), body)
        if event is not None:
            with turn, engine.begin() as connection:
                take(connection, event, body.decode(), now)

    async def come(request: Request) -> Response:
        body = await _body(request)
        await run_in_threadpool(store, dict(request.headers), body)
        return Response(status_code=204)

    return Starlette(
        routes=[Route(PATH, come, methods=["POST"])],
        exception_handlers={
            TwinError: cast(ExceptionHandler, _refused),
            DBAPIError: cast(ExceptionHandler, _not_stored),
            ClientDisconnect: cast(ExceptionHandler, _gone),
        },
    )


async def _body(request: Request) -> bytes:
    """Read no further than an event can be long; raises TooLarge."""
    parts, n_bytes = list[bytes](), 0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes > MOST_BYTES:
            raise TooLarge(f"the body has more than {MOST_BYTES} bytes, which no event has; nothing was stored")
        parts.append(part)
    return b"".join(parts)


async def _refused(_: Request, error: TwinError) -> Response:
    again = {"retry-after": _AGAIN_S} if isinstance(error, Overloaded) else {}
    if isinstance(error, BadInput):
        _logger.error("%s", error)
    return Response(str(error), error.status, again)


async def _not_stored(_: Request, error: DBAPIError) -> Response:
    """While the database is away all requests wait; one that it does not take holds up its stay alone."""
    _logger.error("nothing was stored: %s", error.orig)
    if is_away(error):
        return Response("the database is away; nothing was stored", 503, {"retry-after": _AGAIN_S})
    return Response("the database does not take this; nothing was stored", 500)


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=499)  # nobody reads it
