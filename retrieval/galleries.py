"""A vector index that remembers the views of tracklets that it was asked for: re-ranking asks for all views of its candidates.

What it remembers of a tracklet goes as soon as the tracklet gets a new view, or is forgotten.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from retrieval.appearance import Ints, Shots, whole
from retrieval.index import EVERYWHERE, Match, Point, Sighting, Space, Vector, VectorIndex, Where
from retrieval.whereabouts import Clocks
from twin.events.ids import CameraId, Micros, TrackletId

MOST_BYTES = 64 * 2**20
MOST_VIEWS = 20_000
"""Views that one question may read anew; nothing is known to it of the tracklets that it named last, beyond that."""
CHUNK = 500
"""Tracklets that are read at once."""


class TrackletViews(Struct, frozen=True, kw_only=True, eq=False):
    """Every view of a tracklet in one space.

    Attributes:
        sightings: (N,) by time.
        vectors: (N, E) whole numbers, int8.
        mean: (E,) of them, whole numbers.
    """

    camera: CameraId
    sightings: tuple[Sighting, ...]
    vectors: np.ndarray[tuple[int, int], np.dtype[np.int8]]
    mean: Ints

    def until(self, clocks: Clocks, at: Micros | None) -> TrackletViews | None:
        """Its views until a time, by the site's clock; None without any."""
        if at is None or clocks.corrected(self.camera, self.sightings[-1].at) <= at:
            return self
        n = sum(clocks.corrected(self.camera, one.at) <= at for one in self.sightings)
        if n == 0:
            return None
        return TrackletViews(
            camera=self.camera, sightings=self.sightings[:n], vectors=self.vectors[:n], mean=_mean(self.vectors[:n])
        )


class GalleryIndex:
    """The port, and what is remembered beside it."""

    def __init__(self, index: VectorIndex, *, most_bytes: int = MOST_BYTES) -> None:
        self._index = index
        self._most_bytes = most_bytes
        self._views: OrderedDict[TrackletId, Mapping[Space, TrackletViews]] = OrderedDict()
        self._n_bytes = 0
        self._generation = 0

    async def views_of(self, space: Space, tracklets: Iterable[TrackletId]) -> dict[TrackletId, TrackletViews]:
        """Views in a space, of the tracklets that have any."""
        wanted = list(dict.fromkeys(tracklets))
        found = {name: self._views[name] for name in wanted if name in self._views}
        for name in found:
            self._views.move_to_end(name)
        if absent := [name for name in wanted if name not in found]:
            found |= await self._read(absent)
        return {name: found[name][space] for name in wanted if space in found.get(name, {})}

    async def upsert(self, points: Sequence[Point], *, cursor: int) -> int:
        """See ``retrieval.index.VectorIndex``."""
        changed = {point.sighting.tracklet for point in points}
        self._drop(changed)
        try:
            return await self._index.upsert(points, cursor=cursor)
        finally:  # also if the caller is gone: the index may have done it all the same
            self._drop(changed)

    async def delete(self, tracklet: TrackletId) -> int:
        """See ``retrieval.index.VectorIndex``."""
        self._drop([tracklet])
        try:
            return await self._index.delete(tracklet)
        finally:
            self._drop([tracklet])

    async def cursor(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.cursor()

    async def search(
        self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> list[Match]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.search(embedder, probe, limit=limit, where=where, with_vectors=with_vectors)

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.points_of(tracklet)

    async def points_of_many(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Point]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.points_of_many(tracklets, limit=limit, where=where)

    async def sightings_of(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Sighting]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.sightings_of(tracklets, limit=limit, where=where)

    async def embedders(self) -> dict[str, int]:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.embedders()

    async def count(self) -> int:
        """See ``retrieval.index.VectorIndex``."""
        return await self._index.count()

    async def aclose(self) -> None:
        """See ``retrieval.index.VectorIndex``."""
        await self._index.aclose()

    async def _read(self, tracklets: Collection[TrackletId]) -> dict[TrackletId, Mapping[Space, TrackletViews]]:
        names, found, n_left = list(tracklets), dict[TrackletId, Mapping[Space, TrackletViews]](), MOST_VIEWS
        for first in range(0, len(names), CHUNK):
            n_read, views = await self._read_chunk(names[first : first + CHUNK], n_left)
            found |= views
            n_left -= n_read
            if n_left <= 0:
                break
        return found

    async def _read_chunk(
        self, tracklets: Sequence[TrackletId], limit: int
    ) -> tuple[int, dict[TrackletId, Mapping[Space, TrackletViews]]]:
        before = self._generation
        points = await self._index.points_of_many(tracklets, limit=limit)
        by_tracklet: dict[TrackletId, dict[Space, list[Point]]] = {name: {} for name in tracklets}
        for point in points:
            by_tracklet[point.sighting.tracklet].setdefault(point.space, []).append(point)
        found: dict[TrackletId, Mapping[Space, TrackletViews]] = {
            name: {space: _views(group) for space, group in spaces.items()} for name, spaces in by_tracklet.items()
        }
        found = {name: spaces for name, spaces in found.items() if spaces}
        if before == self._generation and len(points) < limit:  # nothing came or went meanwhile, and all is there
            for name, spaces in found.items():
                self._keep(name, spaces)
        return len(points), found

    def _keep(self, tracklet: TrackletId, spaces: Mapping[Space, TrackletViews]) -> None:
        if (before := self._views.pop(tracklet, None)) is not None:
            self._n_bytes -= _n_bytes(before)
        self._views[tracklet] = spaces
        self._n_bytes += _n_bytes(spaces)
        while self._n_bytes > self._most_bytes:
            _, oldest = self._views.popitem(last=False)
            self._n_bytes -= _n_bytes(oldest)

    def _drop(self, tracklets: Iterable[TrackletId]) -> None:
        self._generation += 1
        for name in tracklets:
            if (spaces := self._views.pop(name, None)) is not None:
                self._n_bytes -= _n_bytes(spaces)


class Gallery(Struct, frozen=True, kw_only=True, eq=False):
    """What a vehicle looks like before each camera, and how much that rests on."""

    shots: tuple[Shots, ...]
    n_views: int
    n_cameras: int


def gallery_of(tracklets: Iterable[TrackletViews], camera: CameraId | None) -> Gallery:
    """Views of one vehicle, by camera; a tracklet counts once, however many views it has.

    Args:
        camera: the probe's, if it is known.
    """
    means: dict[CameraId, list[Ints]] = {}
    counts: Counter[CameraId] = Counter()
    for seen in tracklets:
        means.setdefault(seen.camera, []).append(seen.mean)
        counts[seen.camera] += len(seen.sightings)
    shots = tuple(
        Shots(
            camera=name, total=np.add.reduce(each), n_tracklets=len(each), n_views=counts[name], is_same_camera=name == camera
        )
        for name, each in sorted(means.items())
    )
    return Gallery(shots=shots, n_views=counts.total(), n_cameras=len(shots))


def _views(points: Sequence[Point]) -> TrackletViews:
    ordered = sorted(points, key=lambda point: (point.sighting.at, point.id))
    vectors = np.stack([whole(point.vector) for point in ordered]).astype(np.int8)
    sightings = tuple(point.sighting for point in ordered)
    return TrackletViews(camera=sightings[0].camera, sightings=sightings, vectors=vectors, mean=_mean(vectors))


def _mean(vectors: np.ndarray[tuple[int, int], np.dtype[np.int8]]) -> Ints:
    return np.rint(vectors.sum(axis=0, dtype=np.int64) / len(vectors)).astype(np.int64)


def _n_bytes(spaces: Mapping[Space, TrackletViews]) -> int:
    """About what is kept: vectors, and some hundred bytes a sighting."""
    return 200 + sum(each.vectors.nbytes + 300 * len(each.sightings) for each in spaces.values())
