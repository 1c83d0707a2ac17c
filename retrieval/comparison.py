"""A probe beside everything that may show its vehicle: each vehicle's shots, likeness and place, and what is nobody's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from retrieval.appearance import Ints, LookModel, Shots, nats_of_one_vehicle, whole
from retrieval.context import Place, Shot, colour_nats
from retrieval.galleries import Gallery, TrackletViews, gallery_of
from retrieval.identities import Assigned
from retrieval.index import Match, Sighting, Where
from retrieval.question import Question
from retrieval.reciprocal import agreement
from retrieval.rerank import Candidate, Stray, tracklet_chance
from retrieval.strays import likely_vehicles, stray_groups
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
                if is_until(self.clocks, one, self.where.until_at):
                    found.append(
                        Shot(
                            tracklet=name,
                            camera=one.camera,
                            at=self.clocks.corrected(one.camera, one.at),
                            look=self.cosines.get(key_of(one)),
                            crop=one.crop,
                            kind=one.kind,
                            colour=one.colour,
                            plate=one.plate,
                        )
                    )
        return found

    def gallery(self, tracklets: Sequence[TrackletId]) -> Gallery:
        """Their views together, until the time asked for."""
        known = (self.views[name].until(self.clocks, self.where.until_at) for name in tracklets if name in self.views)
        return gallery_of((views for views in known if views is not None), self.question.near.camera)


def compared(
    seen: Seen,
    tracklets: Mapping[VehicleId, Sequence[TrackletId]],
    places: Mapping[VehicleId, Place],
    mutual: Mapping[VehicleId, float],
) -> list[Candidate]:
    """Vehicles with what speaks for them; of conditions, only those with a sighting that meets them and is near."""
    found, question, has_conditions = list[Candidate](), seen.question, is_restricted(seen.where)
    for vehicle, names in tracklets.items():
        shots, gallery = seen.shots(names), seen.gallery(names)
        if not shots or (has_conditions and all(shot.look is None for shot in shots)):
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


def strays_of(
    seen: Seen,
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


def _plate_nats(plate: str | None, shots: Iterable[Shot]) -> float:
    asked = None if plate is None else plates.read(plate, 1.0)
    told = [read for shot in shots if shot.plate is not None and (read := plates.read(shot.plate, _PLATE_SCORE)) is not None]
    return 0.0 if asked is None else plates.log_likelihood_ratio((asked,), tuple(told))


_PLATE_SCORE = 0.9  # of a reading in the index, which does not keep the reader's own


def agreements(probe: np.ndarray, matches: Sequence[Match], assigned: Assigned) -> dict[VehicleId, float]:
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


def key_of(sighting: Sighting) -> tuple[TrackletId, int, str]:
    """Names a sighting among all of a site."""
    return sighting.tracklet, sighting.at, sighting.crop or ""


def is_until(clocks: Clocks, sighting: Sighting, until_at: Micros | None) -> bool:
    """Whether it is no later, by the site\'s clock."""
    return until_at is None or clocks.corrected(sighting.camera, sighting.at) <= until_at


def is_restricted(where: Where) -> bool:
    """Whether it asks for more than an end, and for other than one tracklet."""
    return where != Where(until_at=where.until_at, except_tracklet=where.except_tracklet)
