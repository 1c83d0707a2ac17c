"""How often an embedding finds its vehicle in another camera, among a hundred others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.synthetic.intervals import Estimate, ratio, resampled
from perception.synthetic.sightings import Sightings, Truth
from twin.events.ids import Micros

N_OTHERS = 100

Ints = NDArray[np.int64]


class _Crops(NamedTuple):
    """The first embedding of each vehicle in one camera: (V,) vehicle and time, (V, E) embedding."""

    vehicles: Ints
    ats: Ints
    embeddings: Ints


def rank_1(seen: Sequence[Sightings], truth: Truth, n_others: int = N_OTHERS) -> Estimate:
    """Share of probes, each one crop in one camera, whose nearest of one crop each of all in another camera is their own.

    The gallery holds the probe's vehicle and the ``n_others`` others that the camera saw nearest in time to it. A camera that
    saw fewer has no gallery; ``n`` is 0 if none has. The interval is over the probes' vehicles.
    """
    crops = [_first_crops(one, truth) for one in seen]
    sums = np.zeros((len(truth.vehicles), 2))
    for probe_number, probes in enumerate(crops):
        for number, gallery in enumerate(crops):
            if number != probe_number and len(gallery.vehicles) > n_others:
                _search(probes, gallery, n_others, sums)
    asked = sums[sums[:, 1] > 0]
    return resampled(asked, ratio, int(sums[:, 1].sum()))


def _search(probes: _Crops, gallery: _Crops, n_others: int, sums: NDArray[np.float64]) -> None:
    """Add each probe's hits and tries to its vehicle's sums."""
    scores = probes.embeddings @ gallery.embeddings.T
    for row, vehicle in enumerate(probes.vehicles.tolist()):
        own = np.flatnonzero(gallery.vehicles == vehicle)
        if not len(own):
            continue
        distance = np.abs(gallery.ats - gallery.ats[own[0]])
        distance[own[0]] = -1
        nearest = np.argsort(distance, kind="stable")[: n_others + 1]
        sums[vehicle] += (scores[row, nearest].argmax() == 0, 1)


def _first_crops(one: Sightings, truth: Truth) -> _Crops:
    frame_by_at = {int(at): number for number, at in enumerate(one.output.occurred_at)}
    names = {name: number for number, name in enumerate(one.tracklets)}
    vehicle_by_report = {(int(r["frame"]), int(r["tracklet"])): int(r["vehicle"]) for r in one.reported[_embedded(one)]}
    first: dict[int, tuple[Micros, bytes]] = {}
    for at, embedded in sorted(one.output.embeddings, key=lambda pair: pair[0]):
        vehicle = vehicle_by_report.get((frame_by_at.get(at, -1), names.get(embedded.tracklet, -1)), -1)
        if vehicle >= 0 and embedded.personal is not None:
            first.setdefault(vehicle, (at, embedded.personal.embedding))
    vectors = [np.frombuffer(embedding, np.int8).astype(np.int64) for _, embedding in first.values()]
    embeddings = np.array(vectors) if vectors else np.zeros((0, 128), np.int64)
    return _Crops(np.array(list(first), np.int64), np.array([at for at, _ in first.values()], np.int64), embeddings)


def _embedded(one: Sightings) -> NDArray[np.bool_]:
    """(R,) the reports of frames that came with embeddings."""
    ats = {at for at, _ in one.output.embeddings}
    is_frame = np.array([int(at) in ats for at in one.output.occurred_at])
    return np.asarray(is_frame[one.reported["frame"]])
