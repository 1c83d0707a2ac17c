"""The port of the vector index: one index a site. Adapters pass ``tests/retrieval/test_index_contract.py``.

Vectors of different embedders, or of different lengths, are never compared. The cursor into the observation log is
kept with the points and never ahead of them, so that following the log again from it loses nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from typing import Any, Protocol
from uuid import UUID

import numpy as np
from msgspec import Struct, to_builtins
from numpy.typing import NDArray

from twin.events.ids import CameraId, CropId, Micros, SiteId, TrackletId
from twin.events.observations import VehicleKind

Vector = NDArray[np.float32]
Space = tuple[str, int]
"""An embedder's id and the length of its vectors: what can be compared with each other."""

PLATE_KEY = "plate_key"
"""The field beside a sighting's own that ``plate_key`` of its plate is kept in."""

MOST_SPACES = 16
"""An embedder's name comes from outside; each new one costs a shard."""


class Sighting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A good view of a tracklet, without how it looks.

    Attributes:
        colour: its most likely colour, with ``colour_score`` 0..1; None where nobody said.
        body: its most likely body, such as "hatchback".
        plate: its number plate as it was read. Personal: it is kept with the point, and goes with it.
        box_px: where in the frame it was; None in indexes of older releases.
    """

    site: SiteId
    camera: CameraId
    tracklet: TrackletId
    at: Micros
    kind: VehicleKind
    quality: float
    embedder: str
    crop: CropId | None = None
    colour: str | None = None
    colour_score: float = 0.0
    body: str | None = None
    plate: str | None = None
    box_px: tuple[float, float, float, float] | None = None


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


Near = tuple[UUID, float]
"""A point, and the cosine of its vector with the probe."""


class Match(Struct, frozen=True, kw_only=True, eq=False):
    """A sighting and the cosine of its vector with the probe, -1..1.

    Attributes:
        vector: (E,) unit vector, where vectors were asked for.
    """

    cosine: float
    sighting: Sighting
    vector: Vector | None = None


class Where(Struct, frozen=True, kw_only=True):
    """Which sightings count: those that pass every condition. An empty tuple is no condition.

    Attributes:
        from_at, until_at: none that is earlier, none that is later; both bounds are in.
        kinds, cameras, colours: only of one of these. What has no colour passes no condition on colours.
        plate: only with a plate that has this in it, by ``plate_key`` of both; of "" every plate.
        tracklets: only of these; of an empty tuple none at all.
        except_tracklet: none of this tracklet.
    """

    from_at: Micros | None = None
    until_at: Micros | None = None
    kinds: tuple[VehicleKind, ...] = ()
    cameras: tuple[CameraId, ...] = ()
    colours: tuple[str, ...] = ()
    plate: str | None = None
    tracklets: tuple[TrackletId, ...] | None = None
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

    async def search(
        self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE, with_vectors: bool = False
    ) -> list[Match]:
        """The nearest sightings of the probe's space, best first."""
        ...

    async def nearest(self, embedder: str, probe: Vector, *, limit: int, where: Where = EVERYWHERE) -> list[Near]:
        """The points that ``search`` gives, by their names."""
        ...

    async def sightings(self, ids: Collection[UUID]) -> dict[UUID, Sighting]:
        """Those of these points that there are."""
        ...

    async def points_of(self, tracklet: TrackletId) -> list[Point]:
        """Every point of a tracklet, by (time, id)."""
        ...

    async def points_of_many(self, tracklets: Collection[TrackletId], *, limit: int, where: Where = EVERYWHERE) -> list[Point]:
        """Points of these tracklets, of every space, by (time, id); which, if there are more, is not said."""
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


def space_name(space: Space) -> str:
    """What a space's folder or collection is called: letters and digits, and never the same for two spaces."""
    embedder, n_components = space
    digest = hashlib.blake2b(embedder.encode(), digest_size=6).hexdigest()
    return f"{re.sub(r'[^a-z0-9]+', '-', embedder.lower())[:40].strip('-')}-{n_components}-{digest}"


def plate_key(text: str) -> str:
    """What plates are compared by: capitals, without spaces and hyphens.

    >>> plate_key("m-AB 123")
    'MAB123'
    """
    return "".join(text.upper().replace("-", "").split())


def payload_of(sighting: Sighting) -> dict[str, Any]:
    """A sighting as the stores that filter by it keep it: its fields, and what its plate is compared by."""
    fields = to_builtins(sighting)
    return fields if sighting.plate is None else fields | {PLATE_KEY: plate_key(sighting.plate)}


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
