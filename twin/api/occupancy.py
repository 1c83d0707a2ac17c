"""How full a site was, how it was used and how long vehicles stayed, over a stretch of time; each also as a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Site
from twin.api.csv_file import MEDIA_TYPE, csv_file
from twin.api.endpoint import KNOWN_AT, WAITING, Endpoint, Parameter, count
from twin.api.exchange import count_of, json, services_of, site_of, timeline_of
from twin.api.history import FROM, UNTIL, check_known, stretch_of
from twin.events.ids import SECOND, Micros
from twin.events.wire import of_site
from twin.projections.calibrated_site import calibrated
from twin.projections.lengths import LengthsView
from twin.projections.occupancy_answers import SeriesView, TurnoverView, ZoneCounts, ZoneTurnover
from twin.projections.series import MOST_COUNTS, MOST_STEPS, occupancy_series
from twin.projections.sessions import SessionView
from twin.projections.turnover import check_stretch, stays_within, turnover

STEP_S = 60
LONGEST_STEP_S = 10**9

_STAY_COLUMNS = (
    "session",
    "vehicle",
    "status",
    "entry_at",
    "exit_at",
    "duration_s",
    "confidence",
    "amount_minor",
    "currency",
)
_ZONE_COLUMNS = tuple(name for name in ZoneTurnover.__struct_fields__ if name != "parkings")
_ALL_STAYS = "(stays on the site)"


async def read_series(request: Request) -> Response:
    """Counts over time."""
    return json(await _series(request))


async def read_series_csv(request: Request) -> Response:
    """The same, a row for each zone at each step."""
    told = await _series(request)
    columns = ("at", *ZoneCounts.__struct_fields__)
    rows = ((point["at"], *(zone[name] for name in columns[1:])) for point in told["points"] for zone in point["zones"])
    return await csv_file(f"{told['site']}-occupancy", columns, rows)


async def read_turnover(request: Request) -> Response:
    """How stalls were used, and how long vehicles stayed."""
    return json(await _turnover(request))


async def read_turnover_csv(request: Request) -> Response:
    """The same, a row for each zone."""
    told = await _turnover(request)
    columns = ("from_at", "until_at", *_ZONE_COLUMNS, "n_parkings", "median_s", "p95_s")
    rows = (
        (
            told.from_at,
            told.until_at,
            *(getattr(one, name) for name in _ZONE_COLUMNS),
            one.parkings.n,
            one.parkings.median_s,
            one.parkings.p95_s,
        )
        for one in told.zones
    )
    return await csv_file(f"{told.site}-turnover", columns, rows)


async def read_lengths_csv(request: Request) -> Response:
    """The histograms: a row for each bin, of stays on the site and of parkings in each zone."""
    told = await _turnover(request)
    rows = [*_bins(_ALL_STAYS, told.stays.lengths), *(row for one in told.zones for row in _bins(one.zone, one.parkings))]
    return await csv_file(f"{told.site}-lengths", ("zone", "from_s", "until_s", "n"), rows)


async def read_stays_csv(request: Request) -> Response:
    """Stays that touch the time."""
    services, site = services_of(request), site_of(request)
    from_at, until_at, known_at = await stretch_of(request)
    check_stretch(from_at, until_at)
    found = await stays_within(services.log, site.name, from_at=from_at, until_at=until_at, known_at=known_at)
    rows = (_stay_row(one) for one in found)
    return await csv_file(f"{site.name}-stays", (*_STAY_COLUMNS, "flags"), rows)


def _stay_row(one: SessionView) -> tuple[Any, ...]:
    return *(getattr(one, name) for name in _STAY_COLUMNS), " ".join(one.flags)


def _bins(zone: str, lengths: LengthsView) -> Iterator[tuple[Any, ...]]:
    return ((zone, one.from_s, one.until_s, one.n) for one in lengths.histogram)


async def _series(request: Request) -> dict[str, Any]:
    services = services_of(request)
    from_at, until_at, known_at = await stretch_of(request)
    timeline = timeline_of(request, known_at)
    step_s = count_of(request, "step_s", default=STEP_S, least=1, most=LONGEST_STEP_S)
    points = await occupancy_series(
        services.log,
        timeline,
        from_at=from_at,
        until_at=until_at,
        step=step_s * SECOND,
        known_at=known_at,
        zone=_zone_of(request, timeline.site),
        watched=await _watched(request, timeline.site, until_at),
    )
    return {"site": timeline.site.name, "position": str(known_at), "step_s": step_s, "points": points}


async def _turnover(request: Request) -> TurnoverView:
    services = services_of(request)
    from_at, until_at, known_at = await stretch_of(request)
    timeline = timeline_of(request, known_at)
    return await turnover(
        services.log,
        timeline,
        from_at=from_at,
        until_at=until_at,
        known_at=known_at,
        zone=_zone_of(request, timeline.site),
        watched=await _watched(request, timeline.site, until_at),
    )


async def _watched(request: Request, site: Site, until_at: Micros) -> Site:
    """A map with its cameras as they are calibrated at the end of the time: a new site's model is a guess."""
    return calibrated(site, await services_of(request).calibrations_of(site.name).all(), until_at)


def _zone_of(request: Request, site: Site) -> str | None:
    """The zone that is asked for; raises NotFound where there is none of that name."""
    zone = request.query_params.get("zone")
    if zone is not None:
        check_known(site, "zone", zone, (one.id for one in site.zones))
    return zone


_ROOT = "/v1/sites/{site}/occupancy"
_REFUSALS = (404, 409, 410, 413, 422, 503)
_ZONE = Parameter(name="zone", about="Of this zone only.", schema=of_site("zone"))
_STRETCH = (FROM, UNTIL, _ZONE, KNOWN_AT, *WAITING)
_STEPS = (*_STRETCH, count("step_s", f"Seconds of a step; {STEP_S} if absent.", least=1, most=LONGEST_STEP_S))

ENDPOINTS = (
    Endpoint(
        path=f"{_ROOT}/series",
        handler=read_series,
        scope="read",
        about=f"Zones with their stalls, and counters, at equal steps of valid time, {MOST_STEPS} at most. Steps times zones"
        f" are {MOST_COUNTS} at most.",
        answer=SeriesView,
        parameters=_STEPS,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_ROOT}/series.csv",
        handler=read_series_csv,
        scope="read",
        about="The zones of `series` as CSV, a row for each zone at each step.",
        answer=MEDIA_TYPE,
        parameters=_STEPS,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_ROOT}/turnover",
        handler=read_turnover,
        scope="read",
        about="Turnover, stall time and lengths of parkings by zone, and lengths of stays, of a stretch of valid time.",
        answer=TurnoverView,
        parameters=_STRETCH,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_ROOT}/turnover.csv",
        handler=read_turnover_csv,
        scope="read",
        about="The zones of `turnover` as CSV, a row for each.",
        answer=MEDIA_TYPE,
        parameters=_STRETCH,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_ROOT}/lengths.csv",
        handler=read_lengths_csv,
        scope="read",
        about="The histograms of `turnover` as CSV, a row for each bin.",
        answer=MEDIA_TYPE,
        parameters=_STRETCH,
        refusals=_REFUSALS,
    ),
    Endpoint(
        path=f"{_ROOT}/stays.csv",
        handler=read_stays_csv,
        scope="read",
        about="Stays that touch a stretch of valid time as CSV.",
        answer=MEDIA_TYPE,
        parameters=(FROM, UNTIL, KNOWN_AT, *WAITING),
        refusals=_REFUSALS,
    ),
)
