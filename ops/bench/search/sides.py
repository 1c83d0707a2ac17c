"""What is compared: each keeps all views, and gives the nearest of a probe, best first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import qdrant_edge as qdrant

from retrieval.context import Anchor, Place
from retrieval.embedder import Embedders
from retrieval.galleries import GalleryIndex
from retrieval.identities import Identities
from retrieval.index import EVERYWHERE, Point, Sighting, Where
from retrieval.places import CameraDistances
from retrieval.qdrant import QdrantIndex
from retrieval.question import Question
from retrieval.search import MOST_DEPTH, VehicleSearch
from retrieval.whereabouts import Whereabouts
from site_models.generate import generate
from twin.events.envelope import FactEvent
from twin.events.facts import TrackletAssigned
from twin.events.ids import CameraId, CropId, TrackletId, VehicleId
from twin.log.memory import MemoryLog
from twin.log.port import FoldCommit
from twin.projections.moment import Moment
from twin.projections.timeline import Timeline

from .workload import N_CAMERAS, N_COMPONENTS, START_AT, Probe, Views, id_of, n_vehicles, number_of

EMBEDDER = "bench@1"


class Side(Protocol):
    """One way to search."""

    def add(self, views: Views) -> None:
        """Keep them."""
        ...

    def ready(self) -> None:
        """All are there."""
        ...

    def search(self, probe: Probe, limit: int, *, is_filtered: bool) -> Any:
        """The answer in the side's own form; this is what is timed."""
        ...

    def numbers(self, answer: Any) -> list[int]:
        """Which views are in it, best first."""
        ...


class Ours:
    """Search as the service asks it: vehicles by all their views, ranked, with reasons for a page of ten.

    Each vehicle has a tracklet before each camera, assigned by facts in a log in memory, which is not counted as the index's.
    """

    def __init__(self, folder: Path, n: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._site = generate(n_cameras=N_CAMERAS, n_stalls=100, n_levels=1, overlap=0.2, seed=1)
        self._names = [camera.id for camera in self._site.cameras]
        self._index = GalleryIndex(self._loop.run_until_complete(QdrantIndex.open(folder / self._site.name)))
        log = MemoryLog()
        self._known_at = self._loop.run_until_complete(self._assign(log, n))
        distances, name = CameraDistances(self._site), self._site.name
        whereabouts = _Nowhere(log, Timeline(log, self._site), distances)
        identities = Identities(log, name)
        self._search = VehicleSearch(name, self._index, identities, whereabouts, distances, Embedders())
        self._loop.run_until_complete(identities.at(Moment(at=None, known_at=self._known_at)))

    async def _assign(self, log: MemoryLog, n: int) -> int:
        token, n_facts = await log.acquire(self._site.name, "bench"), 0
        for vehicle in range(n_vehicles(n)):
            facts = tuple(
                FactEvent(
                    site=self._site.name,
                    fold_version="bench",
                    cause=vehicle,
                    ordinal=ordinal,
                    occurred_at=START_AT,
                    payload=TrackletAssigned(
                        tracklet=_tracklet(camera, vehicle), camera=camera, vehicle=VehicleId(f"v{vehicle}")
                    ),
                )
                for ordinal, camera in enumerate(self._names)
            )
            await log.commit(FoldCommit(token=token, after=0, cursor=0, facts=facts))
            n_facts += len(facts)
        return n_facts

    def add(self, views: Views) -> None:
        """See ``Side``."""
        self._loop.run_until_complete(self._index.upsert(self._points(views), cursor=views.first + 1))

    def ready(self) -> None:
        """See ``Side``."""

    def search(self, probe: Probe, limit: int, *, is_filtered: bool) -> Any:
        """See ``Side``; the limit is search's own: it ranks so many vehicles."""
        where, camera = EVERYWHERE, self._names[probe.camera]
        if is_filtered:
            where = Where(cameras=(camera,), from_at=probe.from_at, until_at=probe.until_at)
        near = Anchor(camera=camera, at=probe.from_at)
        question = Question(moment=Moment(at=None, known_at=self._known_at), near=near, where=where)
        return probe, where, self._loop.run_until_complete(self._search.by_vector(EMBEDDER, probe.vector, question))

    def numbers(self, answer: Any) -> list[int]:
        """By the cosine: what the ranking makes of it is another question than whether the nearest were found."""
        probe, where, found = answer
        assert found.ranked, "nothing was found"
        near = self._index.nearest(EMBEDDER, probe.vector, limit=MOST_DEPTH, where=where)
        return [number_of(name) for name, _ in self._loop.run_until_complete(near)]

    def _points(self, views: Views) -> list[Point]:
        points = list[Point]()
        for i, (vehicle, camera, at) in enumerate(zip(views.vehicles, views.cameras, views.at, strict=True)):
            sighting = Sighting(
                site=self._site.name,
                camera=self._names[camera],
                tracklet=_tracklet(self._names[camera], int(vehicle)),
                at=int(at),
                kind="car",
                quality=0.5,
                embedder=EMBEDDER,
                crop=CropId(f"{views.first + i:064x}"),
                colour="white",
                colour_score=0.5,
                box_px=(100.0, 100.0, 200.0, 160.0),
            )
            points.append(Point(id=id_of(views.first + i), vector=np.ascontiguousarray(views.vectors[i]), sighting=sighting))
        return points


class _Nowhere(Whereabouts):
    """Where the twin had vehicles at a time is a read of the past, which `twin bench timetravel` measures; here, nowhere."""

    async def places(self, moment: Moment, camera: CameraId) -> Mapping[VehicleId, Place]:
        """See ``Whereabouts``."""
        return {}


def _tracklet(camera: CameraId, vehicle: int) -> TrackletId:
    return TrackletId(f"{camera}.1.{vehicle}")


class Bare:
    """Qdrant Edge by its own calls: ids and scores only."""

    def __init__(self, folder: Path, n: int) -> None:
        (folder / "bare").mkdir()
        vectors = qdrant.EdgeVectorParams(size=N_COMPONENTS, distance=qdrant.Distance.Cosine)
        self._shard = qdrant.EdgeShard.create(str(folder / "bare"), qdrant.EdgeConfig(vectors=vectors, max_search_threads=1))
        for field, kind in (("camera", qdrant.PayloadSchemaType.Keyword), ("at", qdrant.PayloadSchemaType.Integer)):
            self._shard.update(qdrant.UpdateOperation.create_field_index(field, kind))

    def add(self, views: Views) -> None:
        """See ``Side``."""
        points = [
            qdrant.Point(id_of(views.first + i), vector.tolist(), {"camera": f"c{views.cameras[i]}", "at": int(views.at[i])})
            for i, vector in enumerate(views.vectors)
        ]
        self._shard.update(qdrant.UpdateOperation.upsert_points(points))

    def ready(self) -> None:
        """See ``Side``."""
        self._shard.flush()

    def search(self, probe: Probe, limit: int, *, is_filtered: bool) -> Any:
        """See ``Side``."""
        where = None
        if is_filtered:
            span = qdrant.RangeFloat(gte=float(probe.from_at), lte=float(probe.until_at))
            camera = qdrant.FieldCondition("camera", match=qdrant.MatchValue(f"c{probe.camera}"))
            where = qdrant.Filter(must=[camera, qdrant.FieldCondition("at", range=span)])
        return self._shard.search(qdrant.SearchRequest(qdrant.Query.Nearest(probe.vector.tolist()), limit, filter=where))

    def numbers(self, answer: Any) -> list[int]:
        """See ``Side``."""
        return [number_of(one.id) for one in answer]
