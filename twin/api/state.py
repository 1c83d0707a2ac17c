"""Reads: each is a fold of the fact log at a moment."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import MOMENT, Endpoint, Parameter, count
from twin.api.exchange import check_name, count_of, json, json_text, moment_of, services_of, site_of, timeline_of
from twin.api.pages import PAGE as PAGED
from twin.api.pages import page_of
from twin.api.schemas import Facts, Ledger, Sessions, Vehicles, VehicleTold
from twin.api.services import ApiLimits
from twin.errors import NotFound
from twin.events.codec import to_cloudevent
from twin.events.ids import SiteId, VehicleId
from twin.events.state import OccupancyView, StateView
from twin.events.wire import TIME
from twin.log.port import Log
from twin.projections.history import as_events, sightings, vehicle_facts
from twin.projections.ledger import is_named, ledger
from twin.projections.moment import Moment, read_time
from twin.projections.occupancy import occupancy
from twin.projections.sessions import MOST_STAYS, session_at, sessions, told_since

HISTORY = 1_000
HISTORY_MOST = 100_000
PAGE = 1_000
LAST = 10**18 - 1


async def read_state(request: Request) -> Response:
    """The whole state."""
    moment = await moment_of(request)
    return json_text(await timeline_of(request, moment.known_at).state_json(moment.at, moment.known_at))


async def read_vehicles(request: Request) -> Response:
    """The state's vehicles."""
    moment = await moment_of(request)
    state = await timeline_of(request, moment.known_at).state(moment.at, moment.known_at)
    return json({name: state[name] for name in Vehicles.__struct_fields__})


async def read_vehicle(request: Request) -> Response:
    """One vehicle: now, and its past."""
    services, site, moment = services_of(request), site_of(request), await moment_of(request)
    vehicle = VehicleId(request.path_params["vehicle"])
    limit = count_of(request, "limit", default=HISTORY, most=HISTORY_MOST)
    facts = await vehicle_facts(services.log, site.name, vehicle, moment)
    if not facts:
        raise NotFound(f"no fact of site '{site.name}' up to position {moment.known_at} names a vehicle '{vehicle[:80]}'")

    state = await timeline_of(request, moment.known_at).state(moment.at, moment.known_at)
    absent = dict.fromkeys(VehicleTold.__struct_fields__)
    now = next((one for one in state["vehicles"] if one["vehicle"] == vehicle), {"vehicle": vehicle})
    history = as_events(facts[max(0, len(facts) - limit) :])
    return json({**absent, **now, "history": history, "sightings": sightings(facts)})


async def read_occupancy(request: Request) -> Response:
    """The state's counts."""
    moment = await moment_of(request)
    return json(occupancy(await timeline_of(request, moment.known_at).state(moment.at, moment.known_at)))


async def read_sessions(request: Request) -> Response:
    """Stays."""
    page, log, site, query = await page_of(request), services_of(request).log, site_of(request).name, request.query_params
    names = None
    if (since := query.get("from")) is not None:
        names = await told_since(log, site, page.moment, read_time("from", since) - 1)
    found = await sessions(log, site, page.moment, vehicle=query.get("vehicle"), names=names)
    return json(page.cut("sessions", found))


async def read_ledger(request: Request) -> Response:
    """What stays cost, line by line."""
    page, log, site = await page_of(request), services_of(request).log, site_of(request).name
    moment = page.moment
    session = request.query_params.get("session")
    if session is not None:
        check_name("session", session)
    if session is not None and not await is_named(log, site, moment.known_at, session):
        raise _no_session(site, session, moment)
    lines = await ledger(log, site, moment.known_at, until_at=moment.until_at, session=session)
    if session is not None and not lines:  # lines that name a stay which never was are of money for none
        await _check_session(log, site, session, moment)
    return json(page.cut("lines", lines))


async def _check_session(log: Log, site: SiteId, session: str, moment: Moment) -> None:
    if await session_at(log, site, session, Moment(at=None, known_at=moment.known_at)) is None:
        raise _no_session(site, session, moment)


def _no_session(site: SiteId, session: str, moment: Moment) -> NotFound:
    return NotFound(
        f"site '{site}' has no session '{session[:80]}' as known at position {moment.known_at}; see the list of its sessions"
    )


async def read_facts(request: Request) -> Response:
    """A page of the fact log: its positions are the cursor."""
    services, site, moment = services_of(request), site_of(request), await moment_of(request)
    after = count_of(request, "after", default=(await services.log.cuts(site.name)).movement, most=LAST)
    limit = count_of(request, "limit", default=PAGE, least=1, most=services.limits.page_facts)
    facts = await services.log.facts(site.name, after=after, limit=limit)
    known = [fact for fact in facts if fact.position <= moment.known_at]
    told = [to_cloudevent(fact) for fact in known if fact.event.occurred_at <= moment.until_at]
    more = {"next": str(known[-1].position)} if known and known[-1].position < moment.known_at else {}
    head = (await services.log.heads(site.name)).facts
    return json({"facts": told, "head": str(head)} | more)


_SITE = "/v1/sites/{site}"
_REFUSALS = (404, 410, 422, 503)

ENDPOINTS = (
    Endpoint(
        path=f"{_SITE}/state",
        handler=read_state,
        scope="read",
        about="The whole state of a site at a moment.",
        answer=StateView,
        parameters=MOMENT,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/vehicles",
        handler=read_vehicles,
        scope="read",
        about="Vehicles on the site at a moment.",
        answer=Vehicles,
        parameters=MOMENT,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/vehicles/{{vehicle}}",
        handler=read_vehicle,
        scope="read",
        about="One vehicle at a moment, its history until then, and the tracklets it was seen as.",
        answer=VehicleTold,
        parameters=(
            *MOMENT,
            count("limit", f"Last facts of its history; {HISTORY} if absent.", most=HISTORY_MOST),
        ),
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/occupancy",
        handler=read_occupancy,
        scope="read",
        about="Zones, stalls and counters at a moment.",
        answer=OccupancyView,
        parameters=MOMENT,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/sessions",
        handler=read_sessions,
        scope="read",
        about="Stays that had begun at a moment, in the order in which they did.",
        answer=Sessions,
        parameters=(
            *MOMENT,
            *PAGED,
            Parameter(name="vehicle", about="Of this vehicle only.", schema={"type": "string"}),
            Parameter(
                name="from",
                about=f"Those of which something was told at or after this valid time; needed beyond {MOST_STAYS:,} stays.",
                schema=TIME,
            ),
        ),
        refusals=(*_REFUSALS, 413),
    ),
    Endpoint(
        path=f"{_SITE}/ledger",
        handler=read_ledger,
        scope="read",
        about="What stays cost: charges, and reversals of what was corrected, in the order in which they became known.",
        answer=Ledger,
        parameters=(
            *MOMENT,
            *PAGED,
            Parameter(name="session", about="Of this session only.", schema={"type": "string"}),
        ),
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_SITE}/facts",
        handler=read_facts,
        scope="read",
        about="The fact log itself, in the order in which facts became known.",
        answer=Facts,
        parameters=(
            *MOMENT,
            count("after", "Facts at positions after this one; the beginning of what is kept if absent.", most=LAST),
            count("limit", f"At most so many; {PAGE} if absent.", least=1, most=ApiLimits().page_facts),
        ),
        refusals=_REFUSALS,
    ),
)
