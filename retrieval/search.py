"""Finds the vehicles that look like a picture, or like a sighting, and that can have been where it was taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from retrieval.appearance import Ints, whole
from retrieval.columns import compared_only
from retrieval.comparison import Seen, agreements, compared, is_restricted, is_until, strays_of
from retrieval.context import Anchor, Distance, Place
from retrieval.embedder import Embedders
from retrieval.galleries import GalleryIndex
from retrieval.hits import Hit, key_of, placed
from retrieval.identities import Assigned, Identities
from retrieval.images import Image
from retrieval.index import Sighting, Vector, Where
from retrieval.places import CameraDistances
from retrieval.question import Question
from retrieval.rerank import Candidate, Probe, Ranked, Ranking, Stray, rerank, stray_chance, terms_of
from retrieval.views import MOST_VIEWS, Views, best_views
from retrieval.weights import Weights
from retrieval.whereabouts import Clocks, Whereabouts
from twin.errors import NotFound
from twin.events.ids import Micros, SiteId, TrackletId, VehicleId
from twin.projections.moment import Moment

FIRST_DEPTH = 256
MOST_DEPTH = 1_024
MOST_CANDIDATES = 200
"""Vehicles that are ranked, whatever page of them is asked for."""
LEAST_EXPANDED = 0.3
"""Probability of the likeliest vehicle from which its own views are asked for as well."""
LEAST_STRAY, MOST_STRAYS = 0.05, 10
"""Least probability of what is shown though it is nobody's, and how much of it at most."""
N_RECIPROCAL = 200
"""Shots whose neighbourhoods are compared: the nearest ones."""


class Answer(Struct, frozen=True, kw_only=True):
    """A page of vehicles.

    Attributes:
        n_found: of how many.
        strays: sightings that the twin takes for no vehicle and that may show it.
        near: where and when the probe was taken to be seen.
        weights: version of what ranking rests on.
    """

    ranked: list[Ranked]
    n_found: int
    strays: list[Stray]
    near: Anchor
    weights: str


class LookedUp(Struct, frozen=True, kw_only=True):
    """All that was found, before it is cut to a page."""

    asked: Probe
    candidates: Sequence[Candidate]
    ranking: Ranking
    strays: list[Stray]


class VehicleSearch:
    """Search over one site's index."""

    def __init__(
        self,
        site: SiteId,
        index: GalleryIndex,
        identities: Identities,
        whereabouts: Whereabouts,
        distances: CameraDistances,
        embedders: Embedders,
        weights: Weights = Weights(),  # noqa: B008  frozen
    ) -> None:
        self._site = site
        self._index = index
        self._identities = identities
        self._whereabouts = whereabouts
        self._distances = distances
        self._embedders = embedders
        self.weights = weights

    @property
    def distance_m(self) -> Distance:
        """Driving distances between cameras' views."""
        return self._distances.metres

    async def views(self, tracklets: Sequence[TrackletId], moment: Moment) -> Views:
        """The best view of each of these tracklets until a moment; those without any are left out."""
        sightings = await self._index.sightings_of(tracklets, limit=MOST_VIEWS)
        return best_views(sightings, await self._whereabouts.clocks(moment.known_at), moment.at)

    async def by_images(self, images: Sequence[Image], question: Question) -> Answer:
        """Vehicles that look like the one of these (H, W, 3) BGR pictures, each cut to it, best first.

        Raises:
            ImageRejected: nothing is to be seen in a picture.
            BadInput: the index holds views of other embedders only.
        """
        embedder = self._embedders.fitting(await self._index.embedders())
        if embedder is None:
            return Answer(ranked=[], n_found=0, strays=[], near=question.near, weights=self.weights.version)
        probes = [await self._embedders.probe(embedder, image) for image in images]
        return await self.by_vector(embedder.id, mean_direction(probes), replace(question, n_views=len(probes)))

    async def by_tracklet(self, tracklet: TrackletId, question: Question) -> Answer:
        """Vehicles that look like a tracklet, which itself does not count; the anchor is its best view unless one is asked for.

        Raises:
            NotFound: the index has no view of this tracklet: it never had one, or it was erased.
        """
        points = await self._index.points_of(tracklet)
        if not points:
            raise NotFound(f"site '{self._site}' has no view of tracklet '{tracklet[:80]}' to compare; it may have been erased")
        clocks = await self._whereabouts.clocks(question.moment.known_at)
        points = [one for one in points if is_until(clocks, one.sighting, question.moment.at)]
        if not points:
            raise NotFound(f"tracklet '{tracklet[:80]}' of site '{self._site}' was first seen after the time asked for")
        best = max(points, key=lambda point: (point.sighting.quality, point.id))
        alike = [point.vector for point in points if point.space == best.space]
        probe = mean_direction(alike)
        seen = best.sighting
        if question.near == Anchor():
            near = Anchor(camera=seen.camera, at=clocks.corrected(seen.camera, seen.at))
            question = replace(question, near=near)
        question = replace(
            question,
            where=replace(question.where, except_tracklet=tracklet),
            kind=question.kind or seen.kind,
            colour=question.colour or seen.colour,
            plate=question.plate or seen.plate,
            n_views=len(alike),
        )
        return await self.by_vector(seen.embedder, probe, question)

    async def by_vector(self, embedder: str, probe: Vector, question: Question) -> Answer:
        """Vehicles whose views are like an (E,) unit vector of this embedder, best first."""
        found = await self.looked_up(embedder, probe, question)
        return Answer(
            ranked=[_told(one, question) for one in found.ranking.told(question.skip, question.limit)],
            n_found=len(found.candidates),
            strays=_shown(found),
            near=question.near,
            weights=self.weights.version,
        )

    async def looked_up(self, embedder: str, probe: Vector, question: Question) -> LookedUp:
        """Every candidate, ranked; and what the twin takes for no vehicle, each with its chance by its own look."""
        assigned = await self._identities.at(question.moment)
        where = replace(question.where, until_at=_earlier(question.where.until_at, question.moment.at))
        if question.vehicles is not None:
            only = sorted(one for vehicle in question.vehicles for one in assigned.tracklets_of.get(vehicle, ()))
            where = replace(where, tracklets=tuple(only))
        clocks = await self._whereabouts.clocks(question.moment.known_at)
        hits = await self._hits(embedder, probe, where, assigned, clocks)
        places = await self._places(question)
        chosen = self._chosen(hits, {} if is_restricted(where) else places)
        tracklets = _tracklets(chosen, assigned, where)
        seen = await self._seen(embedder, probe, replace(question, where=where), hits, tracklets, clocks)
        asked = Probe(near=question.near, kind=question.kind, itself_from=seen.model.itself_from)
        ranking = await asyncio.to_thread(self._ranked, self.weights.of(embedder), seen, asked, places)
        lone = [] if question.skip else await self._lone(embedder, seen, ranking, assigned)  # told on the first page
        strays = list[Stray]()
        if lone:
            names = {one.tracklet for one in lone}
            seen.views = await self._index.views_of((embedder, len(probe)), names)
            lone = [one for one in lone if one.tracklet in seen.views]  # some may have been erased meanwhile
            n_vehicles, terms = max(1, len(assigned.tracklets_of)), terms_of(self.weights.of(embedder), question.near)
            strays = await asyncio.to_thread(strays_of, seen, lone, ranking.candidates, terms, n_vehicles)
        return LookedUp(asked=asked, candidates=ranking.candidates, ranking=ranking, strays=strays)

    async def _hits(self, embedder: str, probe: Vector, where: Where, assigned: Assigned, clocks: Clocks) -> list[Hit]:
        """The nearest shots, from as deep in the index as gives vehicles enough to choose from.

        The index has the times of the cameras' clocks, so that more is asked of it, and what was earlier or later left out.
        """
        near = await self._index.nearest(embedder, probe, limit=MOST_DEPTH, where=_widened(where, clocks.farthest_us))
        found, first, depth = list[Hit](), 0, FIRST_DEPTH
        vehicles = set[VehicleId]()
        while True:
            more = _in_time(await self._index.hits(near[first:depth], assigned.vehicle_of), clocks, where)
            found += more
            vehicles.update(one.vehicle for one in more if one.vehicle is not None)
            if len(vehicles) >= MOST_CANDIDATES or len(near) < depth or depth >= MOST_DEPTH:
                return found
            first, depth = depth, depth * 4

    async def _seen(
        self,
        embedder: str,
        probe: Vector,
        question: Question,
        hits: Sequence[Hit],
        tracklets: Mapping[VehicleId, Sequence[TrackletId]],
        clocks: Clocks,
    ) -> Seen:
        """All views of candidates; and of the nearest hits their vectors, whosever they are."""
        space = embedder, len(probe)
        vehicles, views = await self._index.vehicles(space, tracklets)
        nearest = hits[:N_RECIPROCAL]
        if views:
            placed(hits, views, self._index.place_of)
        if absent := {one.sighting.tracklet for one in nearest if one.views is None}:
            placed(nearest, await self._index.views_of(space, absent), self._index.place_of)
        return Seen(
            probe=whole(probe),
            model=self.weights.look_of(embedder),
            question=question,
            where=question.where,
            vehicles=vehicles,
            views={},
            hits=hits,
            clocks=clocks,
            words=self._index.words,
        )

    def _ranked(self, weights: Weights, seen: Seen, asked: Probe, places: Mapping[VehicleId, Place]) -> Ranking:
        candidates = compared(seen, places, agreements(seen.probe, seen.hits[:N_RECIPROCAL]))
        return rerank(candidates, asked, self._distances.metres, weights)

    async def _lone(self, embedder: str, seen: Seen, ranking: Ranking, assigned: Assigned) -> list[Sighting]:
        """Sightings of no vehicle: those near to the probe, and those near to all that is known of the likeliest vehicle.

        Source: Chum et al., "Total recall: automatic query expansion" (2007).
        """
        found, best = list(seen.hits), ranking.best
        if best is not None and best[1] >= LEAST_EXPANDED and self._index.may_have_others(assigned.vehicle_of):
            gallery = seen.gallery(seen.vehicles[best[0]].seen)
            wider = mean_direction([_direction(one.total) for one in gallery.shots])
            near = await self._index.nearest(
                embedder, wider, limit=FIRST_DEPTH, where=_widened(seen.where, seen.clocks.farthest_us)
            )
            found += _in_time(await self._index.hits(near, assigned.vehicle_of), seen.clocks, seen.where)
        return list({key_of(one.sighting): one.sighting for one in found if one.vehicle is None}.values())

    async def _places(self, question: Question) -> Mapping[VehicleId, Place]:
        near = question.near
        if near.camera is None or near.at is None:
            return {}
        then = Moment(at=near.at, known_at=question.moment.known_at)
        return await self._whereabouts.places(then, near.camera)

    def _chosen(self, hits: Sequence[Hit], places: Mapping[VehicleId, Place]) -> list[VehicleId]:
        """Those with the nearest shots, and those that were in view when the probe was."""
        chosen = dict.fromkeys(hit.vehicle for hit in hits if hit.vehicle is not None)
        there = sorted((place.to_view_m, vehicle) for vehicle, place in places.items())
        return list(dict.fromkeys([*list(chosen)[:MOST_CANDIDATES], *(vehicle for _, vehicle in there[:MOST_CANDIDATES])]))


def _shown(looked_up: LookedUp) -> list[Stray]:
    """The likeliest of what is nobody's, with what follows from the vehicles that it may be."""
    if not looked_up.strays:
        return []
    of_vehicle = looked_up.ranking.probability_of
    found = [replace(one, probability=stray_chance(one.probability, one.likely, of_vehicle)) for one in looked_up.strays]
    likely = [one for one in found if one.probability >= LEAST_STRAY]
    return sorted(likely, key=lambda one: (-one.probability, one.tracklets))[:MOST_STRAYS]


def mean_direction(vectors: Sequence[Vector]) -> Vector:
    """Direction of the mean of unit vectors; the first where they cancel out."""
    total: Vector = np.add.reduce(np.stack(vectors))
    length = float(np.linalg.norm(total))
    return np.divide(total, length, dtype=np.float32) if length > 1e-6 else vectors[0]


def _direction(total: Ints) -> Vector:
    length = float(np.sqrt(float(total @ total)))
    return (total / max(length, 1.0)).astype(np.float32)


def _tracklets(chosen: Sequence[VehicleId], assigned: Assigned, where: Where) -> dict[VehicleId, Sequence[TrackletId]]:
    """Of each vehicle, those that count."""
    every: dict[VehicleId, Sequence[TrackletId]] = {one: assigned.tracklets_of.get(one, ()) for one in chosen}
    without = where.except_tracklet
    if without is None or (vehicle := assigned.vehicle_of.get(without)) not in every:
        return every
    return every | {vehicle: [one for one in every[vehicle] if one != without]}


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _told(ranked: Ranked, question: Question) -> Ranked:
    """A vehicle with the sightings that were asked for: of conditions, only those that meet them."""
    if not is_restricted(question.where):
        return ranked
    return replace(ranked, shots=compared_only(ranked.shots))


def _widened(where: Where, by: Micros) -> Where:
    """The same for clocks that are off by as much."""
    return replace(
        where,
        from_at=None if where.from_at is None else where.from_at - by,
        until_at=None if where.until_at is None else where.until_at + by,
    )


def _in_time(hits: list[Hit], clocks: Clocks, where: Where) -> list[Hit]:
    """Those that were in time by the site's clock; where every camera has that, the index chose by it."""
    return hits if clocks.are_right else [one for one in hits if _is_in_time(clocks, one.sighting, where)]


def _is_in_time(clocks: Clocks, sighting: Sighting, where: Where) -> bool:
    is_late_enough = where.from_at is None or clocks.corrected(sighting.camera, sighting.at) >= where.from_at
    return is_late_enough and is_until(clocks, sighting, where.until_at)
