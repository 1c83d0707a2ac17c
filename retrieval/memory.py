"""The reference index: exact, in memory, and simple enough to be read as the port's meaning."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import numpy as np

from retrieval.index import EVERYWHERE, Match, Near, Point, Sighting, Vector, Where, admitted, plate_key
from twin.events.ids import TrackletId


class MemoryIndex:
    """Compares the probe with every point; forgets all when the process ends."""

    def __init__(self) -> None:
        self._points: dict[UUID, Point] = {}
        self._cursor = 0

    async def upsert(self, points: Sequence[Point], *, cursor: int) -> int:
        """See ``retrieval.index.VectorIndex``."""
        kept = admitted(points, {point.space for point in self._points.values()})
        self._points |= {point.id: point for group in kept.values() for point in group}
        self._cursor = cursor
        return sum(map(len, kept.values()))

    async def cursor(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return self._cursor

    async def search(
        self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> list[Match]:
        """See ``retrieval.index.VectorIndex``."""
        near = await self.nearest(embedder, probe, limit=limit, where=where)
        found = [(self._points[name], cosine) for name, cosine in near]
        return [
            Match(cosine=cosine, sighting=point.sighting, vector=point.vector if with_vectors else None)
            for point, cosine in found
        ]

    async def nearest(self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE) -> list[Near]:
        """See ``retrieval.index.VectorIndex``."""
        points = [point for point in self._points.values() if point.space == (embedder, len(probe))]
        points = [point for point in points if _counts(point.sighting, where)]
        if not points:
            return []
        cosines = np.stack([point.vector for point in points]) @ (probe / np.linalg.norm(probe))
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [(points[i].id, float(cosines[i])) for i in best]

    async def sightings(self, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        return {name: self._points[name].sighting for name in ids if name in self._points}

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        points = [point for point in self._points.values() if point.sighting.tracklet == tracklet]
        return sorted(points, key=lambda point: (point.sighting.at, point.id))

    async def points_of_many(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        wanted = set(tracklets)
        found = [one for one in self._points.values() if one.sighting.tracklet in wanted and _counts(one.sighting, where)]
        return sorted(found[:limit], key=lambda point: (point.sighting.at, point.id))

    async def sightings_of(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        found = await self.points_of_many(tracklets, limit=limit, where=where)
        return sorted((one.sighting for one in found), key=lambda one: (one.at, one.camera, one.tracklet))

    async def delete(self, tracklet: TrackletId) -> int:
        """See ``retrieval.index.VectorIndex``."""
        doomed = [point.id for point in self._points.values() if point.sighting.tracklet == tracklet]
        for name in doomed:
            del self._points[name]
        return len(doomed)

    async def embedders(self) -> dict[str, int]:
        """See ``retrieval.index.VectorIndex``."""
        names = [point.sighting.embedder for point in self._points.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    async def count(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return len(self._points)

    async def aclose(self) -> None:
        """See ``retrieval.index.VectorIndex``."""


def _counts(sighting: Sighting, where: Where) -> bool:
    return (
        (where.from_at is None or sighting.at >= where.from_at)
        and (where.until_at is None or sighting.at <= where.until_at)
        and (not where.kinds or sighting.kind in where.kinds)
        and (not where.cameras or sighting.camera in where.cameras)
        and (not where.colours or sighting.colour in where.colours)
        and (where.plate is None or (sighting.plate is not None and plate_key(where.plate) in plate_key(sighting.plate)))
        and (where.tracklets is None or sighting.tracklet in where.tracklets)
        and sighting.tracklet != where.except_tracklet
    )
