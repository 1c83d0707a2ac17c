"""Where the past came to be known otherwise: the index of corrections that a slider of time marks."""

from __future__ import annotations

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import KNOWN_AT, WAITING, Endpoint, Parameter, count
from twin.api.exchange import count_of, json, services_of, site_of, waited
from twin.errors import Contradiction
from twin.events.ids import Micros
from twin.events.wire import TIME
from twin.projections.corrections import MOST_NAMES, MOST_READ, Corrections, corrections
from twin.projections.moment import BEFORE_ALL, FOREVER, read_moment, read_time

PAGE = 200
PAGE_MOST = 1_000


async def read_corrections(request: Request) -> Response:
    """What was corrected, in the order in which it was learned."""
    services, site, query = services_of(request), site_of(request), request.query_params
    await waited(request)
    moment = await read_moment(services.log, site.name, at=None, known_at=query.get("known_at"))
    from_at, until_at = _end(request, "from", BEFORE_ALL), _end(request, "until", FOREVER)
    if from_at > until_at:
        raise Contradiction(f"from={query['from']} is after until={query['until']}; swap them")
    after = count_of(request, "after", default=0)
    if after > moment.known_at:
        raise Contradiction(f"after={after} is beyond known_at, position {moment.known_at}; give the 'next' of the page before")
    limit = count_of(request, "limit", default=PAGE, least=1, most=PAGE_MOST)
    found, following = await corrections(
        services.log, site.name, from_at=from_at, until_at=until_at, after=after, until=moment.known_at, limit=limit
    )
    return json(
        Corrections(
            site=site.name,
            position=str(moment.known_at),
            corrections=found,
            next=UNSET if following is None else str(following),
        )
    )


def _end(request: Request, name: str, otherwise: Micros) -> Micros:
    text = request.query_params.get(name)
    return otherwise if text is None else read_time(name, text)


ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/corrections",
        handler=read_corrections,
        scope="read",
        about="Where the past came to be known otherwise, by whom, and when it was learned; in the order of learning. "
        f"A page looks through some {MOST_READ} facts, so it may have none and still have a `next`; of each "
        f"correction the first {MOST_NAMES} names of a kind are told.",
        answer=Corrections,
        parameters=(
            Parameter(name="from", about="Only what touches this valid time or a later one.", schema=TIME),
            Parameter(name="until", about="Only what touches this valid time or an earlier one.", schema=TIME),
            KNOWN_AT,
            count("after", "Only what was learned after this fact position: the next of the page before."),
            count("limit", f"Corrections at most; {PAGE} if absent.", least=1, most=PAGE_MOST),
            *WAITING,
        ),
        refusals=(404, 409, 422, 503),
    ),
)
