"""Finds the vehicles that look like a picture, or like a sighting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from retrieval.embedder import Embedders
from retrieval.identities import Identities
from retrieval.images import ImageDecoder
from retrieval.index import Point, Sighting, Vector, VectorIndex, Where
from retrieval.look import look_of
from retrieval.places import CameraDistances
from retrieval.rerank import Anchor, Candidate, Ranked, RerankParameters, Shot, pooled_look, rerank
from twin.errors import NotFound
from twin.events.ids import SiteId, TrackletId, VehicleId
from twin.projections.moment import Moment

FIRST_DEPTH = 256
MOST_DEPTH = 4_096
MOST_CANDIDATES = 100
MOST_SIGHTINGS = 5_000


class Question(Struct, frozen=True, kw_only=True):
    """What to answer with.

    Attributes:
        moment: sightings up to ``at``, of vehicles as known at ``known_at``.
        near: where and when the probe was seen, as far as the asker knows.
        limit: how many vehicles at most.
    """

    moment: Moment
    near: Anchor = Anchor()
    limit: int = 10


class VehicleSearch:
    """Search over one site's index."""

    def __init__(
        self,
        site: SiteId,
        index: VectorIndex,
        identities: Identities,
        distances: CameraDistances,
        embedders: Embedders,
        decoder: ImageDecoder,
        parameters: RerankParameters = RerankParameters(),  # noqa: B008  frozen
    ) -> None:
        self._site = site
        self._index = index
        self._identities = identities
        self._distances = distances
        self._embedders = embedders
        self._decoder = decoder
        self._parameters = parameters

    async def by_picture(self, encoded: bytes, question: Question) -> list[Ranked]:
        """Vehicles that look like a picture, best first; the whole picture is taken to be the vehicle.

        Raises:
            ImageRejected: see ``ImageDecoder.decode``.
            BadInput: the index holds views of other embedders only.
        """
        image = await self._decoder.decode(encoded)
        embedder = self._embedders.fitting(await self._index.embedders())
        if embedder is None:
            return []
        probe = await self._embedders.probe(embedder, image)
        return await self._ranked(embedder.id, probe, question, Where(until_at=question.moment.at))

    async def by_tracklet(self, tracklet: TrackletId, question: Question) -> list[Ranked]:
        """Vehicles that look like a tracklet, which itself does not count; the anchor is its best view unless one is asked for.

        Raises:
            NotFound: the index has no view of this tracklet: it never had one, or it was erased.
        """
        points = await self._index.points_of(tracklet)
        if not points:
            raise NotFound(f"site '{self._site}' has no view of tracklet '{tracklet[:80]}' to compare; it may have been erased")
        best = max(points, key=lambda point: (point.sighting.quality, point.id))
        probe = _mean([point for point in points if point.space == best.space])
        if question.near == Anchor():
            near = Anchor(camera=best.sighting.camera, at=best.sighting.at)
            question = Question(moment=question.moment, near=near, limit=question.limit)
        where = Where(until_at=question.moment.at, except_tracklet=tracklet)
        return await self._ranked(best.sighting.embedder, probe, question, where)

    async def _ranked(self, embedder: str, probe: Vector, question: Question, where: Where) -> list[Ranked]:
        vehicles = await self._identities.at(question.moment)
        shots = await self._compared(embedder, probe, question.limit, where, vehicles)
        chosen = self._chosen(shots, question.limit)
        wanted = [tracklet for tracklet, vehicle in vehicles.items() if vehicle in chosen]
        others = await self._index.sightings_of(wanted, limit=MOST_SIGHTINGS, where=where)
        candidates = _candidates(shots, chosen, others, vehicles)
        ranked = await asyncio.to_thread(rerank, candidates, question.near, self._distances.metres, self._parameters)
        return ranked[: question.limit]

    async def _compared(
        self, embedder: str, probe: Vector, limit: int, where: Where, vehicles: Mapping[TrackletId, VehicleId]
    ) -> dict[VehicleId, list[Shot]]:
        """The nearest shots by vehicle, from as deep in the index as gives vehicles enough to choose from."""
        depth, logistic = FIRST_DEPTH, look_of(embedder)
        while True:
            matches = await self._index.search(embedder, probe, limit=depth, where=where)
            by_vehicle: dict[VehicleId, list[Shot]] = {}
            for match in matches:
                if (vehicle := vehicles.get(match.sighting.tracklet)) is not None:
                    look = logistic.probability(match.cosine)
                    by_vehicle.setdefault(vehicle, []).append(_shot(match.sighting, look))
            if len(by_vehicle) >= max(MOST_CANDIDATES, limit) or len(matches) < depth or depth >= MOST_DEPTH:
                return by_vehicle
            depth *= 4

    def _chosen(self, shots: Mapping[VehicleId, Sequence[Shot]], limit: int) -> set[VehicleId]:
        looks = {
            vehicle: pooled_look([shot.look or 0.0 for shot in seen], self._parameters.n_pooled)
            for vehicle, seen in shots.items()
        }
        best = sorted(looks, key=lambda vehicle: (-looks[vehicle], vehicle))
        return set(best[: max(MOST_CANDIDATES, limit)])


def _candidates(
    compared: Mapping[VehicleId, Sequence[Shot]],
    chosen: Iterable[VehicleId],
    sightings: Iterable[Sighting],
    vehicles: Mapping[TrackletId, VehicleId],
) -> list[Candidate]:
    """Chosen vehicles with the shots that were compared, and with those that were too far down for it."""
    shots = {vehicle: {(shot.tracklet, shot.at, shot.crop): shot for shot in compared[vehicle]} for vehicle in chosen}
    for sighting in sightings:
        seen = shots[vehicles[sighting.tracklet]]
        seen.setdefault((sighting.tracklet, sighting.at, sighting.crop), _shot(sighting, None))
    return [Candidate(vehicle=vehicle, shots=tuple(seen.values())) for vehicle, seen in shots.items()]


def _shot(sighting: Sighting, look: float | None) -> Shot:
    return Shot(tracklet=sighting.tracklet, camera=sighting.camera, at=sighting.at, look=look, crop=sighting.crop)


def _mean(points: Sequence[Point]) -> Vector:
    """Direction of the mean view; the first view where views cancel out."""
    total: Vector = np.add.reduce(np.stack([point.vector for point in points]))
    length = float(np.linalg.norm(total))
    return np.divide(total, length, dtype=np.float32) if length > 1e-6 else points[0].vector
