"""Every view of a tracklet, and what a vehicle's tracklets look like together. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from retrieval.appearance import Ints, Shots, whole
from retrieval.index import Point, Sighting
from retrieval.whereabouts import Clocks
from twin.events.ids import CameraId, Micros, TrackletId


class TrackletViews(Struct, frozen=True, kw_only=True, eq=False):
    """Every view of a tracklet in one space.

    Attributes:
        ids: (N,) of the points, by time.
        sightings: (N,).
        vectors: (N, E) whole numbers.
        mean: (E,) of them, whole numbers.
    """

    tracklet: TrackletId
    camera: CameraId
    ids: tuple[UUID, ...]
    sightings: tuple[Sighting, ...]
    vectors: NDArray[np.int8]
    mean: NDArray[np.int16]

    @classmethod
    def of(cls, points: Sequence[Point]) -> TrackletViews:
        """Of points of one tracklet and space, at least one."""
        vectors = np.stack([whole(point.vector) for point in points]).astype(np.int8)
        return cls._ordered([point.id for point in points], [point.sighting for point in points], vectors)

    @classmethod
    def _ordered(cls, ids: Sequence[UUID], sightings: Sequence[Sighting], vectors: NDArray[np.int8]) -> TrackletViews:
        rows = sorted(range(len(ids)), key=lambda row: (sightings[row].at, ids[row]))
        ordered = tuple(sightings[row] for row in rows)
        return cls(
            tracklet=ordered[0].tracklet,
            camera=ordered[0].camera,
            ids=tuple(ids[row] for row in rows),
            sightings=ordered,
            vectors=vectors[rows],
            mean=mean_view(vectors),
        )

    def joined(self, others: TrackletViews) -> TrackletViews:
        """With other views of it, which replace those of the same points."""
        kept = [row for row, name in enumerate(self.ids) if name not in others.ids]
        ids, sightings = [self.ids[row] for row in kept], [self.sightings[row] for row in kept]
        vectors = np.concatenate([self.vectors[kept], others.vectors])
        return self._ordered([*ids, *others.ids], [*sightings, *others.sightings], vectors)

    def until(self, clocks: Clocks, at: Micros | None) -> TrackletViews | None:
        """Its views until a time, by the site's clock; None without any."""
        if at is None or clocks.corrected(self.camera, self.sightings[-1].at) <= at:
            return self
        n = sum(clocks.corrected(self.camera, one.at) <= at for one in self.sightings)
        if n == 0:
            return None
        vectors = self.vectors[:n]
        return TrackletViews(
            tracklet=self.tracklet,
            camera=self.camera,
            ids=self.ids[:n],
            sightings=self.sightings[:n],
            vectors=vectors,
            mean=mean_view(vectors),
        )

    @property
    def n_bytes(self) -> int:
        """About what is kept: vectors, and of each sighting what it says, its name, and where it is found by that."""
        return self.vectors.nbytes + self.mean.nbytes + 1_300 * len(self.sightings)


def mean_view(vectors: NDArray[np.int8]) -> NDArray[np.int16]:
    """(E,) the mean of (N, E) views, rounded to whole numbers."""
    return np.rint(vectors.sum(axis=0, dtype=np.int64) / len(vectors)).astype(np.int16)


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
    means: dict[CameraId, list[NDArray[np.int16]]] = {}
    counts: Counter[CameraId] = Counter()
    for seen in tracklets:
        means.setdefault(seen.camera, []).append(seen.mean)
        counts[seen.camera] += len(seen.sightings)
    shots = tuple(
        Shots(camera=name, total=_sum(each), n_tracklets=len(each), n_views=counts[name], is_same_camera=name == camera)
        for name, each in sorted(means.items())
    )
    return Gallery(shots=shots, n_views=counts.total(), n_cameras=len(shots))


def _sum(vectors: Sequence[NDArray[np.int16]]) -> Ints:
    return vectors[0].astype(np.int64) if len(vectors) == 1 else np.add.reduce(vectors, dtype=np.int64)
