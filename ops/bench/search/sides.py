"""What is compared: each keeps all views, and gives the nearest of a probe, best first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import qdrant_edge as qdrant

from retrieval.index import EVERYWHERE, Match, Point, Sighting, Where
from retrieval.look import look_of
from retrieval.qdrant import QdrantIndex
from retrieval.rerank import Anchor, Candidate, Shot, rerank
from twin.events.ids import CameraId, CropId, SiteId, TrackletId, VehicleId

from .workload import N_COMPONENTS, Probe, Views, id_of, number_of

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
    """The port, as search asks it, and the ranking of what it gives."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._index = self._loop.run_until_complete(QdrantIndex.open(folder / "street"))

    def add(self, views: Views) -> None:
        """See ``Side``."""
        self._loop.run_until_complete(self._index.upsert(_points(views), cursor=views.first + 1))

    def ready(self) -> None:
        """See ``Side``."""

    def search(self, probe: Probe, limit: int, *, is_filtered: bool) -> Any:
        """See ``Side``."""
        where = EVERYWHERE
        if is_filtered:
            where = Where(cameras=(CameraId(f"c{probe.camera}"),), from_at=probe.from_at, until_at=probe.until_at)
        found = self._index.search(EMBEDDER, probe.vector, limit=limit, where=where)
        matches = self._loop.run_until_complete(found)
        return matches, reranked(matches, probe)

    def numbers(self, answer: Any) -> list[int]:
        """By the cosine: what the ranking makes of it is another question than whether the nearest were found."""
        return [int(match.sighting.crop or "-1") for match in answer[0]]


def reranked(matches: Sequence[Match], probe: Probe) -> Any:
    """What search does with the nearest views; here, and nowhere else, the bench calls the ranking."""
    logistic, shots = look_of(EMBEDDER), dict[str, list[Shot]]()
    for match in matches:
        seen = match.sighting
        shot = Shot(
            tracklet=seen.tracklet, camera=seen.camera, at=seen.at, look=logistic.probability(match.cosine), crop=seen.crop
        )
        shots.setdefault(seen.tracklet, []).append(shot)
    candidates = [Candidate(vehicle=VehicleId(name), shots=tuple(seen)) for name, seen in shots.items()]
    anchor = Anchor(camera=CameraId(f"c{probe.camera}"), at=probe.from_at)
    return rerank(candidates, anchor, lambda one, other: 0.0 if one == other else 100.0)


class Bare:
    """Qdrant Edge by its own calls: ids and scores only."""

    def __init__(self, folder: Path) -> None:
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


def _points(views: Views) -> list[Point]:
    points = list[Point]()
    for i in range(len(views.vectors)):
        sighting = Sighting(
            site=SiteId("street"),
            camera=CameraId(f"c{views.cameras[i]}"),
            tracklet=TrackletId(f"t{views.vehicles[i]}"),
            at=int(views.at[i]),
            kind="car",
            quality=0.5,
            embedder=EMBEDDER,
            crop=CropId(str(views.first + i)),
            colour="white",
            colour_score=0.5,
        )
        points.append(Point(id=id_of(views.first + i), vector=np.ascontiguousarray(views.vectors[i]), sighting=sighting))
    return points
