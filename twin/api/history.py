"""Reads of what was: who was where, what a correction changed, and the pasts of stalls and cameras."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Site
from twin.api.endpoint import AT, KNOWN_AT, MOMENT, WAITING, Endpoint, Parameter, count
from twin.api.exchange import count_of, json, moment_of, services_of, site_of, timeline_of, waited
from twin.api.services import ApiLimits
from twin.api.state import HISTORY, HISTORY_MOST, PAGE
from twin.errors import Contradiction, NotFound
from twin.events.ids import Micros
from twin.events.wire import KNOWN_AT as KNOWN
from twin.events.wire import TIME
from twin.projections.change_answers import Changes
from twin.projections.changes import Span, changed_facts, changed_state, check_order
from twin.projections.history import as_events, camera_facts, stall_facts
from twin.projections.moment import BEFORE_ALL, FOREVER, read_moment, read_time
from twin.projections.site_answers import CameraTold, StallTold, Visitors
from twin.projections.visits import zone_visits


async def read_visitors(request: Request) -> Response:
    """Who was in a zone."""
    services, zone = services_of(request), request.path_params["zone"]
    from_at, until_at, known_at = await stretch_of(request)
    timeline = timeline_of(request, known_at)
    site = timeline.site
    check_known(site, "zone", zone, (one.id for one in site.zones))
    visits = await zone_visits(services.log, timeline, zone, from_at=from_at, until_at=until_at, known_at=known_at)
    return json(Visitors(site=site.name, zone=zone, position=str(known_at), visits=visits))


async def read_changes(request: Request) -> Response:
    """What came to be known."""
    services, site, query = services_of(request), site_of(request), request.query_params
    log = services.log
    await waited(request)
    known = [
        (await read_moment(log, site.name, at=query.get("at"), known_at=_given(request, name)))
        for name in ("from_known_at", "to_known_at")
    ]
    before, until, at = known[0].known_at, known[1].known_at, known[0].at
    check_order(before, until)
    span, is_stretch = _span_of(request, at)
    after = count_of(request, "after", default=before)
    if not before <= after <= until:
        raise Contradiction(f"after={after} is not from {before} to {until}; give the 'next' of the page before")
    limit = count_of(request, "limit", default=PAGE, least=1, most=services.limits.page_facts)
    added, superseded, following = await changed_facts(log, site.name, span, after=after, until=until, limit=limit)
    state = None
    if not is_stretch and "after" not in query:
        state = await changed_state(log, services.timelines[site.name], at, before=before, after=until, limit=limit)
    return json(
        Changes(
            site=site.name,
            from_position=str(before),
            to_position=str(until),
            added=added,
            superseded=superseded,
            next=UNSET if following is None else str(following),
            state=state,
        )
    )


async def read_stall(request: Request) -> Response:
    """One stall: now, and its past."""
    services, moment, stall = services_of(request), await moment_of(request), request.path_params["stall"]
    timeline = timeline_of(request, moment.known_at)
    site = timeline.site
    check_known(site, "stall", stall, (one.id for one in site.stalls))
    limit = count_of(request, "limit", default=HISTORY, most=HISTORY_MOST)
    facts = await stall_facts(services.log, site.name, stall, moment, last=limit)
    state = await timeline.state(moment.at, moment.known_at)
    now = next(one for one in state["stalls"] if one["stall"] == stall)
    return json({**now, "history": as_events(facts)})


async def read_camera(request: Request) -> Response:
    """One camera: now, and its past."""
    services, moment, camera = services_of(request), await moment_of(request), request.path_params["camera"]
    timeline = timeline_of(request, moment.known_at)
    site = timeline.site
    check_known(site, "camera", camera, (one.id for one in site.cameras))
    limit = count_of(request, "limit", default=HISTORY, most=HISTORY_MOST)
    facts = await camera_facts(services.log, site.name, camera, moment, last=limit)
    state = await timeline.state(moment.at, moment.known_at)
    now = next(one for one in state["cameras"] if one["camera"] == camera)
    return json({**now, "history": as_events(facts)})


async def stretch_of(request: Request) -> tuple[Micros, Micros, int]:
    """``from``, ``until`` and ``known_at`` of a read, once what it waits for is there."""
    await waited(request)
    from_at, until_at = (read_time(name, _given(request, name)) for name in ("from", "until"))
    moment = await read_moment(
        services_of(request).log, site_of(request).name, at=None, known_at=request.query_params.get("known_at")
    )
    return from_at, until_at, moment.known_at


def _span_of(request: Request, at: Micros | None) -> tuple[Span, bool]:
    """The valid times whose facts are asked for, and whether that is a stretch of time."""
    query = request.query_params
    if "from" not in query and "until" not in query:
        return Span(after_at=BEFORE_ALL, until_at=FOREVER if at is None else at), False
    if at is not None:
        raise Contradiction("at is one time, from and until a stretch of it; give one or the other")
    from_at, until_at = (read_time(name, _given(request, name)) for name in ("from", "until"))
    if from_at > until_at:
        raise Contradiction(f"from={query['from']} is after until={query['until']}; swap them")
    return Span(after_at=from_at - 1, until_at=until_at), True


def _given(request: Request, name: str) -> str:
    text = request.query_params.get(name)
    if text is None:
        raise Contradiction(f"{name} is missing beside the other end of the stretch; give both")
    return text


def check_known(site: Site, kind: str, name: str, names: Iterable[str]) -> None:
    """Raise NotFound for what is not on the site's map."""
    if name not in set(names):
        raise NotFound(f"site '{site.name}' has no {kind} '{name[:80]}'; see its model")


_SITE = "/v1/sites/{site}"
_REFUSALS = (404, 409, 410, 413, 422, 503)
FROM = Parameter(name="from", about="The first valid time.", schema=TIME, is_required=True)
UNTIL = Parameter(name="until", about="The last valid time.", schema=TIME, is_required=True)
_LAST = count("limit", f"Last facts of its history; {HISTORY} if absent.", most=HISTORY_MOST)

ENDPOINTS = (
    Endpoint(
        path=f"{_SITE}/zones/{{zone}}/visitors",
        handler=read_visitors,
        scope="read",
        about="Who was in a zone, and when each came and left.",
        answer=Visitors,
        parameters=(FROM, UNTIL, KNOWN_AT, *WAITING),
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/changes",
        handler=read_changes,
        scope="read",
        about="The difference between what was known at two positions: facts, and what they made of the state.",
        answer=Changes,
        parameters=(
            Parameter(name="from_known_at", about="Known before: a position or a time.", schema=KNOWN, is_required=True),
            Parameter(name="to_known_at", about="Known after: a position or a time.", schema=KNOWN, is_required=True),
            AT,
            Parameter(name="from", about="With until: facts of this stretch of valid time, and no state.", schema=TIME),
            Parameter(name="until", about="With from.", schema=TIME),
            count("after", "The next of the page before; the first page if absent."),
            count(
                "limit",
                f"Facts, and differences of each kind, at most; {PAGE} if absent.",
                least=1,
                most=ApiLimits().page_facts,
            ),
            *WAITING,
        ),
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/stalls/{{stall}}",
        handler=read_stall,
        scope="read",
        about="One stall at a moment, and its history until then.",
        answer=StallTold,
        parameters=(*MOMENT, _LAST),
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/cameras/{{camera}}",
        handler=read_camera,
        scope="read",
        about="One camera at a moment, and its history until then.",
        answer=CameraTold,
        parameters=(*MOMENT, _LAST),
        refusals=_REFUSALS,
    ),
)
