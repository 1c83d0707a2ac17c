"""One stay with what it rests on; and what a person should look at: stays in doubt, with both of their ends."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import MOMENT, Endpoint, Parameter
from twin.api.exchange import check_name, count_of, json, moment_of, services_of, site_of
from twin.projections.review import CaseView, review
from twin.projections.stay import StayTold, stay

CASES = 200
CASES_MOST = 10_000


class Review(Struct, frozen=True, kw_only=True):
    """Cases, those that wait for a person first.

    Attributes:
        n_waiting, n_decided: of all cases, whatever ``limit`` is.
    """

    position: str
    n_waiting: int
    n_decided: int
    cases: list[CaseView]


async def read_review(request: Request) -> Response:
    """Stays in doubt."""
    moment = await moment_of(request)
    limit = count_of(request, "limit", default=CASES, most=CASES_MOST)
    found = await review(services_of(request).log, site_of(request).name, moment)
    n_decided = sum(one.is_decided for one in found)
    told = Review(position=str(moment.known_at), n_waiting=len(found) - n_decided, n_decided=n_decided, cases=found[:limit])
    return json(told)


async def read_session(request: Request) -> Response:
    """One stay."""
    moment, session = await moment_of(request), request.path_params["session"]
    check_name("session", session)
    return json(await stay(services_of(request).log, site_of(request).name, session, moment))


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/sessions/{session}",
        handler=read_session,
        scope="read",
        about="One stay at a moment: what both ends rest on, where it stood, and every version of it.",
        answer=StayTold,
        parameters=MOMENT,
        refusals=(404, 410, 413, 422, 503),
    ),
    Endpoint(
        path="/v1/sites/{site}/review",
        handler=read_review,
        scope="read",
        about="Stays in doubt at a moment: why, what both ends rest on, and which other stays their missing ends may be.",
        answer=Review,
        parameters=(
            *MOMENT,
            Parameter(
                name="limit",
                about=f"At most so many; {CASES} if absent.",
                schema={"type": "integer", "minimum": 0, "maximum": CASES_MOST},
            ),
        ),
        refusals=(404, 410, 413, 422, 503),
    ),
)
