"""Search over HTTP. Errors are raised; the application that these routes are part of tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from retrieval.answering import answered
from retrieval.asking import MOMENT, PARAMETERS, asked, asked_moment
from retrieval.finder import Finding, Subject
from retrieval.images import ImageDecoder
from retrieval.question import Question
from retrieval.search import Answer, VehicleSearch
from retrieval.told import SearchAnswer
from retrieval.uploads import MOST_PICTURES, sent_pictures
from retrieval.views import MOST_TRACKLETS, Views, asked_tracklets
from twin.errors import BadInput, NotFound
from twin.events.codec import canonical_json
from twin.events.ids import SiteId, TrackletId
from twin.events.wire import NAME, of_site
from twin.log.port import Log
from twin.projections.timeline import Timeline

PATH = "/v1/sites/{site}/search"
SCOPE = "search"
"""What a key must have been given; the application that has these routes checks it, and records who searched."""

VIEWS_PATH = f"{PATH}/views"

_PICTURE = {"type": "string", "format": "binary"}
_PARAMETERS = [
    {"name": "site", "in": "path", "required": True, "schema": of_site("site")},
    *(
        {"name": name, "in": "query", "required": False, "description": about, "schema": schema}
        | ({"style": "form", "explode": False} if schema.get("type") == "array" else {})
        for name, about, schema in PARAMETERS
    ),
]
_TRACKLET = {"name": "tracklet", "in": "query", "required": True, "description": "Like this one.", "schema": NAME}
_CROP = {
    "name": "crop",
    "in": "query",
    "required": False,
    "description": "auto: the vehicle is looked for in the picture; whole: the picture is cut to it already.",
    "schema": {"type": "string", "enum": ["auto", "whole"]},
}
_TRACKLETS = {
    "name": "tracklet",
    "in": "query",
    "required": True,
    "description": f"Of this one; it may be given up to {MOST_TRACKLETS} times.",
    "schema": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_TRACKLETS},
}
_TYPES = ("image/jpeg", "image/png", "image/webp")
_FORM = {
    "type": "object",
    "properties": {
        "image": {
            "type": "array",
            "items": _PICTURE,
            "minItems": 1,
            "maxItems": MOST_PICTURES,
            "description": "One vehicle, in one picture or several.",
        }
    },
    "required": ["image"],
    "additionalProperties": False,
}
_BODY = {
    "required": True,
    "content": {media: {"schema": _PICTURE} for media in _TYPES}
    | {"multipart/form-data": {"schema": _FORM, "encoding": {"image": {"contentType": ", ".join(_TYPES)}}}},
}


class SearchedSite(Struct, frozen=True, kw_only=True, eq=False):
    """What answers questions about one site."""

    timeline: Timeline
    search: VehicleSearch


class SearchRoutes:
    """The routes of search over these sites."""

    def __init__(self, log: Log, sites: Mapping[SiteId, SearchedSite], decoder: ImageDecoder, finding: Finding) -> None:
        self._log = log
        self._sites = sites
        self._decoder = decoder
        self._finding = finding

    @property
    def routes(self) -> list[Route]:
        """For the application."""
        by_picture, by_tracklet = self._by_picture(), self._by_tracklet()
        return [
            Route(PATH, by_picture, methods=["POST"], name="search_by_picture"),
            Route(PATH, by_tracklet, methods=["GET"], name="search_by_tracklet"),
            Route(VIEWS_PATH, self._views(), methods=["GET"], name="read_views"),
        ]

    def _by_picture(self) -> Any:
        async def search_by_picture(request: Request) -> Response:
            """Vehicles that look like a picture, best first."""
            site = self._site(request)
            question = await asked(self._log, site.timeline, request.query_params, frozenset({"crop"}))
            is_crop = _is_crop(request.query_params.get("crop"))
            subjects = [await self._subject(one, is_crop) for one in await sent_pictures(request)]
            kinds = {one.vehicle.kind for one in subjects if one.vehicle is not None}
            if len(kinds) == 1:
                question = replace(question, kind=kinds.pop())
            found = await site.search.by_images([one.image for one in subjects], question)
            return _answer(request, site, question, found, subjects)

        return _described(search_by_picture, {"parameters": [*_PARAMETERS, _CROP], "requestBody": _BODY})

    def _by_tracklet(self) -> Any:
        async def search_by_tracklet(request: Request) -> Response:
            """Vehicles that look like a tracklet, best first."""
            site = self._site(request)
            tracklet = request.query_params.get("tracklet")
            if not tracklet:
                raise BadInput("which sighting is meant? Give ?tracklet= with a tracklet's id, or POST a picture")
            question = await asked(self._log, site.timeline, request.query_params, frozenset({"tracklet"}))
            return _answer(request, site, question, await site.search.by_tracklet(TrackletId(tracklet), question))

        return _described(search_by_tracklet, {"parameters": [*_PARAMETERS, _TRACKLET]})

    def _views(self) -> Any:
        async def read_views(request: Request) -> Response:
            """How tracklets looked: the best view of each, with its crop."""
            site, query = self._site(request), request.query_params
            tracklets = asked_tracklets(query)
            moment = await asked_moment(self._log, site.timeline, query, frozenset({"tracklet"}))
            told = await site.search.views(tracklets, moment)
            return Response(canonical_json(told), media_type="application/json")

        moment = [one for one in _PARAMETERS if one["name"] in ("site", *MOMENT)]
        return _described(read_views, {"parameters": [*moment, _TRACKLETS]}, Views, "read")

    def _site(self, request: Request) -> SearchedSite:
        name = request.path_params["site"]
        site = self._sites.get(SiteId(name))
        if site is None:
            raise NotFound(f"there is no site '{name[:80]}' here; there are {', '.join(sorted(self._sites)) or 'none'}")
        return site

    async def _subject(self, encoded: bytes, is_crop: bool) -> Subject:
        return await self._finding.subject(await self._decoder.decode(encoded), is_crop=is_crop)


def _described(endpoint: Any, openapi: Mapping[str, Any], answer: Any = SearchAnswer, scope: str = SCOPE) -> Any:
    endpoint.openapi, endpoint.answer, endpoint.refusals = openapi, answer, (409, 410, 413, 422, 503)
    endpoint.scope = scope
    return endpoint


def _is_crop(text: str | None) -> bool:
    if text not in (None, "auto", "whole"):
        raise BadInput(f"crop='{str(text)[:20]}' is not known; give auto or whole")
    return text == "whole"


def _answer(
    request: Request, site: SearchedSite, question: Question, found: Answer, subjects: list[Subject] | None = None
) -> Response:
    known_at, following = question.moment.known_at, None
    if question.skip + len(found.ranked) < found.n_found:
        given = dict(request.query_params) | {"known_at": str(known_at), "skip": str(question.skip + question.limit)}
        following = f"{request.url.path}?{urlencode(given, safe=':')}"
    told: SearchAnswer = answered(
        site.timeline.site.name, found, known_at=known_at, pictures=subjects or (), following=following
    )
    request.state.n_results = len(found.ranked)
    return Response(canonical_json(told), media_type="application/json")
