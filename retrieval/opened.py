"""Opens search over some sites as one thing, and closes all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from retrieval.api import PATH, SCOPE, VIEWS_PATH, SearchedSite, SearchRoutes
from retrieval.embedder import Embedder, Embedders
from retrieval.finder import Finding, VehicleFinder
from retrieval.galleries import GalleryIndex
from retrieval.identities import Identities
from retrieval.images import ImageDecoder
from retrieval.index import VectorIndex
from retrieval.ingest import IndexFollower
from retrieval.places import CameraDistances
from retrieval.search import VehicleSearch
from retrieval.weights import Weights
from retrieval.weights_file import PACKAGED
from retrieval.whereabouts import Whereabouts
from twin.errors import MissingExtra
from twin.events.ids import SiteId, TrackletId
from twin.log.keys import KeyRing
from twin.log.port import Log
from twin.projections.timeline import Timeline

SERVER_TIMEOUT_S = 10


@dataclass(frozen=True, kw_only=True)
class SearchParts:
    """Search as the service sees it: routes, and one loop a site that has to be run.

    Attributes:
        followers: by site; none where the extra is missing.
    """

    routes: list[Route]
    followers: Mapping[SiteId, IndexFollower]

    async def follow(self, site: SiteId) -> None:
        """Keep a site's index up to date; runs until cancelled. Without the extra there is nothing to do."""
        if site in self.followers:
            await self.followers[site].run()
        else:
            await asyncio.Event().wait()

    async def forget(self, site: SiteId, tracklet: TrackletId) -> None:
        """Take a tracklet out of the index; call it after its key was destroyed, so that no resend brings it back."""
        if site in self.followers:
            await self.followers[site].forget(tracklet)


@dataclass(frozen=True, kw_only=True)
class SearchModels:
    """What search looks at pictures with, and what it ranks by.

    Attributes:
        finder: of vehicles in pictures; None: every picture is taken to be cut to its vehicle.
        weights: of sites that have learned their own.
    """

    embedders: Sequence[Embedder] = ()
    finder: VehicleFinder | None = None
    weights: Mapping[SiteId, Weights] = field(default_factory=dict[SiteId, Weights])


class QdrantServer(Struct, frozen=True, kw_only=True):
    """A Qdrant server or cluster.

    Attributes:
        url: ``http://HOST:6333``.
        replication_factor: copies of each site's points; a majority of them acknowledges a write.
    """

    url: str
    api_key: str | None = None
    replication_factor: int = 1


async def open_index(place: Path | QdrantServer, site: SiteId) -> VectorIndex:
    """A site's persistent index, in a folder of its own or in a server.

    Raises:
        MissingExtra: Qdrant is not installed.
        BadInput: the folder holds something else, or is damaged; or the server refuses.
        Overloaded: the server cannot be reached.
    """
    if not is_installed():
        raise missing()
    if isinstance(place, QdrantServer):
        from qdrant_client import AsyncQdrantClient

        from retrieval.qdrant_server import QdrantServerIndex, ServerOptions

        client = AsyncQdrantClient(place.url, api_key=place.api_key, timeout=SERVER_TIMEOUT_S, check_compatibility=False)
        copies = place.replication_factor
        options = ServerOptions(replication_factor=copies, write_consistency_factor=copies // 2 + 1)
        return await QdrantServerIndex.open(client, site, options)
    from retrieval.qdrant import QdrantIndex

    return await QdrantIndex.open(place / site)


@asynccontextmanager
async def open_search(
    place: Path | QdrantServer,
    log: Log,
    keys: KeyRing,
    timelines: Mapping[SiteId, Timeline],
    models: SearchModels = SearchModels(),
) -> AsyncIterator[SearchParts]:
    """Search over sites, its indexes in a folder or a server. Without the extra, the routes answer that it is missing.

    Raises:
        BadInput: an index cannot be opened.
        Overloaded: the server cannot be reached.
    """
    if not is_installed():
        routes = [
            Route(PATH, _refuse, methods=["GET", "POST"]),
            Route(VIEWS_PATH, _refuse, methods=["GET"], name="refuse_views"),
        ]
        yield SearchParts(routes=routes, followers={})
        return
    async with AsyncExitStack() as stack:
        decoder, at_hand = ImageDecoder(), Embedders(models.embedders)
        stack.push_async_callback(decoder.aclose)
        followers: dict[SiteId, IndexFollower] = {}
        searched: dict[SiteId, SearchedSite] = {}
        for name, timeline in timelines.items():
            index = GalleryIndex(await open_index(place, name))
            stack.push_async_callback(index.aclose)
            distances = await asyncio.to_thread(CameraDistances, timeline.site)
            whereabouts = Whereabouts(log, timeline, distances)
            weights = models.weights.get(name, PACKAGED)
            search = VehicleSearch(name, index, Identities(log, name), whereabouts, distances, at_hand, weights)
            searched[name] = SearchedSite(timeline=timeline, search=search)
            followers[name] = IndexFollower(log, keys, index, name)
        routes = SearchRoutes(log, searched, decoder, Finding(models.finder)).routes
        yield SearchParts(routes=routes, followers=followers)


def is_installed() -> bool:
    """Whether the search extra is there."""
    return find_spec("qdrant_edge") is not None


def missing() -> MissingExtra:
    """The error that says so."""
    return MissingExtra("image search needs Qdrant Edge; install the extra: pip install 'spatial-twin[search]'")


async def _refuse(request: Request) -> Response:
    """Search is not installed here."""
    raise missing()


_refuse.scope = SCOPE  # type: ignore[attr-defined]
