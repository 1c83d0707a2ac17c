"""Reading requests and writing answers."""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from site_models.schema import Site
from twin.api.endpoint import LARGEST_COUNT
from twin.api.services import Services
from twin.errors import BadInput, NotFound, TooLarge
from twin.events.codec import canonical_json
from twin.projections.moment import Moment, read_moment
from twin.projections.timeline import Timeline
from twin.projections.waiting import awaited, wait_for, wait_of

_LONGEST_NAME = 200  # with what is put before some in the log, it is less than that takes


def services_of(connection: HTTPConnection) -> Services:
    """What the application serves from."""
    return cast(Services, connection.app.state.services)


def site_of(connection: HTTPConnection) -> Site:
    """The site that the path names; raises NotFound."""
    return services_of(connection).site(connection.path_params["site"])


async def moment_of(request: Request) -> Moment:
    """The ``at`` and ``known_at`` of a read, once what it waits for is there; raises as ``read_moment`` and ``waited`` do."""
    query, log, site = request.query_params, services_of(request).log, site_of(request).name
    await waited(request)
    return await read_moment(log, site, at=query.get("at"), known_at=query.get("known_at"))


def timeline_of(request: Request, known_at: int) -> Timeline:
    """The reads of a request's site, on the map that was in force at the ``known_at`` that it gives, else on the present one.

    Args:
        known_at: as it was read.
    """
    present = services_of(request).timelines[site_of(request).name]
    return present.as_known(known_at if "known_at" in request.query_params else None)


async def map_of(request: Request) -> Site:
    """The map of a request's site that was in force at the ``known_at`` that it gives, else the present one."""
    if (known_at := request.query_params.get("known_at")) is None:
        return site_of(request)
    moment = await read_moment(services_of(request).log, site_of(request).name, at=None, known_at=known_at)
    return timeline_of(request, moment.known_at).site


async def waited(request: Request) -> None:
    """Wait for what ``wait_for`` of a read asks for; raises as ``wait_for`` does."""
    query = request.query_params
    wanted = None if "wait_for" not in query else awaited(query["wait_for"])
    wait_s = wait_of(query.get("wait_s"))
    if wanted is not None:
        await wait_for(services_of(request).log, site_of(request).name, wanted, wait_s=wait_s)


def count_of(request: Request, name: str, *, default: int, least: int = 0, most: int = LARGEST_COUNT) -> int:
    """A whole number from the query; raises BadInput."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise BadInput(f"{name}='{text[:60]}' cannot be used; give a whole number from {least} to {most}")
    return int(text)


def check_name(what: str, name: str) -> None:
    """Raise NotFound for what is no name of anything: a log's names are printable, and not long."""
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise NotFound(f"there is no {what} {name[:40]!r}; names are 1 to {_LONGEST_NAME} printable characters")


def json(content: Any, status: int = 200) -> Response:
    """An answer in canonical JSON: sorted keys, so that the same content is the same bytes."""
    return json_text(canonical_json(content), status)


def json_text(content: bytes, status: int = 200) -> Response:
    """An answer that is canonical JSON already."""
    return Response(content, status, media_type="application/json")


async def body_of(request: Request, *, most_bytes: int) -> bytes:
    """The whole body, read no further than it may be long; raises TooLarge."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most_bytes:
        raise TooLarge(f"the body has {declared} bytes; the limit is {most_bytes}: send less at once")
    chunks: list[bytes] = []
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > most_bytes:
            raise TooLarge(f"the body has more than {most_bytes} bytes, the limit: send less at once")
        chunks.append(chunk)
    return b"".join(chunks)
