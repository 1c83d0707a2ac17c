"""The latest picture of each camera. It shows people: kept in memory alone, one a camera, and never logged."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from site_models.schema import Camera
from twin.api.calibrations import camera_of
from twin.api.endpoint import Endpoint, Parameter
from twin.api.exchange import body_of, services_of, site_of
from twin.api.jpeg import size_of
from twin.api.picture_form import BOXES_BYTES, FORM, read_form
from twin.errors import BadInput, Contradiction, ImageRejected
from twin.events.codec import rfc3339, time_of
from twin.events.ids import SECOND, CameraId, Micros, SiteId
from twin.events.pictures import PictureBoxes
from twin.events.wire import TIME

PICTURE_BYTES = 2_000_000
REORDERED: Micros = 10 * SECOND
"""A picture that is older than the kept one was overtaken by it, if that came so short a while ago; after that the camera's
clock was put back, and its pictures are taken again."""

AHEAD: Micros = 60 * SECOND
"""A camera's clock may be so far ahead of the service's: twice what clocks are promised to be off (G14)."""

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Picture(Struct, frozen=True, kw_only=True):
    """As it was sent.

    Attributes:
        taken_at: as text, as it was given; ``exposed_at`` is the same time.
        received_at: by the service's clock.
        seen: the boxes of this very frame; None where none were sent with it.
    """

    jpeg: bytes
    taken_at: str
    exposed_at: Micros
    received_at: Micros
    seen: PictureBoxes | None = None


LatestPictures = dict[tuple[SiteId, CameraId], Picture]
"""As many as the served sites have cameras."""


async def put_picture(request: Request) -> Response:
    """Keep a picture, with its boxes, in the place of the one before."""
    services, site, camera = services_of(request), site_of(request), camera_of(request)
    taken_at = request.query_params.get("at", "")
    try:
        exposed_at = time_of("at", taken_at)
    except ValueError as wrong:
        raise BadInput(f"{wrong}; give ?at= with the picture's exposure time") from None
    jpeg, seen = await _sent(request, camera)
    given = Picture(jpeg=jpeg, taken_at=taken_at, exposed_at=exposed_at, received_at=services.access.clock(), seen=seen)
    _check_not_ahead(given)
    _check_newer(services.pictures.get((site.name, camera.id)), given)
    services.pictures[site.name, camera.id] = given
    return Response(status_code=204)


async def _sent(request: Request, camera: Camera) -> tuple[bytes, PictureBoxes | None]:
    """The picture, and its boxes where it is a form; raises ImageRejected or Contradiction for what is no JPEG."""
    media = request.headers.get("content-type", "")
    if not media.lower().startswith(FORM):
        jpeg = await body_of(request, most_bytes=PICTURE_BYTES)
        size_of(jpeg)
        return jpeg, None
    jpeg, seen = await read_form(await body_of(request, most_bytes=PICTURE_BYTES + BOXES_BYTES), media)
    try:
        size_of(jpeg)
    except ImageRejected as wrong:
        raise Contradiction(f"the part 'picture' cannot be kept: {wrong}") from None
    if seen.frame_px != camera.frame_px:
        raise Contradiction(
            f"the boxes are in a frame of {seen.frame_px[0]}x{seen.frame_px[1]} pixels, and camera '{camera.id}' has"
            f" {camera.frame_px[0]}x{camera.frame_px[1]}; give boxes in pixels of the full frame"
        )
    return jpeg, seen


def _check_not_ahead(given: Picture) -> None:
    """Raise Contradiction for a picture of the future: it would be the newest for as long as its clock is ahead."""
    ahead = given.exposed_at - given.received_at
    if ahead > AHEAD:
        raise Contradiction(
            f"the picture is said to be taken at {given.taken_at}, {ahead / SECOND:.1f} s after the service's clock, which is"
            f" {rfc3339(given.received_at)}; up to {AHEAD // SECOND} s are taken: set the camera's clock"
        )


def _check_newer(kept: Picture | None, given: Picture) -> None:
    """Raise Contradiction for a picture that another one overtook."""
    if kept is None or given.exposed_at >= kept.exposed_at:
        return
    since = given.received_at - kept.received_at
    if 0 <= since <= REORDERED:
        raise Contradiction(
            f"a newer picture, taken at {kept.taken_at}, came {since / SECOND:.1f} s before this one, taken at"
            f" {given.taken_at}; send the newest alone"
        )


async def get_picture(request: Request) -> Response:
    """The latest one; nothing (204) where none was sent since the service started."""
    services, site, camera = services_of(request), site_of(request), camera_of(request)
    found = services.pictures.get((site.name, camera.id))
    if found is None:
        return Response(status_code=204, headers=_HEADERS)
    headers = {**_HEADERS, "x-taken-at": found.taken_at, "x-received-at": rfc3339(found.received_at)}
    return Response(found.jpeg, headers=headers, media_type="image/jpeg")


_PATH = "/v1/sites/{site}/cameras/{camera}/picture"
_JPEG = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {"picture": _JPEG, "boxes": {"$ref": "#/components/schemas/PictureBoxes"}},
    "required": ["picture", "boxes"],
    "additionalProperties": False,
}

ENDPOINTS = (
    Endpoint(
        path=_PATH,
        method="PUT",
        status=204,
        handler=put_picture,
        scope="ingest",
        about="The latest picture of a camera, with or without what was seen in it; it takes the place of the one before, and"
        " is kept in memory alone. One that is older than the kept one is refused, and so is one that is taken more than"
        f" {AHEAD // SECOND} s after the service's clock, or is no whole JPEG.",
        answer=None,
        parameters=(Parameter(name="at", about="Exposure time.", schema=TIME, is_required=True),),
        takes={"image/jpeg": _JPEG, FORM: _FORM},
        encoding={"picture": {"contentType": "image/jpeg"}, "boxes": {"contentType": "application/json"}},
        parts=(PictureBoxes,),
        refusals=(404, 409, 413, 422),
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
