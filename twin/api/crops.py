"""Pictures of vehicles: kept by the hash of their bytes, sealed under the key of their tracklet."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from twin.api.endpoint import Endpoint, Parameter
from twin.api.exchange import body_of, json, services_of, site_of
from twin.api.outside import check_given_name
from twin.api.schemas import CropStored
from twin.errors import BadInput, ImageRejected, NotFound
from twin.events.ids import CropId, TrackletId
from twin.events.wire import NAME

JPEG = b"\xff\xd8\xff"
_ID = re.compile(r"[0-9a-f]{64}")


async def put_crop(request: Request) -> Response:
    """Keep a picture under the hash of its bytes."""
    services, site, crop = services_of(request), site_of(request), _crop_id(request)
    tracklet = request.query_params.get("tracklet", "")
    if not 0 < len(tracklet) <= 200:
        raise BadInput("a crop is sealed under its tracklet's key; give ?tracklet= with the tracklet's id")
    check_given_name("tracklet", tracklet)
    body = await body_of(request, most_bytes=services.limits.crop_bytes)
    if not body.startswith(JPEG):
        raise ImageRejected(f"the body of {len(body)} bytes is not a JPEG picture; encode the crop as JPEG")
    await services.crops.put(site.name, crop, TrackletId(tracklet), body)
    return json({"crop": crop}, 201)


async def get_crop(request: Request) -> Response:
    """A picture as it was given."""
    services, site, crop = services_of(request), site_of(request), _crop_id(request)
    # Personal data that can be erased: a cache would keep what the store no longer gives.
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(await services.crops.get(site.name, crop), headers=headers, media_type="image/jpeg")


def _crop_id(request: Request) -> CropId:
    crop = request.path_params["crop"]
    if not _ID.fullmatch(crop):
        raise NotFound(f"'{crop[:80]}' names no crop; a crop's id is the SHA-256 of its bytes, 64 hexadecimal digits")
    return CropId(crop)


_PATH = "/v1/sites/{site}/crops/{crop}"

ENDPOINTS = (
    Endpoint(
        path=_PATH,
        method="PUT",
        status=201,
        handler=put_crop,
        scope="ingest",
        about="Keep a picture of a tracklet; the same again changes nothing.",
        answer=CropStored,
        parameters=(
            Parameter(
                name="tracklet",
                about="Whose key seals it.",
                schema=NAME,
                is_required=True,
            ),
        ),
        takes={"image/jpeg": {"type": "string", "format": "binary"}},
        refusals=(404, 409, 410, 413, 422, 503, 507),
    ),
    Endpoint(
        path=_PATH,
        handler=get_crop,
        scope="read",
        about="A picture.",
        answer="image/jpeg",
        refusals=(404, 410, 503),
        audit="crop",
    ),
)
