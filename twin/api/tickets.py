"""Tickets for the live feed: for pages of other origins, and for programs whose WebSocket cannot set headers."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.access.tickets import LASTS_S
from twin.api.endpoint import Endpoint
from twin.api.exchange import json, services_of, site_of
from twin.api.guard import grant_of
from twin.errors import Conflict


class TicketView(Struct, frozen=True, kw_only=True):
    """A ticket: ``?ticket=`` of one connection, within so many seconds, to the process that gave it."""

    ticket: str
    lasts_s: int


async def post_ticket(request: Request) -> Response:
    """Give one, which is used up by the first connection that shows it."""
    keyed, site = services_of(request).access.keyed, site_of(request)
    if keyed is None:
        raise Conflict("access is open here, so a WebSocket needs no ticket; connect without one")
    answer = json({"ticket": keyed.tickets.issue(grant_of(request).key, site.name), "lasts_s": LASTS_S}, 201)
    answer.headers["cache-control"] = "no-store"
    return answer


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/live/tickets",
        method="POST",
        status=201,
        handler=post_ticket,
        scope="read",
        about="A ticket for one connection to the live feed.",
        answer=TicketView,
        refusals=(404, 409, 503),
    ),
)
