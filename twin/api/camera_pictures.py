"""The latest picture of each camera, to calibrate on. It shows people: kept in memory alone, one a camera, and never logged."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from twin.api.calibrations import camera_of
from twin.api.crops import JPEG
from twin.api.endpoint import Endpoint, Parameter
from twin.api.exchange import body_of, services_of, site_of
from twin.errors import BadInput, ImageRejected
from twin.events.codec import time_of
from twin.events.ids import CameraId, SiteId
from twin.events.wire import TIME

PICTURE_BYTES = 2_000_000
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Picture(Struct, frozen=True, kw_only=True):
    """As it was sent; ``taken_at`` is RFC 3339."""

    jpeg: bytes
    taken_at: str


LatestPictures = dict[tuple[SiteId, CameraId], Picture]
"""As many as the served sites have cameras."""


async def put_picture(request: Request) -> Response:
    """Keep a picture in the place of the one before."""
    services, site, camera = services_of(request), site_of(request), camera_of(request)
    taken_at = request.query_params.get("at", "")
    try:
        time_of("at", taken_at)
    except ValueError as wrong:
        raise BadInput(f"{wrong}; give ?at= with the picture's exposure time") from None
    body = await body_of(request, most_bytes=PICTURE_BYTES)
    if not body.startswith(JPEG):
        raise ImageRejected(f"the body of {len(body)} bytes is not a JPEG picture; encode it as JPEG")
    services.pictures[site.name, camera.id] = Picture(jpeg=body, taken_at=taken_at)
    return Response(status_code=204)


async def get_picture(request: Request) -> Response:
    """The latest one; nothing (204) where none was sent since the service started."""
    services, site, camera = services_of(request), site_of(request), camera_of(request)
    found = services.pictures.get((site.name, camera.id))
    if found is None:
        return Response(status_code=204, headers=_HEADERS)
    return Response(found.jpeg, headers={**_HEADERS, "x-taken-at": found.taken_at}, media_type="image/jpeg")


_PATH = "/v1/sites/{site}/cameras/{camera}/picture"

ENDPOINTS = (
    Endpoint(
        path=_PATH,
        method="PUT",
        status=204,
        handler=put_picture,
        scope="ingest",
        about="The latest picture of a camera; it takes the place of the one before, and is kept in memory alone.",
        answer=None,
        parameters=(Parameter(name="at", about="Exposure time.", schema=TIME, is_required=True),),
        takes={"image/jpeg": {"type": "string", "format": "binary"}},
        refusals=(404, 413, 422),
    ),
    Endpoint(
        path=_PATH,
        handler=get_picture,
        scope="read",
        about="The latest picture, with its exposure time in x-taken-at, or 204 where none was sent: personal data.",
        answer="image/jpeg",
        may_be_empty=True,
        audit="picture",
        refusals=(404, 503),
    ),
)
