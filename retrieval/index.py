"""The port of the vector index: one index a site. Adapters pass ``tests/retrieval/test_index_contract.py``.

Vectors of different embedders, or of different lengths, are never compared. The cursor into the observation log is
kept with the points and never ahead of them, so that following the log again from it loses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from twin.events.ids import CameraId, CropId, Micros, SiteId, TrackletId
from twin.events.observations import VehicleKind

Vector = NDArray[np.float32]
Space = tuple[str, int]
"""An embedder's id and the length of its vectors: what can be compared with each other."""

MOST_SPACES = 16
"""An embedder's name comes from outside; each new one costs a shard."""


class Sighting(Struct, frozen=True, kw_only=True):
    """A good view of a tracklet, without how it looks."""

    site: SiteId
    camera: CameraId
    tracklet: TrackletId
    at: Micros
    kind: VehicleKind
    quality: float
    embedder: str
    crop: CropId | None = None


class Point(Struct, frozen=True, kw_only=True, eq=False):
    """A sighting and how it looks.

    Attributes:
        id: of the event that it came from, so that the same event again changes nothing.
        vector: (E,) unit vector.
    """

    id: UUID
    vector: Vector
    sighting: Sighting

    @property
    def space(self) -> Space:
        """What its vector can be compared with."""
        return self.sighting.embedder, len(self.vector)


class Match(Struct, frozen=True, kw_only=True):
    """A sighting and the cosine of its vector with the probe, -1..1."""

    cosine: float
    sighting: Sighting


class Where(Struct, frozen=True, kw_only=True):
    """Which sightings count.

    Attributes:
        until_at: none that is later.
        except_tracklet: none of this tracklet.
    """

    until_at: Micros | None = None
    except_tracklet: TrackletId | None = None


EVERYWHERE = Where()


class VectorIndex(Protocol):
    """Sightings of one site by how they look."""

    async def upsert(self, points: Sequence[Point], *, cursor: int) -> int:
        """Keep points and then the cursor, both durably; returns how many points were kept.

        Points of new spaces beyond ``MOST_SPACES`` are left out.
        """
        ...

    async def cursor(self) -> int:
        """The last log position whose points are kept; 0 at first."""
        ...

    async def search(self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE) -> list[Match]:
        """The nearest sightings of the probe's space, best first."""
        ...

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """Every point of a tracklet, by (time, id)."""
        ...

    async def sightings_of(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Sighting]:
        """Sightings of these tracklets by (time, camera, tracklet); which, if there are more, is not said."""
        ...

    async def delete(self, tracklet: TrackletId) -> int:
        """Forget a tracklet durably; returns how many points it had."""
        ...

    async def embedders(self) -> dict[str, int]:
        """How many points each embedder has; those without any are left out."""
        ...

    async def count(self) -> int:
        """How many points there are."""
        ...

    async def aclose(self) -> None:
        """Finish what was asked, then release every resource. Twice is no error."""
        ...


def unit_vector(embedding: bytes) -> Vector | None:
    """E signed bytes to an (E,) unit vector; None where they have no direction.

    >>> unit_vector(bytes([3, 252])).round(1).tolist()
    [0.6000000238418579, -0.800000011920929]
    """
    components = np.frombuffer(embedding, np.int8).astype(np.float32)
    length = float(np.sqrt(np.sum(components * components)))
    return components / np.float32(length) if length > 0.0 else None


def admitted(points: Sequence[Point], known: Collection[Space]) -> dict[Space, list[Point]]:
    """Points by space, without those of new spaces for which there is no room."""
    spaces = set(known)
    by_space: dict[Space, list[Point]] = {}
    for point in points:
        if point.space not in spaces:
            if len(spaces) >= MOST_SPACES:
                continue
            spaces.add(point.space)
        by_space.setdefault(point.space, []).append(point)
    return by_space
