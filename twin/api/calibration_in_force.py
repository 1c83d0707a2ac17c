"""A camera's geometry as the twin places by it: its last calibration, else the site model's."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import CameraGeometry
from twin.api.calibrations import camera_of
from twin.api.endpoint import Endpoint, Parameter
from twin.api.exchange import json, services_of, site_of
from twin.errors import BadInput
from twin.events.codec import rfc3339, time_of
from twin.events.wire import TIME


class CalibrationInForce(Struct, frozen=True, kw_only=True):
    """What turns this camera's pixels into ground, and back.

    Attributes:
        level, elevation_m: whose ground, and how high that lies above the site's datum.
        since_at: from when on it holds; null: it is the site model's, of which nothing was calibrated.
    """

    camera: str
    level: str
    elevation_m: float
    frame_px: tuple[int, int]
    geometry: CameraGeometry
    sigma_m: float
    range_m: float
    since_at: str | None = None
    author: str | None = None
    reason: str | None = None


async def read_in_force(request: Request) -> Response:
    """The calibration at a time, or the last one known."""
    site, camera = site_of(request), camera_of(request)
    text = request.query_params.get("at")
    try:
        at = None if text is None else time_of("at", text)
    except ValueError as wrong:
        raise BadInput(str(wrong)) from None
    found = await services_of(request).calibrations_of(site.name).in_force(camera.id, at)
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


_AT = Parameter(name="at", about="The one that holds at this time. Absent: the last one, whenever it begins.", schema=TIME)

ENDPOINTS = (
    Endpoint(
        path="/v1/sites/{site}/cameras/{camera}/calibration",
        handler=read_in_force,
        scope="read",
        about="The geometry that a camera's pixels are placed by: of its last calibration, else the site model's.",
        answer=CalibrationInForce,
        parameters=(_AT,),
        refusals=(404, 503),
    ),
)
