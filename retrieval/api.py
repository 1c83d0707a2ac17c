"""Search over HTTP. Errors are raised; the application that these routes are part of tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from retrieval.images import MOST_BYTES
from retrieval.rerank import Anchor, Ranked
from retrieval.search import Question, VehicleSearch
from site_models.schema import CameraId, Site
from twin.errors import BadInput, ImageRejected, NotFound, TooLarge
from twin.events.codec import canonical_json, micros, rfc3339
from twin.events.ids import Micros, SiteId, TrackletId
from twin.log.port import Log
from twin.projections.moment import read_moment

PATH = "/v1/sites/{site}/search"
MOST_HITS = 100
DEFAULT_HITS = 10
ENVELOPE_BYTES = 100_000
"""What multipart may add around a picture."""

_PICTURE = {"type": "string", "format": "binary"}
_PARAMETERS = [
    {"name": "site", "in": "path", "required": True, "schema": {"type": "string"}},
    *(
        {"name": name, "in": "query", "required": False, "description": about, "schema": schema}
        for name, about, schema in (
            ("limit", "How many vehicles at most.", {"type": "integer", "minimum": 1, "maximum": MOST_HITS}),
            ("at", "Only sightings up to this time.", {"type": "string", "format": "date-time"}),
            ("known_at", "Vehicles as known at this fact position (digits), or at this time.", {"type": "string"}),
            ("near_camera", "The camera near which the vehicle was seen.", {"type": "string"}),
            ("near_at", "When the vehicle was seen.", {"type": "string", "format": "date-time"}),
        )
    ),
]
_TRACKLET = {"name": "tracklet", "in": "query", "required": True, "description": "Like this one.", "schema": {"type": "string"}}
_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "application/octet-stream")
_BODY = {
    "required": True,
    "content": {media: {"schema": _PICTURE} for media in _TYPES}
    | {"multipart/form-data": {"schema": {"type": "object", "properties": {"image": _PICTURE}, "required": ["image"]}}},
}


class SightingView(Struct, frozen=True, kw_only=True):
    """The sighting of a vehicle that looks most alike."""

    tracklet: str
    camera: str
    at: str
    crop: str | None


class Hit(Struct, frozen=True, kw_only=True):
    """A vehicle, and why it is there; scores are 0..1."""

    vehicle: str
    score: float
    look: float
    context: float
    reasons: tuple[str, ...]
    sighting: SightingView
    links: Mapping[str, str]


class SearchRoutes:
    """The routes of search over these sites."""

    def __init__(self, log: Log, sites: Mapping[SiteId, Site], searches: Mapping[SiteId, VehicleSearch]) -> None:
        self._log = log
        self._sites = sites
        self._searches = searches

    @property
    def routes(self) -> list[Route]:
        """For the application."""
        by_picture, by_tracklet = self._by_picture(), self._by_tracklet()
        return [
            Route(PATH, by_picture, methods=["POST"], name="search_by_picture"),
            Route(PATH, by_tracklet, methods=["GET"], name="search_by_tracklet"),
        ]

    def _by_picture(self) -> Any:
        async def search_by_picture(request: Request) -> Response:
            """Vehicles that look like a picture, best first."""
            site = self._site(request)
            question = await self._question(request, site)
            return _answer(site.name, await self._searches[site.name].by_picture(await _picture(request), question))

        return _described(search_by_picture, {"parameters": _PARAMETERS, "requestBody": _BODY})

    def _by_tracklet(self) -> Any:
        async def search_by_tracklet(request: Request) -> Response:
            """Vehicles that look like a tracklet, best first."""
            site = self._site(request)
            tracklet = request.query_params.get("tracklet")
            if not tracklet:
                raise BadInput("which sighting is meant? Give ?tracklet= with a tracklet's id, or POST a picture")
            question = await self._question(request, site)
            return _answer(site.name, await self._searches[site.name].by_tracklet(TrackletId(tracklet), question))

        return _described(search_by_tracklet, {"parameters": [*_PARAMETERS, _TRACKLET]})

    def _site(self, request: Request) -> Site:
        name = request.path_params["site"]
        site = self._sites.get(SiteId(name))
        if site is None:
            raise NotFound(f"there is no site '{name[:80]}' here; there are {', '.join(sorted(self._sites)) or 'none'}")
        return site

    async def _question(self, request: Request, site: Site) -> Question:
        query = request.query_params
        near = Anchor(camera=_camera(site, query.get("near_camera")), at=_time("near_at", query.get("near_at")))
        moment = await read_moment(self._log, site.name, at=query.get("at"), known_at=query.get("known_at"))
        return Question(moment=moment, near=near, limit=_limit(query.get("limit")))


def _described(endpoint: Any, openapi: Mapping[str, Any]) -> Any:
    endpoint.openapi = openapi
    return endpoint


def _answer(site: SiteId, ranked: list[Ranked]) -> Response:
    return Response(canonical_json({"hits": [_hit(site, one) for one in ranked]}), media_type="application/json")


def _hit(site: SiteId, ranked: Ranked) -> Hit:
    best, at = ranked.best, rfc3339(ranked.best.at)
    links = {"moment": "/?" + urlencode({"site": site, "at": at}, safe=":")}
    if best.crop is not None:
        links["crop"] = f"/v1/sites/{site}/crops/{best.crop}"
    return Hit(
        vehicle=ranked.vehicle,
        score=round(ranked.score, 4),
        look=round(ranked.look, 4),
        context=round(ranked.context, 4),
        reasons=ranked.reasons,
        sighting=SightingView(tracklet=best.tracklet, camera=best.camera, at=at, crop=best.crop),
        links=links,
    )


async def _picture(request: Request) -> bytes:
    body = await _body(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        return body
    if len(body) == 0:
        raise ImageRejected("the form has 0 bytes; send a JPEG, PNG, WEBP or BMP picture as its part 'image'")
    try:
        async with Request(request.scope, _once(body)).form(max_files=1, max_fields=4) as form:
            image = form.get("image")
            if not isinstance(image, UploadFile):
                raise ImageRejected(f"the form has no file 'image', only {sorted(form)}; send the picture as that part")
            return await image.read()
    except HTTPException as wrong:
        raise ImageRejected(f"the form cannot be read: {wrong.detail}; send one file as its part 'image'") from None


async def _body(request: Request) -> bytes:
    """The whole body, read no further than a picture may be long."""
    most = MOST_BYTES + ENVELOPE_BYTES
    chunks: list[bytes] = []
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > most:
            raise TooLarge(f"the body has more than {most} bytes; a picture may have {MOST_BYTES}: send a smaller one")
        chunks.append(chunk)
    return b"".join(chunks)


def _once(body: bytes) -> Any:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _camera(site: Site, name: str | None) -> CameraId | None:
    if name is None:
        return None
    known = [camera.id for camera in site.cameras]
    if name not in known:
        raise BadInput(f"near_camera='{name[:80]}' is no camera of site '{site.name}'; there are {', '.join(known) or 'none'}")
    return CameraId(name)


def _time(name: str, text: str | None) -> Micros | None:
    try:
        return None if text is None else micros(text)
    except ValueError:
        raise BadInput(f"{name}='{text}' cannot be read; give an RFC 3339 time such as 2026-01-01T09:00:00Z") from None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_HITS
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST_HITS):
        raise BadInput(f"limit='{text[:60]}' cannot be used; give a whole number from 1 to {MOST_HITS}")
    return int(text)
