"""What is compared: each keeps all views, and gives the nearest of a probe, best first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import qdrant_edge as qdrant

from retrieval.appearance import Ints, LookModel, Shots, nats_of_one_vehicle, whole
from retrieval.context import Anchor, Shot
from retrieval.index import EVERYWHERE, Match, Point, Sighting, Where
from retrieval.qdrant import QdrantIndex
from retrieval.reciprocal import agreement
from retrieval.rerank import Candidate, rerank
from retrieval.rerank import Probe as AskedFor
from retrieval.weights import Weights
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
        found = self._index.search(EMBEDDER, probe.vector, limit=limit, where=where, with_vectors=True)
        matches = self._loop.run_until_complete(found)
        return matches, reranked(matches, probe)

    def numbers(self, answer: Any) -> list[int]:
        """By the cosine: what the ranking makes of it is another question than whether the nearest were found."""
        return [int(match.sighting.crop or "-1") for match in answer[0]]


def reranked(matches: Sequence[Match], probe: Probe) -> Any:
    """What search does with the nearest views; here, and nowhere else, the bench calls the ranking.

    Looks by the views that were found, not by all of each vehicle: those the service has in memory.
    """
    asked, shots, seen = whole(probe.vector), dict[str, list[Shot]](), dict[str, list[Ints]]()
    vectors = [whole(match.vector) for match in matches if match.vector is not None]
    shares = agreement(asked, np.stack(vectors)).tolist() if vectors else []
    for match, vector in zip(matches, vectors, strict=True):
        one = match.sighting
        shot = Shot(tracklet=one.tracklet, camera=one.camera, at=one.at, look=match.cosine, crop=one.crop, kind=one.kind)
        shots.setdefault(one.tracklet, []).append(shot)
        seen.setdefault(one.tracklet, []).append(vector)
    best = dict[str, float]()
    for match, share in zip(matches, shares, strict=True):
        best[match.sighting.tracklet] = max(share, best.get(match.sighting.tracklet, 0.0))
    candidates = [
        Candidate(
            vehicle=VehicleId(name),
            shots=tuple(shots[name]),
            look=nats_of_one_vehicle(asked, _gallery(shots[name], seen[name]), MODEL),
            reciprocal=best[name],
            n_views=len(shots[name]),
        )
        for name in shots
    ]
    anchor = Anchor(camera=CameraId(f"c{probe.camera}"), at=probe.from_at)
    asked_for = AskedFor(near=anchor, itself_from=MODEL.itself_from)
    return rerank(candidates, asked_for, lambda one, other: 0.0 if one == other else 100.0, WEIGHTS)


MODEL, WEIGHTS = LookModel(), Weights()


def _gallery(shots: Sequence[Shot], vectors: Sequence[Ints]) -> list[Shots]:
    by_camera = dict[CameraId, list[Ints]]()
    for shot, vector in zip(shots, vectors, strict=True):
        by_camera.setdefault(shot.camera, []).append(vector)
    return [
        Shots(camera=name, total=np.add.reduce(each), n_tracklets=len(each), n_views=len(each))
        for name, each in sorted(by_camera.items())
    ]


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
