"""Requests are held to what the documentation says of their operation, before it sees them."""

from __future__ import annotations

from collections.abc import Collection
from functools import wraps

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from twin.api.endpoint import Endpoint, Handler
from twin.api.exchange import check_name
from twin.errors import BadInput, UnsupportedMedia

_JSON = "application/json"


def held(endpoint: Endpoint) -> Handler:
    """The endpoint's handler behind checks of its query's names and of its body's media type; values it reads itself."""
    media = {*(endpoint.takes or {}), *({_JSON} if endpoint.body is not None else ())}

    @wraps(endpoint.handler)
    async def handler(request: Request) -> Response:
        check_query(request, [one.name for one in endpoint.parameters], of=f"{request.method} {endpoint.path}")
        for one in endpoint.parameters:
            if one.is_required and one.name not in request.query_params:
                raise BadInput(f"'{one.name}' is missing: {one.about}")
        for name in ("session", "vehicle"):
            if name in request.path_params:
                check_name(name, request.path_params[name])
        if media:
            _check_media(request, media)
        return await endpoint.handler(request)

    return handler


def check_query(connection: HTTPConnection, known: Collection[str], *, of: str) -> None:
    """Raises BadInput where a name is given that is none of these, or one is given twice."""
    query = connection.query_params
    if unknown := sorted(set(query) - set(known)):
        raise BadInput(f"'{unknown[0][:40]}' is no parameter of {of}, which has {', '.join(sorted(known)) or 'none'}")
    for name in known:
        if (n_given := len(query.getlist(name))) > 1:
            raise BadInput(f"'{name}' is given {n_given} times; give it once")


def _check_media(request: Request, media: set[str]) -> None:
    """A body without a media type is taken for what the operation takes: small programs leave it out."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given and given not in media:
        raise UnsupportedMedia(
            f"content-type '{given[:80]}' is not what {request.method} takes here; send {' or '.join(sorted(media))}"
        )
