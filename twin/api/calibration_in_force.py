"""A camera's geometry as the twin places by it: its last calibration, else the site model's."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Camera, Site
from twin.api.calibrations import camera_of
from twin.api.endpoint import KNOWN_AT, WAITING, Endpoint, Parameter
from twin.api.exchange import json, map_of, services_of, waited
from twin.events.codec import rfc3339
from twin.events.wire import TIME
from twin.projections.camera_calibrations import Since
from twin.projections.moment import read_moment, read_time
from twin.projections.site_answers import CalibrationInForce


async def read_in_force(request: Request) -> Response:
    """The calibration at a time, or the last one known."""
    await waited(request)
    site = await map_of(request)
    camera = camera_of(request, site)
    found = await _in_force(request, site, camera)
    since_at, made = (None, camera) if found is None else (rfc3339(found[0]), found[1])
    told = CalibrationInForce(
        camera=camera.id,
        level=made.level,
        elevation_m=next((one.elevation_m for one in site.levels if one.id == made.level), 0.0),
        frame_px=made.frame_px,
        geometry=made.geometry,
        sigma_m=made.sigma_m,
        range_m=made.range_m,
        since_at=since_at,
        author=None if found is None else found[1].author,
        reason=None if found is None else found[1].reason,
    )
    return json(msgspec.to_builtins(told))


async def _in_force(request: Request, site: Site, camera: Camera) -> Since | None:
    services, query = services_of(request), request.query_params
    at = None if "at" not in query else read_time("at", query["at"])
    known = services.calibrations_of(site.name)
    if (known_at := query.get("known_at")) is None:
        return await known.in_force(camera.id, at)
    if known_at.isascii() and known_at.isdigit():
        moment = await read_moment(services.log, site.name, at=None, known_at=known_at)
        position = await known.position_known(moment.known_at)
    else:
        position = await services.log.observed_at(site.name, read_time("known_at", known_at))
    async with services.calibrating.turn("reads of calibrations as they were known"):
        return await known.in_force_as_known(camera.id, at, position)


_AT = Parameter(name="at", about="The one that holds at this time. Absent: the last one, whenever it begins.", schema=TIME)

ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/cameras/{camera}/calibration",
        handler=read_in_force,
        scope="read",
        about="The geometry that a camera's pixels are placed by: of its last calibration, else the site model's.",
        answer=CalibrationInForce,
        parameters=(_AT, KNOWN_AT, *WAITING),
        refusals=(404, 409, 410, 413, 503),
    ),
)
