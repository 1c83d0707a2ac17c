"""What gates and attendants talk to: a small HTTP interface of the entry system's own, for this machine alone.

A page in a browser on this machine reaches it too. So what acts takes no ``Origin``, which browsers send with every such
request, and takes JSON by name, for which they would ask first. The desk has no pages, so no origin is its own: one that is
the same as the ``Host`` may be a name that was made to lead here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Engine, Row, select
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from ops.examples.entry.controller import Controller
from ops.examples.entry.journal import questions
from twin.errors import BadInput, Forbidden, TwinError, UnsupportedMedia
from twin.events.observations import Direction, GateState

_logger = logging.getLogger(__name__)

_BODY_BYTES = 16_384
_JSON = "application/json"
_Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vehicle is at a gate; ``id`` is the gate's own: sent again by it before the question is over, it is the same.

    Attributes:
        plate: as the gate's own camera read it; for the lists, and not kept.
    """

    id: _Name | None = None
    direction: Direction | None = None
    loop: _Name | None = None
    plate: Annotated[str, Meta(max_length=32)] | None = None


class Overridden(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An attendant decides; ``question`` absent: about the last one at that gate."""

    answer: Literal["open", "refuse"]
    author: _Name
    reason: Annotated[str, Meta(min_length=1, max_length=1_000)]
    question: _Name | None = None


class Said(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a barrier is."""

    state: GateState


def create_desk(controller: Controller, engine: Engine) -> Starlette:
    """The application; it starts and closes nothing."""

    async def ask(request: Request) -> Response:
        given = await _body(request, Asked)
        portal = request.path_params["portal"]
        asked = await controller.ask(portal, given.direction, plate=given.plate, loop=given.loop, given=given.id)
        return _json(_told(asked))

    async def override(request: Request) -> Response:
        given = await _body(request, Overridden)
        portal = request.path_params["portal"]
        return _json(_told(controller.override(portal, given.answer, given.author, given.reason, given.question)))

    async def state(request: Request) -> Response:
        controller.state(request.path_params["portal"], (await _body(request, Said)).state)
        return Response(status_code=204)

    async def read_questions(_: Request) -> Response:
        with engine.begin() as connection:
            found = connection.execute(select(questions).order_by(questions.c.n.desc()).limit(1_000)).all()
        return _json({"questions": [_told(one) for one in found]})

    async def read_latency(_: Request) -> Response:
        return _json(latency(engine))

    return Starlette(
        routes=[
            Route("/gates/{portal}/loop", ask, methods=["POST"]),
            Route("/gates/{portal}/override", override, methods=["POST"]),
            Route("/gates/{portal}/state", state, methods=["POST"]),
            Route("/questions", read_questions),
            Route("/latency", read_latency),
        ],
        exception_handlers={
            TwinError: cast(ExceptionHandler, _refused),
            DBAPIError: cast(ExceptionHandler, _without_journal),
        },
    )


def latency(engine: Engine) -> dict[str, Any]:
    """From when the twin said that it has a question to when its answer was here, of all answers; milliseconds."""
    with engine.begin() as connection:
        wanted = select(questions.c.committed_at, questions.c.received_at).where(questions.c.received_at.is_not(None))
        pairs = connection.execute(wanted).all()
    waits = sorted(0.0 if sent_at is None else max(0, received_at - sent_at) / 1000 for sent_at, received_at in pairs)
    return {"n": len(waits), "p50_ms": _quantile(waits, 0.5), "p99_ms": _quantile(waits, 0.99)}


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return None if not ordered else round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def _told(question: Row[Any]) -> dict[str, Any]:
    names = ("question", "portal", "direction", "answer", "by", "reason", "order")
    return {name: getattr(question, name) for name in names}


async def _body(request: Request, kind: Callable[..., Any]) -> Any:
    _check_sender(request)
    body = await request.body()
    if len(body) > _BODY_BYTES:
        raise BadInput(f"the body has {len(body)} bytes; {_BODY_BYTES} are enough")
    try:
        return msgspec.json.decode(body or b"{}", type=cast(Any, kind))
    except (msgspec.ValidationError, msgspec.DecodeError) as wrong:
        raise BadInput(f"the body cannot be read: {wrong}; see ops/docs/consumers.md") from None


def _check_sender(request: Request) -> None:
    """See that no web page sends this; raises Forbidden or UnsupportedMedia."""
    if (origin := request.headers.get("origin")) is not None:
        raise Forbidden(f"a page of '{origin[:80]}' may not do this; programs send no Origin")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != _JSON:
        raise UnsupportedMedia(f"content-type '{media[:80]}' is not what the desk takes; send {_JSON}")


def _json(told: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(told), status, media_type=_JSON)


async def _without_journal(_: Request, error: DBAPIError) -> Response:
    """Nothing is decided that is not in the journal first; whoever asked asks again under the same id."""
    _logger.error("the journal does not take what was asked: %s", error.orig)
    return _json({"detail": "the journal is away, and nothing was decided; ask again"}, 503)


async def _refused(_: Request, error: TwinError) -> Response:
    return _json({"detail": str(error)}, error.status)
