"""How well an embedder finds a vehicle again in another camera, measured through the product's own embedder class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from perception.embed import Embedder
from perception.synthetic.render.passes import CropLabel
from perception.synthetic.seeds import generator
from perception.training.crops_dataset import CropsDataset
from perception.training.embedder_batches import lookalikes

_N_DRAWS = 2000


class Rank(Struct, frozen=True, kw_only=True):
    """One comparison.

    Attributes:
        n: queries.
        gallery: vehicles, as the mean over the queries.
        rank1_95, map_95: intervals, bootstrapped over the vehicles.
        rank1_lookalikes: of the queries whose vehicle has a look-alike; None where there are none.
    """

    n: int
    gallery: float
    rank1: float
    rank1_95: tuple[float, float]
    rank5: float
    map: float
    map_95: tuple[float, float]
    rank1_lookalikes: float | None


class EmbedderMetrics(Struct, frozen=True, kw_only=True):
    """Every comparison; see ``measure_embedder``."""

    embedder: str
    vehicles: int
    crops: int
    pooled: Rank | None
    pooled_any_makes: Rank | None
    pooled_by_light: dict[str, Rank | None]
    pooled_other_kinds_apart: Rank | None
    single: Rank | None
    day_to_night: Rank | None


@dataclass(frozen=True, slots=True)
class Looks:
    """Embeddings with what they are of.

    Attributes:
        vectors: (N, E) unit length.
        vehicles, cameras, scenes: (N,) names.
    """

    vectors: NDArray[np.float64]
    vehicles: NDArray[np.str_]
    cameras: NDArray[np.str_]
    scenes: NDArray[np.str_]


def measure_embedder(embedder: Embedder, dataset: CropsDataset) -> EmbedderMetrics:
    """Rank the vehicles of other cameras by likeness.

    ``pooled``: query and gallery are tracklets (the mean of their crops), the gallery all other cameras' of the same scene
    and so of the same light. ``single``: one crop against single crops. ``day_to_night``: tracklets of a scene by day against
    those of a scene by night. All of cameras of one make, except for ``pooled_any_makes``; of any where there are no others.
    """
    makes = np.array([label.makes for label in dataset.labels])
    if set(makes) == {"one", "any"}:
        of_one = measure_embedder(embedder, _part(dataset, makes == "one"))
        of_any = measure_embedder(embedder, _part(dataset, makes == "any"))
        return replace(of_one, pooled_any_makes=of_any.pooled)
    crops = _embedded(embedder, dataset)
    tracklets = pooled(crops, [label.tracklet for label in dataset.labels])
    doubles = lookalikes(dataset.labels)
    light_of = {label.scene: label.light for label in dataset.labels}
    lights = np.array([light_of[str(scene)] for scene in tracklets.scenes])
    kinds, elsewhere = _kinds(dataset.labels), _elsewhere(tracklets)
    firsts = _firsts(dataset.labels)
    single = Looks(crops.vectors[firsts], crops.vehicles[firsts], crops.cameras[firsts], crops.scenes[firsts])
    return EmbedderMetrics(
        embedder=embedder.id,
        vehicles=len({label.vehicle for label in dataset.labels}),
        crops=len(dataset),
        pooled=rank(tracklets, tracklets, elsewhere, doubles),
        pooled_any_makes=rank(tracklets, tracklets, elsewhere, doubles) if makes[0] == "any" else None,
        pooled_by_light={
            light: rank(tracklets, tracklets, elsewhere & (lights == light)[:, None], doubles)
            for light in sorted(set(light_of.values()))
        },
        pooled_other_kinds_apart=rank(tracklets, tracklets, elsewhere & _same_kind(tracklets, kinds), doubles),
        single=rank(single, single, _elsewhere(single), doubles),
        day_to_night=rank(tracklets, tracklets, (lights == "day")[:, None] & (lights == "night")[None], doubles),
    )


def _part(dataset: CropsDataset, of: NDArray[np.bool_]) -> CropsDataset:
    labels = tuple(label for label, is_in in zip(dataset.labels, of, strict=True) if is_in)
    return CropsDataset(dataset.pictures[of], labels, dataset.digest)


def pooled(crops: Looks, tracklets: Sequence[str]) -> Looks:
    """One look a tracklet: the mean of its crops, of unit length again."""
    names, first, inverse = np.unique(np.array(tracklets), return_index=True, return_inverse=True)
    sums = np.zeros((len(names), crops.vectors.shape[1]))
    np.add.at(sums, inverse, crops.vectors)
    vectors = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return Looks(vectors, crops.vehicles[first], crops.cameras[first], crops.scenes[first])


def rank(queries: Looks, gallery: Looks, may: NDArray[np.bool_], doubles: set[str]) -> Rank | None:
    """Rank a gallery for every query; None where no query has its vehicle in the gallery.

    Args:
        may: (Q, G) which entries of the gallery a query is compared with. A vehicle counts once, by its best entry.
        doubles: vehicles with a look-alike.
    """
    likeness = queries.vectors @ gallery.vectors.T
    asked, places, precisions, sizes = list[str](), list[int](), list[float](), list[int]()
    for query in range(len(queries.vectors)):
        rows = np.flatnonzero(may[query])
        own = str(queries.vehicles[query])
        names = gallery.vehicles[rows[np.argsort(-likeness[query, rows], kind="stable")]]
        hits = np.flatnonzero(names == own)
        if not len(hits):
            continue
        ranked = list(dict.fromkeys(str(name) for name in names))
        asked.append(own)
        places.append(ranked.index(own))
        sizes.append(len(ranked))
        precisions.append(float(np.mean((np.arange(len(hits)) + 1) / (hits + 1))))
    if not places:
        return None
    first = np.array(places) == 0
    is_double = np.isin(asked, sorted(doubles))
    return Rank(
        n=len(places),
        gallery=round(float(np.mean(sizes)), 1),
        rank1=round(float(first.mean()), 4),
        rank1_95=interval_95(first.astype(np.float64), asked),
        rank5=round(float((np.array(places) < 5).mean()), 4),
        map=round(float(np.mean(precisions)), 4),
        map_95=interval_95(np.array(precisions), asked),
        rank1_lookalikes=round(float(first[is_double].mean()), 4) if is_double.any() else None,
    )


def interval_95(values: NDArray[np.float64], clusters: Sequence[str]) -> tuple[float, float]:
    """95 % percentile interval of a mean, drawing whole clusters with replacement.

    Args:
        values: (N,) one a query.
        clusters: (N,) what queries share that are not independent: their vehicle.

    Source: Field & Welsh, "Bootstrapping clustered data" (2007).
    """
    names, number = np.unique(np.array(clusters), return_inverse=True)
    sums, counts = np.bincount(number, values), np.bincount(number)
    rng = generator(0, "interval", len(names))
    draws = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), _N_DRAWS)
    low, high = np.quantile((draws @ sums) / (draws @ counts), (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def _embedded(embedder: Embedder, dataset: CropsDataset) -> Looks:
    rows = [np.frombuffer(embedder.embed(picture), np.int8).astype(np.float64) for picture in dataset.pictures]
    vectors = np.stack(rows)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    labels = dataset.labels
    columns = ([label.vehicle for label in labels], [label.camera for label in labels], [label.scene for label in labels])
    vehicles, cameras, scenes = (np.array(column) for column in columns)
    return Looks(vectors, vehicles, cameras, scenes)


def _elsewhere(looks: Looks) -> NDArray[np.bool_]:
    """(N, N) the same scene, another camera."""
    return (looks.scenes[:, None] == looks.scenes[None]) & (looks.cameras[:, None] != looks.cameras[None])


def _kinds(labels: Sequence[CropLabel]) -> dict[str, str]:
    return {label.vehicle: label.kind for label in labels}


def _same_kind(looks: Looks, kinds: dict[str, str]) -> NDArray[np.bool_]:
    names = np.array([kinds[str(vehicle)] for vehicle in looks.vehicles])
    return names[:, None] == names[None]


def _firsts(labels: Sequence[CropLabel]) -> NDArray[np.intp]:
    """The middle crop of every tracklet."""
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label.tracklet, []).append(row)
    return np.array([group[len(group) // 2] for _, group in sorted(rows.items())])
