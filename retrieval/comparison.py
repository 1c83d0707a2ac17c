"""A probe beside everything that may show its vehicle: each vehicle's shots, likeness and place, and what is nobody's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.appearance import Ints, LookModel, Looks, Shots, nats_of_vehicles
from retrieval.columns import ShotTable, columns_of
from retrieval.context import Place, colour_nats
from retrieval.hits import Hit
from retrieval.index import Sighting, Where
from retrieval.question import Question
from retrieval.reciprocal import agreement
from retrieval.rerank import Candidate, Stray, tracklet_chance
from retrieval.strays import likely_vehicles, stray_groups
from retrieval.tracklet_views import Gallery, TrackletViews, gallery_of
from retrieval.vehicle_views import SeenShots, VehicleLooks, VehicleViews, Words
from retrieval.weights import Terms
from retrieval.whereabouts import Clocks
from twin.events.ids import Micros, TrackletId, VehicleId
from twin.fusion import plates

MOST_STRAY_GROUPS = 50
"""Things of nobody that are compared with every candidate, those that look most like the probe."""


@dataclass(kw_only=True)
class Seen:
    """A probe, and what there is to compare it with.

    Attributes:
        vehicles: all views of each candidate.
        views: those of tracklets by themselves.
        hits: the points that the index found near, the nearest first.
    """

    probe: Ints
    model: LookModel
    question: Question
    where: Where
    vehicles: Mapping[VehicleId, VehicleViews]
    views: Mapping[TrackletId, TrackletViews]
    hits: Sequence[Hit]
    clocks: Clocks
    words: Words

    def shots(self, views: VehicleViews, hits: Iterable[Hit]) -> SeenShots:
        """Sightings until the time asked for, at the site's time."""
        near = [(row, hit.cosine) for hit in hits if (row := views.row_of(hit)) is not None]
        return SeenShots(views, views.site_times(self.clocks), near, self.where.until_at)

    def gallery(self, tracklets: Iterable[TrackletViews]) -> Gallery:
        """Their views together, until the time asked for."""
        known = (one.until(self.clocks, self.where.until_at) for one in tracklets)
        return gallery_of((views for views in known if views is not None), self.question.near.camera)


def compared(
    seen: Seen,
    places: Mapping[VehicleId, Place],
    mutual: Mapping[VehicleId, float],
) -> list[Candidate]:
    """Vehicles with what speaks for them; of conditions, only those with a sighting that meets them and is near."""
    question, has_conditions = seen.question, is_restricted(seen.where)
    hits_of: dict[VehicleId | None, list[Hit]] = {}
    for hit in seen.hits:
        hits_of.setdefault(hit.vehicle, []).append(hit)
    every = ((name, views, seen.shots(views, hits_of.get(name, ()))) for name, views in seen.vehicles.items())
    kept = [(name, views, shots) for name, views, shots in every if len(shots) and (not has_conditions or shots.is_near)]
    looks = [_looks(seen, shots) for _, _, shots in kept]
    nats = nats_of_vehicles(
        seen.probe, [one.looks for one in looks], question.near.camera, seen.model, n_views=question.n_views
    )
    return [
        Candidate(
            vehicle=name,
            shots=shots,
            look=look,
            reciprocal=mutual.get(name, 0.0),
            plate=0.0 if question.plate is None else _plate_nats(question.plate, shots.plates),
            colour=0.0 if question.colour is None else colour_nats(*shots.of_colour(question.colour)),
            place=places.get(name),
            looks=of_looks.looks,
            n_views=of_looks.n_views,
            n_cameras=of_looks.n_cameras,
        )
        for (name, _, shots), look, of_looks in zip(kept, nats, looks, strict=True)
    ]


def _looks(seen: Seen, shots: SeenShots) -> VehicleLooks:
    """Of all views, but for those that are later than the time asked for."""
    views, until_at = shots.views, seen.where.until_at
    if shots.rows is None or until_at is None:
        return views.together
    return views.looks_until(seen.clocks, views.site_times(seen.clocks), until_at)


def strays_of(
    seen: Seen, lone: Sequence[Sighting], candidates: Sequence[Candidate], terms: Terms, n_vehicles: int
) -> list[Stray]:
    """What the twin takes for no vehicle, each with its chance by its own look."""
    together = [[seen.views[name] for name in names] for names in stray_groups(lone)]
    groups = [(views, gallery.shots[0]) for views in together if (gallery := seen.gallery(views)).shots]
    if not groups:
        return []
    camera, n_views = seen.question.near.camera, seen.question.n_views
    looks = nats_of_vehicles(seen.probe, [Looks.of([own]) for _, own in groups], camera, seen.model, n_views=n_views)
    named = [(nats, tuple(one.tracklet for one in views), views, own) for nats, (views, own) in zip(looks, groups, strict=True)]
    vehicles, table = [one.vehicle for one in candidates], ShotTable([columns_of(one.shots) for one in candidates])
    hits_of: dict[TrackletId, list[Hit]] = {}
    for hit in seen.hits:
        hits_of.setdefault(hit.sighting.tracklet, []).append(hit)
    found = list[Stray]()
    for nats, names, views, own in sorted(named, key=lambda one: (-one[0], one[1]))[:MOST_STRAY_GROUPS]:
        shots = list(seen.shots(VehicleViews.of(views, seen.words), [hit for name in names for hit in hits_of.get(name, ())]))
        found.append(
            Stray(
                tracklets=names,
                look=nats,
                shots=tuple(sorted(shots, key=lambda shot: (2.0 if shot.look is None else -shot.look, shot.at))),
                likely=likely_vehicles(shots, likenesses(own, candidates, seen.model), vehicles, table),
                probability=tracklet_chance(terms.look * nats, None, n_vehicles),
            )
        )
    return found


def likenesses(own: Shots, candidates: Sequence[Candidate], model: LookModel) -> list[float]:
    """Nats that what is seen before one camera is each of these vehicles."""
    mean = np.rint(own.total / own.n_tracklets).astype(np.int64)
    looks = [one.looks for one in candidates if one.looks is not None]
    return nats_of_vehicles(mean, looks, own.camera, model, n_tracklets=own.n_tracklets, n_views=own.n_views)


def agreements(probe: Ints, hits: Sequence[Hit]) -> dict[VehicleId, float]:
    """By vehicle: of its shot whose neighbourhood agrees best with the probe's."""
    known = [(hit.vehicle, hit.views.vectors[hit.row]) for hit in hits if hit.views is not None]
    if not known:
        return {}
    shares = agreement(probe, np.stack([vector for _, vector in known]).astype(np.int64))
    best: dict[VehicleId, float] = {}
    for (vehicle, _), share in zip(known, shares.tolist(), strict=True):
        if vehicle is not None:
            best[vehicle] = max(share, best.get(vehicle, 0.0))
    return best


def is_until(clocks: Clocks, sighting: Sighting, until_at: Micros | None) -> bool:
    """Whether it is no later, by the site\'s clock."""
    return until_at is None or clocks.corrected(sighting.camera, sighting.at) <= until_at


def is_restricted(where: Where) -> bool:
    """Whether it asks for more than an end, and for other than one tracklet."""
    return where != Where(until_at=where.until_at, except_tracklet=where.except_tracklet)


def _plate_nats(plate: str, told: Iterable[str]) -> float:
    asked = plates.read(plate, 1.0)
    if asked is None:
        return 0.0
    reads = [read for one in told if (read := plates.read(one, _PLATE_SCORE)) is not None]
    return plates.log_likelihood_ratio((asked,), tuple(reads))


_PLATE_SCORE = 0.9  # of a reading in the index, which does not keep the reader's own
