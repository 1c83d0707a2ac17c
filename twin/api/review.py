"""One stay with what it rests on; and what a person should look at: stays in doubt, with both of their ends."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import MOMENT, Endpoint, Parameter
from twin.api.exchange import check_name, count_of, json, moment_of, services_of, site_of
from twin.events.wire import TIME
from twin.projections.moment import read_time
from twin.projections.review import Review, review
from twin.projections.sessions import MOST_STAYS
from twin.projections.stay import StayTold, stay

CASES = 200
CASES_MOST = 10_000


async def read_review(request: Request) -> Response:
    """Stays in doubt."""
    moment, begin = await moment_of(request), request.query_params.get("from")
    limit = count_of(request, "limit", default=CASES, most=CASES_MOST)
    since = None if begin is None else read_time("from", begin)
    found = await review(services_of(request).log, site_of(request).name, moment, since=since)
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
                name="from",
                about=f"Of stays of which something was told at or after this valid time; needed beyond {MOST_STAYS:,} stays.",
                schema=TIME,
            ),
            Parameter(
                name="limit",
                about=f"At most so many; {CASES} if absent.",
                schema={"type": "integer", "minimum": 0, "maximum": CASES_MOST},
            ),
        ),
        refusals=(404, 410, 413, 422, 503),
    ),
)
