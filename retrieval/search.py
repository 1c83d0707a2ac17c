"""Finds the vehicles that look like a picture, or like a sighting, and that can have been where it was taken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from retrieval.appearance import Ints, LookModel, Shots, nats_of_one_vehicle, whole
from retrieval.context import Anchor, Distance, Place, Shot, colour_nats
from retrieval.embedder import Embedders
from retrieval.galleries import Gallery, GalleryIndex, TrackletViews, galleries
from retrieval.identities import Assigned, Identities
from retrieval.images import Image
from retrieval.index import EVERYWHERE, Match, Sighting, Vector, Where
from retrieval.places import CameraDistances
from retrieval.reciprocal import agreement
from retrieval.rerank import Candidate, Probe, Ranked, Stray, rerank, stray_chance, terms_of, tracklet_chance
from retrieval.strays import likely_vehicles, stray_groups
from retrieval.weights import Terms, Weights
from retrieval.whereabouts import Clocks, Whereabouts
from twin.errors import NotFound
from twin.events.ids import Micros, SiteId, TrackletId, VehicleId
from twin.events.observations import VehicleKind
from twin.fusion import plates
from twin.projections.moment import Moment

FIRST_DEPTH = 256
MOST_DEPTH = 1_024
MOST_CANDIDATES = 200
"""Vehicles that are ranked, whatever page of them is asked for."""
MOST_STRAY_GROUPS = 50
"""Things of nobody that are compared with every candidate, those that look most like the probe."""
LEAST_EXPANDED = 0.3
"""Probability of the likeliest vehicle from which its own views are asked for as well."""
LEAST_STRAY, MOST_STRAYS = 0.05, 10
"""Least probability of what is shown though it is nobody's, and how much of it at most."""
N_RECIPROCAL = 200
"""Shots whose neighbourhoods are compared: the nearest ones."""


class Question(Struct, frozen=True, kw_only=True):
    """What to answer with.

    Attributes:
        moment: sightings up to ``at``, of vehicles as known at ``known_at``.
        near: where and when the probe was seen, as far as the asker knows; by the site's time.
        where: which sightings count; its ``until_at`` is the moment's.
        kind, colour, plate: of the probe, if they are known; evidence, not conditions.
        vehicles: only these; None: any.
        n_views: of how many views the probe is the mean.
        limit, skip: how many vehicles at most, after so many.
    """

    moment: Moment
    near: Anchor = Anchor()
    where: Where = EVERYWHERE
    kind: VehicleKind | None = None
    colour: str | None = None
    plate: str | None = None
    vehicles: frozenset[VehicleId] | None = None
    n_views: int = 1
    limit: int = 10
    skip: int = 0


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
    candidates: list[Candidate]
    ranked: list[Ranked]
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
        points = [one for one in points if _is_until(clocks, one.sighting, question.moment.at)]
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
            ranked=[_told(one, question) for one in found.ranked[question.skip : question.skip + question.limit]],
            n_found=len(found.ranked),
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
        matches = await self._matches(embedder, probe, where, assigned, clocks)
        places = await self._places(question)
        chosen = self._chosen(matches, assigned, {} if _is_restricted(where) else places)
        tracklets = {
            vehicle: [one for one in assigned.tracklets_of.get(vehicle, ()) if one != where.except_tracklet]
            for vehicle in chosen
        }
        space = embedder, len(probe)
        seen = _Seen(
            probe=whole(probe),
            model=self.weights.look_of(embedder),
            question=question,
            where=where,
            views=await self._index.views_of(space, (one for each in tracklets.values() for one in each)),
            cosines={_key(match.sighting): match.cosine for match in matches},
            clocks=clocks,
        )
        mutual = await asyncio.to_thread(_reciprocal, seen.probe, matches[:N_RECIPROCAL], assigned)
        candidates = await asyncio.to_thread(_compared, seen, tracklets, places, mutual)
        asked = Probe(near=question.near, kind=question.kind, itself_from=seen.model.itself_from)
        ranked = await asyncio.to_thread(rerank, candidates, asked, self._distances.metres, self.weights)
        lone = await self._lone(embedder, seen, matches, ranked, tracklets, assigned)
        if question.skip:
            lone = []  # told on the first page
        seen.views |= await self._index.views_of(space, (one.tracklet for one in lone))
        lone = [one for one in lone if one.tracklet in seen.views]  # some may have been erased meanwhile
        n_vehicles, terms = max(1, len(assigned.tracklets_of)), terms_of(self.weights, question.near)
        strays = await asyncio.to_thread(_strays, seen, lone, candidates, tracklets, terms, n_vehicles)
        return LookedUp(asked=asked, candidates=candidates, ranked=ranked, strays=strays)

    async def _lone(
        self,
        embedder: str,
        seen: _Seen,
        matches: Sequence[Match],
        ranked: Sequence[Ranked],
        tracklets: Mapping[VehicleId, Sequence[TrackletId]],
        assigned: Assigned,
    ) -> list[Sighting]:
        """Sightings of no vehicle: those near to the probe, and those near to all that is known of the likeliest vehicle.

        Source: Chum et al., "Total recall: automatic query expansion" (2007).
        """
        found = {_key(one.sighting): one.sighting for one in matches}
        if ranked and ranked[0].probability >= LEAST_EXPANDED:
            gallery = seen.gallery(tracklets[ranked[0].vehicle])
            wider = mean_direction([_direction(one.total) for one in gallery.shots])
            within = _widened(seen.where, seen.clocks.farthest_us)
            more = await self._index.search(embedder, wider, limit=FIRST_DEPTH, where=within)
            found |= {_key(one.sighting): one.sighting for one in more if _is_in_time(seen.clocks, one.sighting, seen.where)}
        return [one for one in found.values() if one.tracklet not in assigned.vehicle_of]

    async def _matches(self, embedder: str, probe: Vector, where: Where, assigned: Assigned, clocks: Clocks) -> list[Match]:
        """The nearest shots, from as deep in the index as gives vehicles enough to choose from.

        The index has the times of the cameras' clocks, so that more is asked of it, and what was earlier or later left out.
        """
        depth, wider = FIRST_DEPTH, _widened(where, clocks.farthest_us)
        while True:
            found = await self._index.search(embedder, probe, limit=depth, where=wider, with_vectors=True)
            matches = [one for one in found if _is_in_time(clocks, one.sighting, where)]
            vehicles = {assigned.vehicle_of.get(match.sighting.tracklet) for match in matches} - {None}
            if len(vehicles) >= MOST_CANDIDATES or len(found) < depth or depth >= MOST_DEPTH:
                return matches
            depth *= 4

    async def _places(self, question: Question) -> Mapping[VehicleId, Place]:
        near = question.near
        if near.camera is None or near.at is None:
            return {}
        then = Moment(at=near.at, known_at=question.moment.known_at)
        return await self._whereabouts.places(then, near.camera)

    def _chosen(self, matches: Sequence[Match], assigned: Assigned, places: Mapping[VehicleId, Place]) -> list[VehicleId]:
        """Those with the nearest shots, and those that were in view when the probe was."""
        near = (assigned.vehicle_of.get(match.sighting.tracklet) for match in matches)
        chosen = dict.fromkeys(vehicle for vehicle in near if vehicle is not None)
        there = sorted((place.to_view_m, vehicle) for vehicle, place in places.items())
        return list(dict.fromkeys([*list(chosen)[:MOST_CANDIDATES], *(vehicle for _, vehicle in there[:MOST_CANDIDATES])]))


@dataclass(kw_only=True)
class _Seen:
    """A probe, and what there is to compare it with.

    Attributes:
        cosines: of the shots that the index found near.
    """

    probe: Ints
    model: LookModel
    question: Question
    where: Where
    views: dict[TrackletId, TrackletViews]
    cosines: Mapping[tuple[TrackletId, int, str], float]
    clocks: Clocks

    def shots(self, tracklets: Iterable[TrackletId]) -> list[Shot]:
        """Sightings of tracklets until the time asked for, at the site's time."""
        found = list[Shot]()
        for name in tracklets:
            if (seen := self.views.get(name)) is None:
                continue
            for one in seen.sightings:
                if _is_until(self.clocks, one, self.where.until_at):
                    found.append(
                        Shot(
                            tracklet=name,
                            camera=one.camera,
                            at=self.clocks.corrected(one.camera, one.at),
                            look=self.cosines.get(_key(one)),
                            crop=one.crop,
                            kind=one.kind,
                            colour=one.colour,
                            plate=one.plate,
                        )
                    )
        return found

    def gallery(self, tracklets: Sequence[TrackletId]) -> Gallery:
        """Their views together, until the time asked for."""
        until_at, camera = self.where.until_at, self.question.near.camera
        own = {name: views.until(self.clocks, until_at) for name in tracklets if (views := self.views.get(name)) is not None}
        return galleries(own, {_ANYBODY: tracklets}, camera=camera)[_ANYBODY]


_ANYBODY = VehicleId("")


def _compared(
    seen: _Seen,
    tracklets: Mapping[VehicleId, Sequence[TrackletId]],
    places: Mapping[VehicleId, Place],
    mutual: Mapping[VehicleId, float],
) -> list[Candidate]:
    found, question, is_restricted = list[Candidate](), seen.question, _is_restricted(seen.where)
    for vehicle, names in tracklets.items():
        shots, gallery = seen.shots(names), seen.gallery(names)
        if not shots or (is_restricted and all(shot.look is None for shot in shots)):
            continue
        found.append(
            Candidate(
                vehicle=vehicle,
                shots=tuple(shots),
                look=nats_of_one_vehicle(seen.probe, gallery.shots, seen.model, n_views=seen.question.n_views),
                reciprocal=mutual.get(vehicle, 0.0),
                plate=_plate_nats(question.plate, shots),
                colour=colour_nats(question.colour, shots),
                place=places.get(vehicle),
                n_views=gallery.n_views,
                n_cameras=gallery.n_cameras,
            )
        )
    return found


def _strays(
    seen: _Seen,
    lone: Sequence[Sighting],
    candidates: Sequence[Candidate],
    tracklets: Mapping[VehicleId, Sequence[TrackletId]],
    terms: Terms,
    n_vehicles: int,
) -> list[Stray]:
    """What the twin takes for no vehicle, each with its chance by its own look."""
    galleries_of = {one.vehicle: seen.gallery(tracklets[one.vehicle]) for one in candidates} if lone else {}
    shots_of = {one.vehicle: one.shots for one in candidates}
    found = list[Stray]()
    groups = [(names, gallery.shots[0]) for names in stray_groups(lone) if (gallery := seen.gallery(names)).shots]
    n_views = seen.question.n_views
    looked = [(nats_of_one_vehicle(seen.probe, [own], seen.model, n_views=n_views), names, own) for names, own in groups]
    for nats, names, own in sorted(looked, key=lambda one: (-one[0], one[1]))[:MOST_STRAY_GROUPS]:
        shots = seen.shots(names)
        looks = likenesses(own, galleries_of, seen.model)
        found.append(
            Stray(
                tracklets=names,
                look=nats,
                shots=tuple(sorted(shots, key=lambda shot: (2.0 if shot.look is None else -shot.look, shot.at))),
                likely=likely_vehicles(shots, looks, shots_of),
                probability=tracklet_chance(terms.look * nats, None, n_vehicles),
            )
        )
    return found


def likenesses(own: Shots, galleries_of: Mapping[VehicleId, Gallery], model: LookModel) -> dict[VehicleId, float]:
    """Nats that what is seen before one camera is each of these vehicles."""
    mean, found = np.rint(own.total / own.n_tracklets).astype(np.int64), dict[VehicleId, float]()
    for vehicle, gallery in galleries_of.items():
        shots = [replace(one, is_same_camera=one.camera == own.camera) for one in gallery.shots]
        found[vehicle] = nats_of_one_vehicle(mean, shots, model, n_tracklets=own.n_tracklets, n_views=own.n_views)
    return found


def _shown(looked_up: LookedUp) -> list[Stray]:
    """The likeliest of what is nobody's, with what follows from the vehicles that it may be."""
    of_vehicle = {one.vehicle: one.probability for one in looked_up.ranked}
    found = [replace(one, probability=stray_chance(one.probability, one.likely, of_vehicle)) for one in looked_up.strays]
    likely = [one for one in found if one.probability >= LEAST_STRAY]
    return sorted(likely, key=lambda one: (-one.probability, one.tracklets))[:MOST_STRAYS]


def _plate_nats(plate: str | None, shots: Iterable[Shot]) -> float:
    asked = None if plate is None else plates.read(plate, 1.0)
    told = [read for shot in shots if shot.plate is not None and (read := plates.read(shot.plate, _PLATE_SCORE)) is not None]
    return 0.0 if asked is None else plates.log_likelihood_ratio((asked,), tuple(told))


_PLATE_SCORE = 0.9  # of a reading in the index, which does not keep the reader's own


def mean_direction(vectors: Sequence[Vector]) -> Vector:
    """Direction of the mean of unit vectors; the first where they cancel out."""
    total: Vector = np.add.reduce(np.stack(vectors))
    length = float(np.linalg.norm(total))
    return np.divide(total, length, dtype=np.float32) if length > 1e-6 else vectors[0]


def _direction(total: Ints) -> Vector:
    length = float(np.sqrt(float(total @ total)))
    return (total / max(length, 1.0)).astype(np.float32)


def _reciprocal(probe: np.ndarray, matches: Sequence[Match], assigned: Assigned) -> dict[VehicleId, float]:
    """By vehicle: of its shot whose neighbourhood agrees best with the probe's."""
    known = [(assigned.vehicle_of.get(match.sighting.tracklet), match.vector) for match in matches]
    shots = [whole(vector) for _, vector in known if vector is not None]
    if not shots:
        return {}
    shares = agreement(probe, np.stack(shots))
    best: dict[VehicleId, float] = {}
    for (vehicle, _), share in zip([one for one in known if one[1] is not None], shares.tolist(), strict=True):
        if vehicle is not None:
            best[vehicle] = max(share, best.get(vehicle, 0.0))
    return best


def _key(sighting: Sighting) -> tuple[TrackletId, int, str]:
    return sighting.tracklet, sighting.at, sighting.crop or ""


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _told(ranked: Ranked, question: Question) -> Ranked:
    """A vehicle with the sightings that were asked for: of conditions, only those that meet them."""
    if not _is_restricted(question.where):
        return ranked
    return replace(ranked, shots=tuple(shot for shot in ranked.shots if shot.look is not None))


def _widened(where: Where, by: Micros) -> Where:
    """The same for clocks that are off by as much."""
    return replace(
        where,
        from_at=None if where.from_at is None else where.from_at - by,
        until_at=None if where.until_at is None else where.until_at + by,
    )


def _is_in_time(clocks: Clocks, sighting: Sighting, where: Where) -> bool:
    is_late_enough = where.from_at is None or clocks.corrected(sighting.camera, sighting.at) >= where.from_at
    return is_late_enough and _is_until(clocks, sighting, where.until_at)


def _is_until(clocks: Clocks, sighting: Sighting, until_at: Micros | None) -> bool:
    return until_at is None or clocks.corrected(sighting.camera, sighting.at) <= until_at


def _is_restricted(where: Where) -> bool:
    """Whether it asks for more than an end, and for other than one tracklet."""
    return where != Where(until_at=where.until_at, except_tracklet=where.except_tracklet)
